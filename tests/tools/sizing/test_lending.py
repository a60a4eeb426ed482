"""The two slopes of a lender: planted ones are found, recorded ones predict the next day."""

from __future__ import annotations

import datetime as dt
import statistics

import pytest

from tools.errors import UsageError
from tools.market.sources import FolderSource
from tools.sizing.lending import (
    TOLERANCE,
    TwoSlopes,
    _entries,
    kept_share,
    largest_error,
    lender_of,
    recorded_days,
    supply_shape,
    two_slopes,
)

LAST = dt.date(2025, 2, 28)


def points(used, slope=0.06, kink=0.9, steep=4.0):
    line = TwoSlopes(slope, kink, steep)
    return [(u, line.at(u)) for u in used]


def test_planted_slopes_and_their_kink_are_found():
    found = two_slopes(points([0.6, 0.7, 0.8, 0.85, 0.91, 0.93, 0.97]))
    assert found == pytest.approx((0.06, 0.9, 4.0))


def test_days_below_the_kink_only_tell_the_lower_slope():
    assert two_slopes(points([0.6, 0.7, 0.8, 0.85, 0.88])) == (pytest.approx(0.06), None, 0.0)


@pytest.mark.parametrize(
    "used",
    [
        [0.6, 0.7, 0.8, 0.85],  # too few
        [0.91, 0.92, 0.93, 0.94, 0.95],  # nothing below the kink
        [0.8, 0.8, 0.8, 0.8, 0.95, 0.96],  # no spread below it
        [0.6, 0.7, 0.8, 0.85, 0.95],  # one day above it: no slope there
    ],
)
def test_days_that_do_not_tell_give_no_slopes(used):
    assert two_slopes(points(used)) is None


def test_a_rate_that_is_flatter_above_is_no_kink():
    assert two_slopes([(0.6, 0.036), (0.7, 0.042), (0.8, 0.048), (0.9, 0.0701), (0.95, 0.0702)]) is None


def test_rows_without_a_sound_figure_are_left_out():
    entry = _entries(None)["compound-v3", "Ethereum", "USDC"]
    good = {
        "date_time": "2025-02-27 23:00:00",
        "total_deposit_usd": "100",
        "utilization_rate": "80",
        "deposit_apy": "3",
        "borrow_apy": "4",
    }
    bad = [good | {"deposit_apy": text} for text in ("", "nan", "inf", "0", "-1", "x")]
    bad += [good | {"utilization_rate": "100.1"}, good | {"date_time": "soon"}, {}]
    days = recorded_days(entry, [*bad, good], LAST)
    assert days == [(dt.date(2025, 2, 27), 100.0, 0.8, 0.03, 0.04)]
    assert recorded_days(entry, [good], dt.date(2025, 2, 26)) == []


def test_a_bad_file_is_refused(tmp_path):
    path = tmp_path / "curves.toml"
    for text in ("market = 1", "[[market]]\nproject = 'x'", ""):
        path.write_text(text)
        _entries.cache_clear()
        with pytest.raises(UsageError, match="curves"):
            _entries(path)


@pytest.mark.parametrize("key", sorted(_entries(None)))
def test_recorded_slopes_predict_the_supply_rate_of_the_next_day(market_folder, published, key):
    """Fitted on the days up to one day, the line is held against the next day's utilisation and supply rate."""
    entry = _entries(None)[key]
    rows = FolderSource(market_folder).table("rates", entry.table, LAST)
    days = recorded_days(entry, rows, LAST)
    errors, fitted = [], 0
    for today, tomorrow in zip(days[30::5], days[31::5], strict=False):
        seen = [row for row in rows if row[entry.date][:10] <= today.date.isoformat()][-40:]
        found = lender_of(*key, today.date, {entry.table: seen})
        assert found is not None
        if found.line is None:
            continue
        fitted += 1
        window = [day for day in days if 0 <= (today.date - day.date).days < found.days]
        assert largest_error(found.line, entry.form, window) == found.error <= TOLERANCE
        share = kept_share(window) if entry.form == "through_borrow" else 1.0
        errors.append(
            abs(share * supply_shape(found.line, entry.form, tomorrow.utilisation) / tomorrow.supply_rate - 1.0)
        )
    worst = sorted(errors)[int(0.9 * len(errors))]
    assert statistics.median(errors) < 0.001
    assert worst < 0.01  # the rest are days on which a vote moved the slopes
    assert fitted > 0.5 * len(days[31::5])
    published.append(
        f"{key[0]} USDC: two slopes fit {fitted} of {len(days[31::5])} days and miss the next day's supply rate by "
        f"{statistics.median(errors):.1e} of it in the median, {worst:.1e} at nine of ten"
    )
