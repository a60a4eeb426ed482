"""The checks on every row and every history: what cannot be used carries a reason, and nothing is repaired silently.

Rows of ``/pools`` (``parse_rows``): a row needs its names in the form that the feed gives them and its numbers in the
right types (``malformed``), finite (``not_finite``) and within bounds (``out_of_bounds``: APY and its parts in [0, 1000
%], TVL in [0, 10^12] dollars); an id that stands twice is not trusted either time (``duplicate_id``).

Histories (``check_history``), over the last 365 days:

* A day's APY is *missing* when there is no row, when it is not finite or outside [0, 1000 %], or when it is a *spike*:
  at least 10 times the median of the (up to 30) valid raw values before it and at least 20 percentage points above that
  median; fewer than 7 values before it decide nothing. Valid means finite and within bounds; the median is over raw
  values, so that a true change of level stops counting as a spike by itself.
* At most 3 missing days in a row take the last value before them, and are counted. More exclude the pool: ``spike``
  when spikes are part of the hole, else ``gap``; at the end of the series, ``stale``.
* ``unit_shift``: from some day on the APY is about 100, 10^6, 10^12 or 10^18 times what it was, or that fraction
  (medians of 7 days on each side, in a series that is steady on each side: a pool whose yield jumps by itself shows no
  unit).
* ``short_history``: fewer than 60 days on record. ``zero_yield``: 0 on each of the last 30 days.
* ``spike`` also when the snapshot's own APY is at least 3 times its 30-day mean and a percentage point above it: a rate
  of one good day is not what the user will earn.

The numbers follow faults that DefiLlama's feed has had (yield-server issues 1941, 2067, 2805, 2899).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.market.snapshot import History, Label, RawRow, Row
from tools.units import FloatArray, from_percent

MAX_APY = 10.0
MAX_TVL_USD = 1e12
MAX_GAP_DAYS = 3
MIN_HISTORY_DAYS = 60
WINDOW_DAYS = 365
RECENT_DAYS = 30
SPIKE_RATIO, SPIKE_RISE, SPIKE_MEMORY, SPIKE_MIN_BEFORE = 10.0, 0.20, 30, 7
SNAPSHOT_SPIKE_RATIO, SNAPSHOT_SPIKE_RISE = 3.0, 0.01
UNIT_SHIFTS = (2.0, 6.0, 12.0, 18.0)  # powers of ten
UNIT_SHIFT_TOLERANCE = 0.15  # of the medians, in powers of ten
UNIT_SHIFT_JUMP_TOLERANCE = 0.4  # of the single day, which is noisier
STEADY_FACTOR = 4.0

# What the feed's own projects and chains look like; anything else there was not written by the feed.
_SLUG = re.compile(r"[\w .&'+()-]{1,60}", re.ASCII)
_CHAIN = re.compile(r"[\w .-]{1,32}", re.ASCII)
_NON_FINITE = {"NaN", "Infinity", "-Infinity"}


@dataclass(frozen=True)
class ParsedRows:
    """The rows that passed, and the reason of each that did not, by pool id.

    ``labels`` names every row that has names.
    """

    total: int
    rows: Mapping[str, Row]
    excluded: Mapping[str, str]
    labels: Mapping[str, Label]


def parse_rows(raw_rows: Sequence[RawRow]) -> ParsedRows:
    """Check the rows of a snapshot; rows without a usable id are counted under ``row N`` in the order given."""
    rows: dict[str, Row] = {}
    excluded: dict[str, str] = {}
    labels: dict[str, Label] = {}
    times = Counter(raw["pool"] for raw in raw_rows if type(raw.get("pool")) is str)
    for number, raw in enumerate(raw_rows):
        label = _label(raw)
        if label is None:
            excluded[f"row {number}"] = "malformed"
            continue
        pool_id: str = raw["pool"]
        row = _row(pool_id, label, raw) if times[pool_id] == 1 else "duplicate_id"
        if isinstance(row, Row):
            rows[pool_id] = row
        else:
            excluded[f"{pool_id} (row {number})" if pool_id in labels else pool_id] = row
        labels.setdefault(pool_id, label)
    return ParsedRows(len(raw_rows), rows, excluded, labels)


def _label(raw: RawRow) -> Label | None:
    """Return a row's names; an id with a blank in it is none, for it could pass for the ``row N`` of another row."""
    names = raw.get("pool"), raw.get("project"), raw.get("chain"), raw.get("symbol")
    if not all(type(name) is str and name for name in names) or " " in raw["pool"]:
        return None
    label = Label(*names[1:])  # type: ignore[arg-type]
    return label if _SLUG.fullmatch(label.project) and _CHAIN.fullmatch(label.chain) else None


def _row(pool_id: str, label: Label, raw: RawRow) -> Row | str:
    tvl, apy, base, reward = raw.get("tvlUsd"), raw.get("apy"), raw.get("apyBase"), raw.get("apyReward")
    for value, required in ((tvl, True), (apy, True), (base, False), (reward, False)):
        if value is None and not required:
            continue
        if isinstance(value, str) and value in _NON_FINITE:
            return "not_finite"
        if type(value) is not float and type(value) is not int:
            return "malformed"
        if isinstance(value, float) and not math.isfinite(value):
            return "not_finite"
    assert tvl is not None
    assert apy is not None
    rates = (rate for rate in (apy, base, reward) if rate is not None)
    if not 0.0 <= tvl <= MAX_TVL_USD or not all(0.0 <= rate <= 100.0 * MAX_APY for rate in rates):
        return "out_of_bounds"
    meta = raw.get("poolMeta")
    return Row(
        pool_id,
        label.project,
        label.chain,
        label.symbol,
        float(tvl),
        from_percent(apy),
        None if base is None else from_percent(base),
        None if reward is None else from_percent(reward),
        meta if isinstance(meta, str) else None,
    )


def check_history(row: Row, chart: Sequence[RawRow], as_of: dt.date, *, lenient: bool = False) -> History | str:
    """Make a gapless daily history that ends on ``as_of``, or return the reason why the pool has none.

    Rows after ``as_of`` are dropped; where a day has several rows, the last one counts. ``lenient`` keeps what can be
    computed with: spikes count as rates, a hole of any length takes the last value, and 30 days are enough.
    """
    apy, tvl, first = _daily(chart, as_of)
    if first is None or (as_of - first).days + 1 < (RECENT_DAYS if lenient else MIN_HISTORY_DAYS):
        return "short_history"
    valid = np.isfinite(apy)
    spikes = np.zeros(apy.shape, dtype=bool) if lenient else _spikes(apy)
    usable = valid & ~spikes
    usable_window, spikes_window = usable[-WINDOW_DAYS:], spikes[-WINDOW_DAYS:]
    filled = _fill(apy, usable)[-WINDOW_DAYS:]
    filled_tvl = _fill(tvl, np.isfinite(tvl))[-WINDOW_DAYS:]
    if not lenient:
        reason = _unusable(row, apy[valid], usable_window, spikes_window, filled)
        if reason:
            return reason
    return History(
        pool_id=row.pool_id,
        first=first,
        last=as_of,
        apy=filled,
        tvl_usd=filled_tvl,
        gaps_filled=int((~usable_window).sum()),
        spikes_dropped=int(spikes_window.sum()),
        constant=bool(np.ptp(filled[-RECENT_DAYS:]) == 0.0),
    )


def _unusable(
    row: Row,
    values: FloatArray,
    usable: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    spikes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    filled: FloatArray,
) -> str | None:
    """Return why a history cannot be used, None for one that can.

    ``values`` are the valid ones, the others lie in the window, one a day.
    """
    if _has_unit_shift(values):
        return "unit_shift"
    reason = _hole(usable, spikes)
    if reason:
        return reason
    if not filled[-RECENT_DAYS:].any():
        return "zero_yield"
    mean = float(np.mean(filled[-RECENT_DAYS:]))
    if row.apy >= SNAPSHOT_SPIKE_RATIO * mean and row.apy >= mean + SNAPSHOT_SPIKE_RISE:
        return "spike"
    return None


def _daily(chart: Sequence[RawRow], as_of: dt.date) -> tuple[FloatArray, FloatArray, dt.date | None]:
    """Put the rows on a calendar from the first day to ``as_of``.

    At most the window and what its spike test looks back on; NaN where missing.
    """
    by_day: dict[str, RawRow] = {}
    last = as_of.isoformat()
    for raw in chart:
        stamp = raw.get("timestamp")
        if isinstance(stamp, str) and stamp[:10] <= last:
            by_day[stamp[:10]] = raw
    days = sorted(day for day in by_day if _is_day(day) and math.isfinite(_rate(by_day[day])))
    if not days:
        return np.empty(0), np.empty(0), None
    first = dt.date.fromisoformat(days[0])
    start = max(first, as_of - dt.timedelta(days=WINDOW_DAYS + 2 * SPIKE_MEMORY))
    calendar = [(start + dt.timedelta(days=n)).isoformat() for n in range((as_of - start).days + 1)]
    rows = [by_day.get(day) for day in calendar]
    apy = np.array([_rate(raw) if raw else math.nan for raw in rows])
    tvl = np.array([_number(raw.get("tvlUsd")) if raw else math.nan for raw in rows])
    return apy, tvl, first


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text  # fromisoformat reads 2025-W09-5 and 20250228 too
    except ValueError:
        return False


def _number(value: object) -> float:
    return float(value) if type(value) is float or type(value) is int else math.nan


def _rate(raw: RawRow) -> float:
    """Return the row's APY as a fraction, NaN when it is missing, not finite or out of bounds."""
    percent = _number(raw.get("apy"))
    return from_percent(percent) if 0.0 <= percent <= 100.0 * MAX_APY else math.nan


def _spikes(apy: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Mark the spikes among the valid values, each against the median of the valid values before it."""
    valid = np.flatnonzero(np.isfinite(apy))
    values = apy[valid]
    medians = np.full(values.size, math.inf)
    for n in range(SPIKE_MIN_BEFORE, min(SPIKE_MEMORY, values.size)):
        medians[n] = np.median(values[:n])
    if values.size > SPIKE_MEMORY:
        windows = np.lib.stride_tricks.sliding_window_view(values[:-1], SPIKE_MEMORY)
        medians[SPIKE_MEMORY:] = np.median(windows, axis=1)
    marks = np.zeros(apy.shape, dtype=bool)
    marks[valid] = (values >= SPIKE_RATIO * medians) & (values >= medians + SPIKE_RISE)
    return marks


def _hole(
    usable: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], spikes: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> str | None:
    """Name the first run of missing days that is too long to fill."""
    start: int | None = None
    for day in range(usable.size + 1):
        if day < usable.size and not usable[day]:
            start = day if start is None else start
            continue
        if start is not None and day - start > MAX_GAP_DAYS:
            if spikes[start:day].any():
                return "spike"
            return "stale" if day == usable.size else "gap"
        start = None
    return None


def _fill(values: FloatArray, usable: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    """Carry the last usable value forward; days before the first usable one take that one."""
    positions = np.where(usable, np.arange(values.size), -1)
    last = np.maximum.accumulate(positions)
    first = int(np.argmax(usable))
    filled: FloatArray = values[np.where(last < 0, first, last)]
    return filled


def _has_unit_shift(values: FloatArray) -> bool:
    """Find a lasting change of the level by a power of ten that units differ by."""
    side = SPIKE_MIN_BEFORE
    positive = values > 0.0
    if values.size < 2 * side or not positive.any():
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(np.where(positive, values, math.nan))
    jumps = np.abs(np.diff(logs))
    near = np.zeros(jumps.shape, dtype=bool)
    for power in UNIT_SHIFTS:
        near |= np.abs(jumps - power) <= UNIT_SHIFT_JUMP_TOLERANCE
    for day in np.flatnonzero(near) + 1:
        before, after = values[max(0, day - side) : day], values[day : day + side]
        if before.size < side or after.size < side or not _is_steady(before) or not _is_steady(after):
            continue
        change = abs(math.log10(float(np.median(after)) / float(np.median(before))))
        if any(abs(change - power) <= UNIT_SHIFT_TOLERANCE for power in UNIT_SHIFTS):
            return True
    return False


def _is_steady(values: FloatArray) -> bool:
    """Tell whether all values are positive and within a factor of their median."""
    median = float(np.median(values))
    return bool(values.min() > median / STEADY_FACTOR and values.max() < median * STEADY_FACTOR)
