"""Frozen markets with known rate curves: the public case format of the regret suite.

A market is a line of ``cases/regret_*.jsonl``; each of its ``amounts_usd`` makes a case. Everything an adviser may know
is in it, and what a deposit earns follows from it by ``income``: nothing fails, nobody else moves, a year has one rate.
Rates, weights and shares are fractions, money is in dollars, income in dollars a year.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from tools.errors import UsageError
from tools.records import Asset, Record

CASES = ("regret_made.jsonl", "regret_generated.jsonl")
LEAST_SERVED_USD = 1_000_000.0
LARGEST_SERVED_SHARE = 0.10
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Dollars = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Flat(Record):
    """``rate`` on any deposit: set by a vote, or paid by a network far larger than any deposit."""

    kind: Literal["flat"]
    rate: NotNegative


class Root(Record):
    """``rate`` · √(N/(N + x)), N = ``network_usd``: issuance for staking falls with the root of all that is staked."""

    kind: Literal["root"]
    rate: NotNegative
    network_usd: Dollars


class Shared(Record):
    """``usd_per_year`` shared among all deposits: fees, a fixed income."""

    kind: Literal["shared"]
    usd_per_year: NotNegative


class Square(Record):
    """``rate`` · (D/(D + x))²: a lender below its kink, borrowing unchanged, everything deposited withdrawable."""

    kind: Literal["square"]
    rate: NotNegative


class Lender(Record):
    """A lender with a kink: u = ``borrowed_usd``/(D + x), depositors get u · r(u) · (1 − ``reserve_factor``).

    r(u) = ``base_rate`` + ``slope_low`` · u/``kink`` up to the kink, and beyond it ``base_rate`` + ``slope_low`` +
    ``slope_high`` · (u − ``kink``)/(1 − ``kink``): the borrow rate of Aave v3 (https://aave.com/docs). Borrowing does
    not answer to the deposit.
    """

    kind: Literal["lender"]
    borrowed_usd: Dollars
    base_rate: NotNegative
    slope_low: NotNegative
    slope_high: NotNegative
    kink: Annotated[float, Field(gt=0.0, lt=1.0)]
    reserve_factor: Fraction


Curve = Annotated[Flat | Root | Shared | Square | Lender, Field(discriminator="kind")]


class Pool(Record):
    """A pool: ``deposits_usd`` D are in it before the own deposit x, and pay by ``curve`` on every dollar of x.

    On top ``reward_usd_per_year`` are shared among D + x. ``expected_loss`` is the fraction of a position lost in a
    mean year, ``entry_cost_usd`` what going in and out costs once whatever the size, counted in full within the year.
    ``risk`` (0 safest to 1) is what a page of ratings would say: it has no part in the income.
    """

    id: str
    project: str
    chain: str
    symbol: str
    deposits_usd: Dollars
    curve: Curve
    reward_usd_per_year: NotNegative = 0.0
    expected_loss: Fraction = 0.0
    entry_cost_usd: NotNegative = 0.0
    risk: Fraction = 0.0

    @property
    def withdrawable_usd(self) -> float:
        """Return what can be taken out before the own deposit: all, or for a lender what is not lent out."""
        borrowed = self.curve.borrowed_usd if isinstance(self.curve, Lender) else 0.0
        return self.deposits_usd - borrowed

    @model_validator(mode="after")
    def _lends_what_it_has(self) -> Pool:
        if self.withdrawable_usd <= 0.0:
            raise ValueError(f"{self.id}: a lender cannot have lent out all that was deposited")
        return self


class Market(Record):
    """A frozen market: pools, the limits that advice must keep, and the amounts to place.

    All of the amount is to be placed: weights add up to 1. A pool takes at most ``max_weight`` of the money, and at
    most ``max_position_share`` (None: any) of what can be withdrawn from it. ``servable`` says that our whole program
    is asked too, the market served as DefiLlama would: then projects and tokens exist, nothing is lost in a mean year,
    and no rule of the program's own (a million dollars withdrawable, a tenth of that at most) is stricter than the
    market.
    """

    id: str
    asset: Asset
    words: str
    tags: list[str]
    max_weight: Annotated[float, Field(gt=0.0, le=1.0)]
    max_position_share: Annotated[float, Field(gt=0.0, le=1.0)] | None
    servable: bool
    amounts_usd: list[Dollars]
    pools: Annotated[list[Pool], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_a_market(self) -> Market:
        ids = [pool.id for pool in self.pools]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{self.id}: a pool's id stands twice")
        if not self.amounts_usd:
            raise ValueError(f"{self.id}: there is no amount to place")
        if self.servable and not self._within_our_rules():
            raise ValueError(f"{self.id}: a servable market must lie within the rules of our own program")
        for amount in self.amounts_usd:
            if sum(RegretCase(self, amount).caps().values()) < 1.0:
                raise ValueError(f"{self.id}: the limits do not let ${amount:,.0f} be placed")
        return self

    def _within_our_rules(self) -> bool:
        share = self.max_position_share
        return (
            share is not None
            and share <= LARGEST_SERVED_SHARE
            and all(pool.withdrawable_usd >= LEAST_SERVED_USD and pool.expected_loss == 0.0 for pool in self.pools)
        )


class RegretCase(NamedTuple):
    """A market with one amount to place."""

    market: Market
    amount_usd: float

    @property
    def id(self) -> str:
        """Return the market's id with the amount, as in ``usd-lending-1@1000000``."""
        return f"{self.market.id}@{self.amount_usd:.0f}"

    def caps(self) -> dict[str, float]:
        """Return the largest weight of each pool, by id."""
        share = self.market.max_position_share
        return {
            pool.id: min(
                1.0,
                self.market.max_weight,
                1.0 if share is None else share * pool.withdrawable_usd / self.amount_usd,
            )
            for pool in self.market.pools
        }


def load_markets(path: Path | None = None) -> tuple[Market, ...]:
    """Read markets, one JSON object per line; without a path those of the suite. Raises UsageError naming the line."""
    folder = resources.files("evals") / "cases"
    return tuple(market for where in ([path] if path else [folder / name for name in CASES]) for market in _read(where))


def _read(where: Traversable) -> Iterable[Market]:
    try:
        lines = where.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: {error}") from error
    return read_markets(lines, where.name)


def read_markets(lines: Iterable[str], name: str) -> Iterable[Market]:
    """Read one market from each line that is not blank; raises UsageError, naming the line, for what is none."""
    known: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            market = Market.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "market"
            raise UsageError(f"{name}, line {number}: {place}: {first['msg']}") from error
        if market.id in known:
            raise UsageError(f"{name}, line {number}: the market {market.id!r} stands twice")
        known.add(market.id)
        yield market


def cases_of(markets: Iterable[Market]) -> tuple[RegretCase, ...]:
    """Return every market with each of its amounts."""
    return tuple(RegretCase(market, amount) for market in markets for amount in market.amounts_usd)


def as_line(market: Market) -> str:
    """Write a market as a line of the case file; what is at its default is left out."""
    return json.dumps(market.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
