"""What a pool pays once an own deposit is in it.

Every model is a sum of terms c · (b/(b + x))^p in the deposit x, with the base b that the yield was shared among before
(p = 0: not diluted, 1: shared, 2: the square of utilisation); a lender's kink starts another such sum. The formulas,
where they come from and what they leave out: ``docs/design/sizing.md``. The data: ``data/dilution.toml`` and
``data/curves.toml``.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tools.errors import UsageError
from tools.market.names import family_of
from tools.records import DilutionModel, RateAtSize
from tools.sizing.lending import Form, Lender, Tables, TwoSlopes, lender_of, supply_shape
from tools.strategies.universe import Pool

NO_AMOUNT = "no amount is known"
SAME_POOL = 0.10  # what a lender's table says can be withdrawn may differ so much from the pool's TVL
_POWERS: Mapping[DilutionModel, int] = {"none": 0, "shared": 1, "square": 2}


class Term(NamedTuple):
    """``coefficient`` · (base/(base + x))^``power``: a part of the rate, a fraction per year."""

    coefficient: float
    base_usd: float
    power: int

    def rate(self, x_usd: float) -> float:
        """Return this part of the rate at a deposit."""
        return self.coefficient * self._kept(x_usd) ** self.power

    def marginal(self, x_usd: float) -> float:
        """Return the derivative of x · rate(x)."""
        kept = self._kept(x_usd)
        return self.coefficient * kept**self.power * (1.0 - self.power * (1.0 - kept))

    def _kept(self, x_usd: float) -> float:
        return self.base_usd / (self.base_usd + x_usd) if self.power else 1.0


class Leg(NamedTuple):
    """The terms of the rate for deposits up to ``until_usd``."""

    until_usd: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class RateCurve:
    """The annual rate of a pool on a deposit of x dollars, by legs in ascending order; the last has no end.

    ``base_usd``, ``utilisation`` and ``basis`` are those of ``records.RateAtSize``.
    """

    legs: tuple[Leg, ...]
    model: DilutionModel
    base_usd: float | None
    utilisation: float | None
    basis: str

    def rate(self, x_usd: float) -> float:
        """Return the annual rate, a fraction, on every dollar of a deposit of ``x_usd``.

        Raises ValueError for a deposit that is negative or not finite.
        """
        return math.fsum(term.rate(x_usd) for term in self._leg(x_usd).terms)

    def marginal(self, x_usd: float) -> float:
        """Return what one more dollar a year adds to the income x · rate(x), beside a deposit of ``x_usd``.

        At a kink: that of the leg that ends there. Raises ValueError as ``rate`` does.
        """
        return math.fsum(term.marginal(x_usd) for term in self._leg(x_usd).terms)

    def scaled(self, apy: float) -> RateCurve:
        """Return the curve with the same shape that pays ``apy`` before the deposit.

        A curve that pays nothing has no shape to keep: the result does not depend on the deposit. Raises ValueError for
        an ``apy`` that is not finite.
        """
        if not math.isfinite(apy):
            raise ValueError(f"apy must be finite, not {apy}")
        now = self.rate(0.0)
        if now <= 0.0:
            return replace(self, legs=flat(apy).legs)
        legs = [
            leg._replace(terms=tuple(t._replace(coefficient=t.coefficient * apy / now) for t in leg.terms))
            for leg in self.legs
        ]
        return replace(self, legs=tuple(legs))

    def _leg(self, x_usd: float) -> Leg:
        if not 0.0 <= x_usd < math.inf:
            raise ValueError(f"x_usd must be finite and not negative, not {x_usd}")
        return next(leg for leg in self.legs if x_usd <= leg.until_usd)


class ModelLine(NamedTuple):
    """A dated line of ``data/dilution.toml``."""

    model: DilutionModel
    since: dt.date
    source: str


def flat(apy: float, basis: str = "a rate that does not depend on the deposit") -> RateCurve:
    """Return a curve that pays ``apy`` on any deposit."""
    return RateCurve((Leg(math.inf, (Term(apy, 1.0, 0),)),), "none", None, None, basis)


def curve_of(pool: Pool, as_of: dt.date, tables: Tables) -> RateCurve:
    """Return the rate of a pool at the APYs of the day by the size of the own deposit, as known at ``as_of``.

    ``tables`` are the market's, by file name (``lending.dilution_tables``); without them a lender's utilisation is
    unknown. Reward tokens are shared whatever the model: their emission does not grow. Raises ValueError for a pool
    without money in it.
    """
    row = pool.row
    if not 0.0 < row.tvl_usd < math.inf:
        raise ValueError(f"tvl_usd of {row.pool_id} must be finite and above 0, not {row.tvl_usd}")
    base, reward = pool.counted_base_apy, row.apy - pool.counted_base_apy
    model, why = _model_of(row.project, as_of)
    lender = None if row.meta else lender_of(row.project, row.chain, row.symbol, as_of, tables)
    if model == "square" and lender and _is_the_same(lender, row.tvl_usd):
        return _recorded(lender, base, reward)
    power = _POWERS[model] if base > 0.0 else 0  # what a pool loses is not made smaller by a deposit
    terms = (Term(base, row.tvl_usd, power), Term(reward, row.tvl_usd, 1))
    return RateCurve((Leg(math.inf, terms),), model, row.tvl_usd, None, why)


def at_size(curve: RateCurve, position_usd: float | None) -> RateAtSize:
    """Return the record of what a curve pays on a position; without an amount the rate is unknown."""
    unknown = position_usd is None
    return RateAtSize(
        model=curve.model,
        apy=None if position_usd is None else curve.rate(position_usd),
        base_usd=curve.base_usd,
        utilisation=curve.utilisation,
        basis=curve.basis,
        reason=NO_AMOUNT if unknown else None,
    )


def _model_of(project: str, as_of: dt.date) -> tuple[DilutionModel, str]:
    """Return the model of a project as known at ``as_of``, and in words where it comes from."""
    data = _models(None)
    for key in (project, family_of(project)):
        known = [line for line in data.get(key, ()) if line.since <= as_of]
        line = max(known, key=lambda known_line: known_line.since, default=None)
        if line is not None:
            return line.model, f"{_WORDS[line.model]} ({line.source})"
    return "shared", f"taken as {_WORDS['shared']}: how this project pays is not on file"


_WORDS: Mapping[DilutionModel, str] = {
    "none": "a rate that does not depend on the deposit",
    "shared": "a fixed flow of income, shared among all deposits",
    "square": "a lender with unchanged borrowing; what was supplied is taken as its TVL, the least that it can be",
}


def _is_the_same(lender: Lender, tvl_usd: float) -> bool:
    """Tell whether the table speaks of this pool: what can be withdrawn there is the pool's TVL, within 10 %."""
    free = lender.today.supplied_usd * (1.0 - lender.today.utilisation)
    return abs(free - tvl_usd) <= SAME_POOL * tvl_usd


def _recorded(lender: Lender, base: float, reward: float) -> RateCurve:
    """Return the curve of a lender whose supply and utilisation are known."""
    day, table = lender.today, lender.entry.table
    supplied, used = day.supplied_usd, day.utilisation
    rewards = Term(reward, supplied, 1)
    if lender.line is None or base <= 0.0:
        terms = (Term(base, supplied, 2 if base > 0.0 else 0), rewards)
        basis = f"a lender with unchanged borrowing; supplied and lent out as in {table} of {day.date.isoformat()}"
        return RateCurve((Leg(math.inf, terms),), "square", supplied, used, basis)
    legs = _two_legs(lender.line, lender.entry.form, base, supplied, used, rewards)
    basis = f"the rate's slopes, read off the last {lender.days} days of {table}, with unchanged borrowing"
    return RateCurve(legs, "kinked", supplied, used, basis)


def _two_legs(line: TwoSlopes, form: Form, base: float, supplied: float, used: float, rewards: Term) -> tuple[Leg, ...]:
    """Write base · shape(u)/shape(u₀) with u = u₀ · S/(S + x) as terms: above the kink, then below it."""
    scale = base / supply_shape(line, form, used)
    extra = 1 if form == "through_borrow" else 0  # Aave's supply rate is the line times utilisation once more
    lower = Leg(math.inf, (Term(scale * line.slope * used ** (1 + extra), supplied, 1 + extra), rewards))
    if line.kink is None or used <= line.kink:
        return (lower,)
    fixed = Term(scale * (line.slope - line.steep) * line.kink * used**extra, supplied, extra)
    steep = Term(scale * line.steep * used ** (1 + extra), supplied, 1 + extra)
    return Leg(supplied * (used / line.kink - 1.0), (fixed, steep, rewards)), lower


@functools.cache
def _models(path: Path | None) -> Mapping[str, tuple[ModelLine, ...]]:
    try:
        text = (path or resources.files(__package__) / "data" / "dilution.toml").read_text(encoding="utf-8")
        return {key: tuple(_line(key, line) for line in lines) for key, lines in tomllib.loads(text).items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise UsageError(f"{path or 'dilution.toml'}: {error!r}") from error


def _line(key: str, fields: Mapping[str, Any]) -> ModelLine:
    line = ModelLine(**fields)
    sound = line.model in _POWERS and type(line.since) is dt.date and isinstance(line.source, str) and line.source
    if not sound:
        raise ValueError(f"{key} needs a model ({', '.join(get_args(DilutionModel)[:3])}), since (a date) and source")
    return line
