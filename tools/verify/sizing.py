"""What a pool pays once the position itself is in it, recomputed from the saved rows.

A second implementation of the formulas of ``docs/design/sizing.md``. Rewards are shared with the deposit x whatever
the model, reward · b/(b + x). The rest of the yield stays as it is (``none``), is shared, · b/(b + x) (``shared``), or
falls with the square of utilisation, · (b/(b + x))² (``square``). Where a table says what a lender was supplied and
lends out, and its last days lie on a line of two slopes, the rate follows that line (``kinked``).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tools.verify.book import Book, JsonObject, amounts
from tools.verify.evidence import as_number
from tools.verify.report import Findings
from tools.verify.series import ordinal

POWERS = {"none": 0, "shared": 1, "square": 2}
WINDOWS_DAYS = (30, 21, 14, 7)
LONGEST_AGE_DAYS = 3
LEAST_DAYS, LEAST_BELOW, LEAST_SPREAD = 5, 3, 0.01
BELOW_KINK, TOLERANCE = 1.005, 0.02
SAME_POOL = 0.10  # what a table says can be withdrawn may differ so much from the pool's TVL
FITTED = 1e-6  # within which two fits of one line agree
KINKED_OR_SQUARE = "lender"


class Columns(NamedTuple):
    """Where a lender's table has the day, the dollars supplied, utilisation, supply and borrow rate.

    ``full`` is the utilisation of a lender that has lent out all of it; ``own`` says that the supply rate has the two
    slopes itself, and not the borrow rate.
    """

    table: str
    day: str
    supplied: str
    utilisation: str
    supply: str
    borrow: str
    full: float
    own: bool


LENDERS: Mapping[tuple[str, str, str], Columns] = {
    ("aave-v3", "Ethereum", "USDC"): Columns(
        "aave_v3_ethereum_usdc_subgraph_daily.csv", "date", "totalDepositBalanceUSD",
        "X_Aave_Utilization", "Y_Aave_APY", "X_Variable_Borrow_APY", 1.0, own=False,
    ),
    ("compound-v3", "Ethereum", "USDC"): Columns(
        "compound_v3_ethereum_usdc_subgraph_daily.csv", "date_time", "total_deposit_usd",
        "utilization_rate", "deposit_apy", "borrow_apy", 100.0, own=True,
    ),
}  # fmt: skip


class Day(NamedTuple):
    """A recorded day of a lender: dollars supplied, the share lent out, rates as fractions per year."""

    supplied: float
    used: float
    supply: float
    borrow: float


class Line(NamedTuple):
    """A rate of two slopes: ``slope`` · u up to the kink, then ``steep`` · (u − kink) on top of slope · kink."""

    slope: float
    kink: float
    steep: float

    def at(self, used: float) -> float:
        """Return the rate at a utilisation, a fraction per year."""
        return self.slope * min(used, self.kink) + self.steep * max(0.0, used - self.kink)


class Lender(NamedTuple):
    """A lender on the day of the decision; without a ``line`` only supply and utilisation are known."""

    supplied: float
    used: float
    line: Line | None
    own: bool

    def shape(self, used: float) -> float:
        """Return the supply rate at a utilisation up to a constant factor."""
        assert self.line is not None
        return self.line.at(used) * (1.0 if self.own else used)


def check_sizes(book: Book, findings: Findings) -> None:
    """Recompute what each pool of each candidate pays at its own size, and what the candidate loses by that."""
    _, dollars = amounts(book.record)
    models: dict[str, str] = {}
    lenders = {key: _lender(columns, book) for key, columns in LENDERS.items()}
    for index, candidate in enumerate(book.record["candidates"]):
        for place, pool in enumerate(candidate["pools"]):
            at = f"/candidates/{index}/pools/{place}/at_size"
            own = pool["at_size"]
            if "sizing" in book.record["off"]:
                _check_undiluted(pool, dollars, at, findings)
                continue
            model = KINKED_OR_SQUARE if own["model"] in ("kinked", "square") else own["model"]
            first = models.setdefault(pool["project"], model)
            findings.same(f"{at}/model", model, first, "how the rates of its project fall elsewhere")
            lender = lenders.get((pool["project"], pool["chain"], pool["symbol"].upper()))
            rows = book.evidence.rows.get(pool["pool_id"], [])
            described = bool(rows) and bool(rows[0].get("poolMeta"))
            if model != KINKED_OR_SQUARE or described or not _same_pool(lender, pool["tvl_usd"]):
                lender = None
            _check_size(pool, lender, dollars, at, findings)


def dilution(candidate: JsonObject) -> float | None:
    """Return Σ weight · (APY − APY at the position's size); None where one of these is not known."""
    rates = [(pool["weight"], pool["apy"], pool["at_size"]["apy"]) for pool in candidate["pools"]]
    if any(at_size is None for _, _, at_size in rates):
        return None
    return math.fsum(weight * (apy - at_size) for weight, apy, at_size in rates)


def _check_undiluted(pool: JsonObject, dollars: float | None, pointer: str, findings: Findings) -> None:
    """See that where the own deposit is left out of account, every size pays the rate of the day."""
    own = pool["at_size"]
    findings.same(f"{pointer}/model", own["model"], "none", "the model where sizes are off")
    expected = None if dollars is None else pool["apy"]
    findings.number(f"{pointer}/apy", own["apy"], expected, "the rate of the day")
    findings.same(f"{pointer}/reason", own["reason"] is None, own["apy"] is not None, "whether there is a rate")


def _check_size(
    pool: JsonObject, lender: Lender | None, dollars: float | None, pointer: str, findings: Findings
) -> None:
    own, tvl = pool["at_size"], pool["tvl_usd"]
    findings.same(f"{pointer}/reason", own["reason"] is None, own["apy"] is not None, "whether there is a rate")
    base_apy = _base(pool)
    fitted = lender is not None and lender.line is not None and base_apy > 0.0
    if own["model"] in ("kinked", "square"):
        model = "kinked" if fitted else "square"
        findings.same(f"{pointer}/model", own["model"], model, "what the saved days of the lender give")
    if not tvl > 0.0:
        findings.number(f"{pointer}/apy", own["apy"], None, "the rate of a pool without money")
        return
    base = tvl if lender is None else lender.supplied
    findings.number(f"{pointer}/base_usd", own["base_usd"], base, "what the yield is shared among")
    used = None if lender is None else lender.used
    findings.number(f"{pointer}/utilisation", own["utilisation"], used, "what the saved days of the lender give")
    expected = None
    if dollars is not None:
        kept = base / (base + pool["weight"] * dollars)
        rewards = (pool["apy"] - base_apy) * kept
        if fitted:
            assert lender is not None
            expected = base_apy * lender.shape(lender.used * kept) / lender.shape(lender.used) + rewards
        else:
            power = POWERS.get(own["model"], 2) if base_apy > 0.0 else 0
            expected = base_apy * kept**power + rewards
    relative = FITTED if fitted else 1e-9
    findings.number(f"{pointer}/apy", own["apy"], expected, "what is left of its APY at this size", relative)


def _base(pool: JsonObject) -> float:
    """Return the APY without rewards: all of it where none is reported, none of it where only rewards are."""
    if pool["apy_base"] is not None:
        return float(min(pool["apy_base"], pool["apy"]))
    return 0.0 if pool["apy_reward"] else float(pool["apy"])


def _same_pool(lender: Lender | None, tvl: float) -> bool:
    return lender is not None and abs(lender.supplied * (1.0 - lender.used) - tvl) <= SAME_POOL * tvl


# --- the lender's own table -------------------------------------------------------------------------------------------


def _lender(columns: Columns, book: Book) -> Lender | None:
    table = book.evidence.tables.get(f"rates/{columns.table}")
    days: dict[int, Day] = {}
    for row in table if isinstance(table, list) else ():
        read = _day(row, columns) if isinstance(row, dict) else None
        if read is not None and read[0] <= book.last:
            days[read[0]] = read[1]
    if not days or book.last - max(days) > LONGEST_AGE_DAYS:
        return None
    newest = max(days)
    found = None
    for window in WINDOWS_DAYS:
        recent = [days[day] for day in sorted(days) if newest - day < window]
        found = found or _line(recent, columns.own)
    return Lender(days[newest].supplied, days[newest].used, found, columns.own)


def _day(row: Mapping[str, Any], columns: Columns) -> tuple[int, Day] | None:
    day = ordinal(row.get(columns.day))
    names = (columns.supplied, columns.utilisation, columns.supply, columns.borrow)
    values = [value for value in (as_number(row.get(name)) for name in names) if value is not None]
    if day is None or len(values) < len(names) or not all(0.0 < value < math.inf for value in values):
        return None
    used = values[1] / columns.full
    return (day, Day(values[0], used, values[2] / 100.0, values[3] / 100.0)) if used <= 1.0 else None


def _line(days: Sequence[Day], own: bool) -> Line | None:
    """Fit the two slopes to the days of a window; None where they do not tell, or one day is off by over 2 %."""
    points = [(day.used, day.supply if own else day.borrow) for day in days]
    if len(points) < LEAST_DAYS:
        return None
    least = min(rate / used for used, rate in points)
    below = [point for point in points if point[1] / point[0] <= BELOW_KINK * least]
    above = [point for point in points if point[1] / point[0] > BELOW_KINK * least]
    spread = max(used for used, _ in below) - min(used for used, _ in below)
    if len(below) < LEAST_BELOW or spread < LEAST_SPREAD:
        return None
    line = _with_kink(statistics.median(rate / used for used, rate in below), above)
    return line if line is not None and _largest_error(line, days, own) <= TOLERANCE else None


def _with_kink(slope: float, above: Sequence[tuple[float, float]]) -> Line | None:
    """Draw the least-squares line through the points above the kink, down to where it meets the lower slope."""
    if not above:
        return Line(slope, math.inf, 0.0)
    middle = math.fsum(used for used, _ in above) / len(above)
    mean = math.fsum(rate for _, rate in above) / len(above)
    squares = math.fsum((used - middle) ** 2 for used, _ in above)
    if len({used for used, _ in above}) < 2 or squares == 0.0:
        return None
    steep = math.fsum((used - middle) * (rate - mean) for used, rate in above) / squares
    if steep <= slope:
        return None
    kink = (mean - steep * middle) / (slope - steep)
    return Line(slope, kink, steep) if 0.0 < kink <= 1.0 else None


def _largest_error(line: Line, days: Sequence[Day], own: bool) -> float:
    part = 1.0 if own else statistics.median(day.supply / (day.used * day.borrow) for day in days)
    return max(abs(line.at(day.used) * (1.0 if own else day.used) * part / day.supply - 1.0) for day in days)
