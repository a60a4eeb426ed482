"""Market rows, histories and pools made by hand, for the tests of what is done with them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tools.candidates import Measured, World, all_in_views, pool_mark
from tools.candidates.all_in import Loss
from tools.exposure import exposures
from tools.market.snapshot import History, Market, Progress, RawRow, Row
from tools.records import Optimisation
from tools.risk.costs import Cost
from tools.sizing import flat
from tools.strategies.profiles import Limits
from tools.strategies.universe import Pool, Universe
from tools.units import daily_return

AS_OF = dt.date(2025, 2, 28)
# How weights came about that a test wrote down itself.
BY_HAND = Optimisation(
    objective="none: by hand",
    over="nothing",
    value=None,
    bound=None,
    gap=None,
    rounded=None,
    binding=[],
    drivers=[],
    window_shift=None,
    note=None,
)
MILLION = 1e6

# Limits of each level that stay as they are here when the data file is edited.
MEDIUM = Limits(
    max_weight=0.50,
    protocol_risk=0.55,
    position_share=0.05,
    protocol_share=0.60,
    issuer_share=0.80,
    reward_share=0.60,
    apy_multiple=6.0,
    history_days=60,
    var_95=0.02,
    cvar_95=0.03,
    max_drawdown=0.10,
)
LOW = MEDIUM.model_copy(
    update={"max_weight": 0.40, "protocol_risk": 0.34, "protocol_share": 0.50, "issuer_share": 0.50, "history_days": 90}
)
HIGH = MEDIUM.model_copy(
    update={"max_weight": 1.0, "protocol_risk": 1.0, "position_share": 0.10, "protocol_share": 1.0, "issuer_share": 1.0}
)
LEVELS = {"low": LOW, "medium": MEDIUM, "high": HIGH}


def day_before(days: int, as_of: dt.date = AS_OF) -> dt.date:
    return as_of - dt.timedelta(days=days)


def pool_id(number: int) -> str:
    """An id in the feed's form; ids sort as their numbers do."""
    return f"00000000-0000-4000-8000-{number:012d}"


def raw_row(pool: str = pool_id(1), /, **changes: Any) -> RawRow:
    """A sound row of ``/pools``; a value of ``...`` leaves the field out."""
    row = {
        "pool": pool,
        "project": "aave-v3",
        "chain": "Ethereum",
        "symbol": "USDC",
        "tvlUsd": 50_000_000,
        "apy": 5.0,
        "apyBase": 4.0,
        "apyReward": 1.0,
        "poolMeta": None,
    }
    return {key: value for key, value in (row | changes).items() if value is not ...}


def chart(percents: Sequence[float | None], as_of: dt.date = AS_OF, *, clock: str = "T23:01:00.000Z") -> list[RawRow]:
    """Rows of ``/chart/{pool}``, one a day and the last on ``as_of``; None leaves a day out."""
    last = len(percents) - 1
    return [
        {
            "timestamp": f"{day_before(last - n, as_of)}{clock}",
            "tvlUsd": 50_000_000,
            "apy": apy,
            "apyBase": apy,
            "apyReward": None,
        }
        for n, apy in enumerate(percents)
        if apy is not None
    ]


def wavy(days: int, level: float = 5.0, swing: float = 0.2, phase: float = 0.0) -> list[float]:
    """A yield in percent that moves a little around its level, never twice the same."""
    return [round(level + swing * float(np.sin(0.7 * n + phase)) + 1e-4 * (n % 7), 5) for n in range(days)]


class MadeSource:
    """A source of given rows; a chart that is ``...`` fails, one that is missing does not exist."""

    label = "made"
    synthetic = False

    def __init__(
        self,
        rows: Sequence[RawRow],
        charts: Mapping[str, Any] | None = None,
        *,
        as_of: dt.date = AS_OF,
        hacks: Sequence[RawRow] = (),
        tables: Mapping[str, list[dict[str, str]]] | None = None,
    ) -> None:
        self.rows, self.answers, self.as_of = list(rows), dict(charts or {}), as_of
        self.exploits, self.tables = list(hacks), dict(tables or {})
        self.asked: list[str] = []

    def day(self, as_of: dt.date | None) -> dt.date:
        return as_of or self.as_of

    def pools(self, as_of: dt.date) -> list[RawRow]:
        return self.rows

    def charts(
        self, pool_ids: Sequence[str], as_of: dt.date, progress: Progress | None = None
    ) -> dict[str, list[RawRow] | None]:
        self.asked += pool_ids
        return {pool: self.answers.get(pool) for pool in pool_ids if self.answers.get(pool) is not ...}

    def hacks(self, as_of: dt.date) -> list[RawRow]:
        return self.exploits

    def table(self, kind: str, name: str, as_of: dt.date) -> list[dict[str, str]] | None:
        return self.tables.get(f"{kind}/{name}")


def pool(
    number: int,
    *,
    apy: float = 0.05,
    series: Iterable[float] | None = None,
    days: int = 100,
    history_days: int | None = None,
    apy_base: float | None = None,
    apy_reward: float | None = None,
    tvl_usd: float = 50 * MILLION,
    project: str = "aave-v3",
    family: str = "aave",
    chain: str = "Ethereum",
    tokens: tuple[str, ...] = ("USDC",),
    issuer_shares: Mapping[str, float] | None = None,
    protocol_risk: float = 0.1,
    apy_multiple: float = 1.0,
    trend: Any = "not_down",
) -> Pool:
    """An eligible pool; ``series`` holds fractions a year and ends on ``AS_OF``."""
    values = np.array(list(series) if series is not None else [x / 500.0 * apy / 0.01 for x in wavy(days)])
    shares = dict.fromkeys(("Circle",), 1.0) if issuer_shares is None else dict(issuer_shares)
    first = day_before((history_days or values.size) - 1)
    return Pool(
        row=Row(pool_id(number), project, chain, "-".join(tokens), tvl_usd, apy, apy_base, apy_reward, None),
        history=History(pool_id(number), first, AS_OF, values, np.full(values.size, tvl_usd), 0, 0, False),
        tokens=tokens,
        issuer_shares=shares,
        family=family,
        name=f"{family} {number}",
        apy_mean_30d=float(values[-30:].mean()),
        trend=trend,
        protocol_risk=protocol_risk,
        weakest_party=family,
        apy_multiple=apy_multiple,
    )


def universe(pools: Sequence[Pool], asset: Any = "USD") -> Universe:
    """The universe of these pools, with its benchmark computed day by day."""
    longest = max((p.history.apy.size for p in pools), default=0)

    def median(value: Callable[[float], float], back: int) -> float:
        return float(np.median([value(p.history.apy[-back]) for p in pools if p.history.apy.size >= back]))

    back = range(longest, 0, -1)
    return Universe(
        asset=asset,
        pools=tuple(sorted(pools, key=lambda p: p.id)),
        excluded={},
        benchmark_apy=np.array([median(float, n) for n in back]),
        benchmark=np.array([median(daily_return, n) for n in back]),
    )


def market(pools: Sequence[Pool], **changes: Any) -> Market:
    """The market that holds these pools' rows and histories."""
    fields: dict[str, Any] = {
        "source": "made",
        "synthetic": False,
        "as_of": AS_OF,
        "pools_total": len(pools),
        "rows": {p.id: p.row for p in pools},
        "screened": frozenset(p.id for p in pools),
        "histories": {p.id: p.history for p in pools},
        "excluded": {},
        "labels": {},
        "protocol_tvl_usd": {},
        "hacks": [],
        "prices": None,
        "tables": {},
        "sha256": "0" * 64,
    }
    return Market(**(fields | changes))


def losses(found: Sequence[Measured], amount_usd: float | None = None, **changes: Any) -> tuple[Loss, ...]:
    """The all-in views of candidates in a world where nothing fails and moving is free, but for the changes."""
    pools = {p.id: p for candidate in found for p in candidate.draft.pools}
    fields: dict[str, Any] = {
        "hits": exposures(list(pools.values()), AS_OF),
        "marks": defaultdict(str, {p.id: pool_mark(p) for p in pools.values()}),
        "hazard": lambda node: None,
        "gas": lambda pool: Cost(0.0),
        "impermanent_loss": lambda pool: Cost(0.0),
        "curve": lambda pool: flat(pool.row.apy),
        "events": (),
        "amount_usd": amount_usd,
        "horizon_days": 365,
        "risk_free": 0.04,
    }
    return all_in_views(found, World(**(fields | changes)))
