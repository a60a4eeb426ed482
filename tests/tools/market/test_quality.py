"""Bad rows and bad histories are left out with the right reason, and the others go on untouched."""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import AS_OF, chart, day_before, pool_id, raw_row, wavy

from tools.market.demo import LAST_DAY, DemoSource
from tools.market.evidence import Evidence, reduce_chart, reduce_pools
from tools.market.load import read_market
from tools.market.quality import check_history, parse_rows
from tools.market.snapshot import History
from tools.strategies.tokens import ASSETS, load_tokens
from tools.strategies.universe import protocol_tvl, screen

NAMES = ("pool", "project", "chain", "symbol")
RATES = ("apy", "apyBase", "apyReward")
NO_NAME = (..., None, "", 5, 5.0, True, [], {}, ["USDC"])
NO_NUMBER = {
    "malformed": ("5.2", "n/a", "", "1e999", "nan", "٣", True, False, [], {}, [5.0]),
    "not_finite": (math.nan, math.inf, -math.inf, "NaN", "Infinity", "-Infinity"),
    "out_of_bounds": (-1e-5, -1, 1e300, 10**400, -(10**400)),
}
BAD = [
    *((name, value, "malformed") for name in NAMES for value in NO_NAME),
    *((name, value, "malformed") for name in ("tvlUsd", "apy") for value in (..., None)),
    *((name, value, why) for name in ("tvlUsd", *RATES) for why, values in NO_NUMBER.items() for value in values),
    ("tvlUsd", 1e12 + 1, "out_of_bounds"),
    *((name, 1000.00001, "out_of_bounds") for name in RATES),
    ("pool", "row 0", "malformed"),
]


def reasons(parsed):
    return Counter(parsed.excluded.values())


@pytest.mark.parametrize(("field", "value", "reason"), BAD, ids=lambda value: repr(value)[:20])
def test_a_bad_value_of_any_field_excludes_its_row_and_no_other(field, value, reason):
    sound = [raw_row(pool_id(n)) for n in (1, 2)]
    parsed = parse_rows([sound[0], raw_row(pool_id(3), **{field: value}), sound[1]])
    assert set(parsed.rows) == {pool_id(1), pool_id(2)}
    assert reasons(parsed) == {reason: 1}
    assert parsed.total == 3


@pytest.mark.parametrize(("field", "value", "reason"), BAD, ids=lambda value: repr(value)[:20])
def test_no_bad_value_passes_as_it_comes_from_a_feed(field, value, reason):
    reduced, _ = reduce_pools([raw_row(pool_id(1)), raw_row(pool_id(3), **{field: value})])
    parsed = parse_rows(reduced)
    assert set(parsed.rows) == {pool_id(1)}
    assert parsed.total == 2 == len(parsed.rows) + len(parsed.excluded)


@pytest.mark.parametrize("value", [None, ...])
def test_parts_of_the_yield_may_be_absent_and_stay_unknown(value):
    row = parse_rows([raw_row(apyBase=value, apyReward=value)]).rows[pool_id(1)]
    assert (row.apy_base, row.apy_reward) == (None, None)


def test_bounds_themselves_are_within_bounds():
    rows = [raw_row(pool_id(1), apy=1000, tvlUsd=1e12), raw_row(pool_id(2), apy=0, tvlUsd=0, apyBase=0, apyReward=0)]
    parsed = parse_rows(rows)
    assert (parsed.rows[pool_id(1)].apy, parsed.rows[pool_id(2)].apy) == (10.0, 0.0)
    assert not parsed.excluded


def test_percent_become_fractions_and_names_stay_as_they_are():
    row = parse_rows([raw_row(symbol="U\u0405DC", apy=3.46657, apyBase=2, poolMeta=7)]).rows[pool_id(1)]
    assert (row.symbol, row.apy, row.apy_base, row.apy_reward, row.meta) == ("U\u0405DC", 0.0346657, 0.02, 0.01, None)


@pytest.mark.parametrize("twin", [raw_row(apy=9.0), raw_row(symbol=None), raw_row(apy="bad"), raw_row()])
@pytest.mark.parametrize("first", [True, False])
def test_an_id_that_stands_twice_is_trusted_neither_time(twin, first):
    rows = [twin, raw_row()] if first else [raw_row(), twin]
    parsed = parse_rows([*rows, raw_row(pool_id(2))])
    assert set(parsed.rows) == {pool_id(2)}
    assert parsed.excluded[pool_id(1)] == "duplicate_id"
    assert len(parsed.excluded) == 2


def test_an_id_that_stands_three_times_counts_three_times():
    parsed = parse_rows([raw_row()] * 3)
    assert reasons(parsed) == {"duplicate_id": 3}


ANY_ROW = st.builds(
    lambda number, changes: raw_row(pool_id(number), **changes),
    st.integers(1, 6),
    st.dictionaries(
        st.sampled_from((*NAMES, "tvlUsd", *RATES)),
        st.sampled_from((..., None, "row 1", "NaN", -1, 5, 2000.0, math.nan, True)),
        max_size=2,
    ),
)


@given(st.lists(ANY_ROW, max_size=12), st.randoms(use_true_random=False))
def test_every_row_is_counted_once_whatever_its_order(rows, rng):
    parsed = parse_rows(rows)
    assert parsed.total == len(rows) == len(parsed.rows) + len(parsed.excluded)
    assert not set(parsed.rows) & set(parsed.excluded)
    shuffled = rng.sample(rows, len(rows))
    again = parse_rows(shuffled)
    assert again.rows == parsed.rows
    assert reasons(again) == reasons(parsed)


# Histories


@functools.cache
def sound_row():
    return parse_rows([raw_row(apy=5.0)]).rows[pool_id(1)]


def check(percents, as_of=AS_OF, *, apy=None, **options):
    row = parse_rows([raw_row(apy=5.0 if apy is None else apy, apyBase=None, apyReward=None)]).rows[pool_id(1)]
    return check_history(row, chart(percents, as_of, **options), as_of)


def with_holes(percents, *holes):
    """Leave out the days of each hole; the last day is −1."""
    percents = list(percents)
    for first, length in holes:
        for n in range(first, first + length):
            percents[n] = None
    return percents


def same(left, right):
    assert isinstance(left, History)
    assert isinstance(right, History)
    np.testing.assert_array_equal(left.apy, right.apy)
    np.testing.assert_array_equal(left.tvl_usd, right.tvl_usd)
    facts = ("pool_id", "first", "last", "gaps_filled", "spikes_dropped", "constant", "days")
    assert [getattr(left, fact) for fact in facts] == [getattr(right, fact) for fact in facts]


def test_a_sound_history_is_kept_to_the_last_bit():
    percents = wavy(100)
    history = check(percents)
    assert history.apy.tolist() == [round(p / 100, 12) for p in percents]
    assert (history.first, history.last, history.days) == (day_before(99), AS_OF, 100)
    assert (history.gaps_filled, history.spikes_dropped, history.constant) == (0, 0, False)


@pytest.mark.parametrize(("days", "usable"), [(0, False), (1, False), (2, False), (29, False), (59, False), (60, True)])
def test_sixty_days_are_needed(days, usable):
    found = check(wavy(days))
    assert (found.days == 60 and found.apy.size == 60) if usable else found == "short_history"


def test_days_are_counted_from_the_first_usable_value():
    percents = wavy(70)
    percents[:11] = [None if n % 2 else 2e6 for n in range(11)]
    assert check(percents) == "short_history"


def test_the_window_is_a_year_and_the_first_day_lies_where_it_lies():
    history = check(wavy(500))
    assert (history.apy.size, history.tvl_usd.size) == (365, 365)
    assert (history.first, history.days) == (day_before(499), 500)


@pytest.mark.parametrize("start", [-4, -40, -97])
def test_a_gap_of_three_days_takes_the_value_before_it_and_is_counted(start):
    percents = wavy(100)
    history = check(with_holes(percents, (start, 3)))
    expected = list(percents)
    expected[start : start + 3 or None] = [percents[start - 1]] * 3
    assert history.apy.tolist() == [round(p / 100, 12) for p in expected]
    assert history.gaps_filled == 3


def test_gaps_are_counted_over_all_holes():
    assert check(with_holes(wavy(100), (-90, 3), (-50, 2), (-10, 1))).gaps_filled == 6


@pytest.mark.parametrize(("start", "reason"), [(-40, "gap"), (-5, "gap"), (-4, "stale"), (-97, "gap")])
def test_a_gap_of_four_days_excludes(start, reason):
    assert check(with_holes(wavy(100), (start, 4))) == reason


def test_three_days_late_is_filled_and_four_is_stale():
    assert check(with_holes(wavy(100), (-3, 3))).gaps_filled == 3
    assert check(with_holes(wavy(100), (-4, 4))) == "stale"


def test_a_gap_before_the_window_is_history():
    assert isinstance(check(with_holes(wavy(500), (20, 30))), History)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, "5.2", "NaN", True, -0.001, 1000.001, [5.0], {}, 1e300])
def test_an_unusable_value_of_a_day_is_a_missing_day(bad):
    percents = wavy(100)
    rows = chart(percents)
    rows[50]["apy"] = bad
    history = check_history(sound_row(), reduce_chart(rows)[0], AS_OF)
    assert (history.gaps_filled, history.apy[50]) == (1, history.apy[49])


@pytest.mark.parametrize("ratio", [12, 100, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("day", [-10, -1, 40, 7])
def test_a_spike_of_one_day_is_dropped_and_counted(ratio, day):
    percents = wavy(100)
    clean = check(percents)
    percents[day] *= ratio
    history = check(percents)
    assert history.gaps_filled == 1
    assert history.spikes_dropped == (1 if ratio <= 100 else 0), "above 1000 % it is out of bounds"
    assert history.apy[day] == history.apy[day - 1] == clean.apy[day - 1]
    assert history.apy.max() == pytest.approx(clean.apy.max(), abs=0.01)


def test_a_spike_needs_both_the_ratio_and_the_rise():
    small = wavy(100, 0.5, 0.02)
    small[50] = 19.0  # 38 times its median, but 18.5 points
    assert check(small, apy=0.5).spikes_dropped == 0
    large = wavy(100, 30.0, 1.0)
    large[50] = 250.0  # 220 points, but 8 times its median
    assert check(large, apy=30.0).spikes_dropped == 0


def test_too_few_days_before_decide_nothing():
    percents = wavy(100)
    percents[6] = 500.0
    assert check(percents).spikes_dropped == 0
    percents = wavy(100)
    percents[7] = 500.0
    assert check(percents).spikes_dropped == 1


def test_a_spike_on_the_same_day_across_pools_is_dropped_from_each():
    for phase in range(40):
        percents = wavy(120, 2.0 + phase, 0.3, phase)
        percents[60] = 999.0
        if phase < 30:
            assert check(percents, apy=2.0 + phase).spikes_dropped == 1


@pytest.mark.parametrize("days_ago", [60, 30, 16])
def test_a_level_that_lasts_stops_being_a_spike_by_itself(days_ago):
    """The first half of the memory counts as spikes, which are too many to fill; later the new level is the level."""
    percents = [*wavy(200 - days_ago, 3.0), *wavy(days_ago, 60.0)]
    found = check(percents, apy=60.0)
    assert found == "spike"
    later = [*wavy(200, 3.0), *wavy(365 + 16, 60.0)]
    history = check(later, apy=60.0)
    assert history.spikes_dropped == 0
    assert history.apy.min() > 0.5


def test_a_hole_made_of_spikes_says_so():
    percents = wavy(100)
    percents[50:54] = [400.0] * 4
    assert check(percents) == "spike"
    percents = with_holes(wavy(100), (50, 3))
    percents[53] = 400.0
    assert check(percents) == "spike"


@pytest.mark.parametrize("factor", [100.0, 0.01, 1e-6])
@pytest.mark.parametrize("days_ago", [7, 20, 150])
def test_a_change_of_unit_is_found(factor, days_ago):
    level = 0.3 if factor > 1 else 8.0
    before, after = wavy(200 - days_ago, level, level / 20), wavy(days_ago, level, level / 20, 1.0)
    assert check([*before, *(p * factor for p in after)], apy=level * factor) == "unit_shift"


def test_a_change_of_unit_by_a_million_upwards_never_becomes_a_yield():
    tiny = [p / 1e5 for p in wavy(200)]
    assert check([*tiny[:150], *(p * 1e6 for p in tiny[150:])], apy=50.0) == "unit_shift"
    large = wavy(200)
    assert check([*large[:150], *(p * 1e6 for p in large[150:])]) == "stale", (
        "beyond all bounds, so these days are missing"
    )


def test_a_young_change_of_unit_is_caught_by_the_other_checks():
    percents = [*wavy(150), *(p * 100 for p in wavy(3))]
    assert check(percents, apy=500.0) == "spike"


@pytest.mark.parametrize("factor", [3.0, 20.0, 300.0, 0.1])
def test_a_yield_that_moves_by_itself_is_no_change_of_unit(factor):
    percents = [*wavy(500, 2.0), *(p * factor for p in wavy(400, 2.0))]
    assert check(percents, apy=2.0 * factor) != "unit_shift"


def test_false_alarms_on_clean_histories_are_rare():
    generator = np.random.default_rng(7)
    found = Counter()
    for _ in range(150):
        steps = generator.normal(0.0, 0.06, 365)
        levels = np.exp(np.log(6.0) + np.array(functools.reduce(lambda x, s: [*x, 0.97 * x[-1] + s], steps, [0.0])[1:]))
        result = check(np.round(levels, 5).tolist(), apy=float(levels[-1]))
        found["clean" if isinstance(result, History) and result.spikes_dropped == 0 else "alarm"] += 1
    assert found["alarm"] == 0


def test_zero_for_thirty_days_excludes_and_twenty_nine_do_not():
    assert check([*wavy(70), *[0.0] * 30], apy=0.0) == "zero_yield"
    assert isinstance(check([*wavy(71), *[0.0] * 29], apy=0.0), History)


def test_a_constant_yield_above_zero_is_flagged_and_kept():
    assert check([*wavy(70), *[5.0] * 30]).constant
    assert not check([*wavy(71), *[5.0] * 29]).constant


@pytest.mark.parametrize(("apy", "usable"), [(14.9, True), (15.1, False), (900.0, False)])
def test_a_snapshot_three_times_its_own_month_is_one_good_day(apy, usable):
    found = check([5.0] * 100, apy=apy)
    assert isinstance(found, History) if usable else found == "spike"


def test_a_small_snapshot_rise_is_no_spike():
    assert isinstance(check([0.1] * 100, apy=1.0), History), "ten times, but less than a percentage point"


# Time


def test_rows_after_the_day_change_nothing():
    rows = chart(wavy(100))
    future = chart([900.0] * 30, day_before(-30))
    same(check_history(sound_row(), rows, AS_OF), check_history(sound_row(), rows + future, AS_OF))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0.0, 2000.0)), min_size=60, max_size=90),
    st.lists(st.one_of(st.none(), st.floats(0.0, 2000.0)), max_size=40),
)
def test_the_future_never_shows(past, future):
    rows = chart(past)
    later = chart([*past, *future], day_before(-len(future)))
    before, after = (check_history(sound_row(), chosen, AS_OF) for chosen in (rows, later))
    if isinstance(before, str):
        assert before == after
    else:
        same(before, after)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0.0, 2000.0)), min_size=60, max_size=120), st.randoms())
def test_histories_are_finite_gapless_and_do_not_depend_on_the_order_of_rows(percents, rng):
    rows = chart(percents)
    found = check_history(sound_row(), rows, AS_OF)
    again = check_history(sound_row(), rng.sample(rows, len(rows)), AS_OF)
    if isinstance(found, str):
        assert found == again
        return
    same(found, again)
    assert np.isfinite(found.apy).all()
    assert np.isfinite(found.tvl_usd).all()
    assert found.apy.size == min(365, found.days)
    assert ((found.apy >= 0.0) & (found.apy <= 10.0)).all()


def test_the_last_of_several_rows_of_a_day_counts():
    rows = chart(wavy(100), clock="T11:00:00.000Z")
    rows.insert(51, rows[50] | {"timestamp": rows[50]["timestamp"].replace("T11", "T23"), "apy": 7.0})
    history = check_history(sound_row(), rows, AS_OF)
    assert history.apy[50] == 0.07
    assert (history.apy.size, history.gaps_filled) == (100, 0)


@pytest.mark.parametrize("clock", ["T00:00:00.000Z", "T12:34:56Z", "T23:59:59.999Z", ""])
def test_a_day_is_a_utc_day_whatever_the_time_of_the_row(clock):
    same(check(wavy(100), clock=clock), check(wavy(100)))


def test_days_stay_days_where_clocks_change():
    """The clocks of Europe and America change in March and October: no UTC day is lost, none counts twice."""
    for as_of in (dt.date(2025, 4, 5), dt.date(2024, 11, 10), dt.date(2024, 3, 1)):
        history = check(wavy(100), as_of)
        assert (history.days, history.gaps_filled, history.last) == (100, 0, as_of)


@pytest.mark.parametrize(
    "stamp", [None, 5, "", "yesterday", "20230101", "2023-W09-5", "2024-13-01", "2024-02-30T00:00Z"]
)
def test_a_row_without_a_usable_day_is_no_row(stamp):
    rows = chart(wavy(100))
    odd = rows[0] | {"timestamp": stamp, "apy": 3.0}
    same(check_history(sound_row(), [odd, *rows, odd], AS_OF), check_history(sound_row(), rows, AS_OF))


def test_an_unusable_size_takes_the_one_before():
    rows = chart(wavy(100))
    for n, size in ((0, None), (50, math.nan), (51, "7"), (99, None)):
        rows[n]["tvlUsd"] = size
    history = check_history(sound_row(), rows, AS_OF)
    assert (history.tvl_usd == 50_000_000.0).all()


# A spike moves the average by little


@pytest.mark.parametrize("height", [60.0, 500.0, 5e3, 5e6])
def test_a_spike_moves_the_mean_by_less_than_a_hundredth_of_a_point(height):
    percents = wavy(365)
    clean = check(percents).apy.mean()
    percents[300] = height
    assert check(percents).apy.mean() == pytest.approx(clean, abs=1e-4)


# The demo market


@pytest.fixture(scope="module")
def demo():
    """What becomes of each faulty pool of the demo market and of a quarter of the others: a history or a reason.

    A pool of another asset's tokens has no verdict for an asset; one of no asset's is ``token_not_allowed``.
    """
    source = DemoSource()
    planted = {fault: pools for fault, pools in source.planted.items() if fault != "unsplit"}
    faulty = set().union(*planted.values())
    parsed = parse_rows(reduce_pools(source.pools(LAST_DAY))[0])
    verdicts = dict.fromkeys(faulty - set(parsed.labels), "malformed")
    for asset in ASSETS:
        excluded = screen(parsed, asset)
        for pool, reason in excluded.items():
            if reason != "token_not_allowed" or verdicts.get(pool) is None:
                verdicts[pool] = reason
        sound = sorted(set(parsed.rows) - set(excluded) - faulty)[::4]
        wanted = sorted(faulty & set(parsed.rows) - set(excluded)) + sound
        for pool, rows in source.charts(wanted, LAST_DAY).items():
            verdicts[pool] = check_history(parsed.rows[pool], reduce_chart(rows)[0], LAST_DAY) if rows else "no_history"
    return planted, parsed, verdicts


def fates(demo, fault):
    planted, _, verdicts = demo
    reasons = (verdicts[pool] for pool in planted[fault])
    return Counter("eligible" if isinstance(reason, History) else reason for reason in reasons)


CAUGHT = {  # planted fault → the reasons that catch it, and the least share of its pools that must be caught by them
    "dead": ({"stale"}, 1.0),
    "gap_long": ({"gap", "token_not_allowed"}, 1.0),
    "short_history_0": ({"no_history", "short_history"}, 1.0),
    "short_history_5": ({"short_history", "token_not_allowed"}, 1.0),
    "short_history_30": ({"short_history", "token_not_allowed"}, 1.0),
    "short_history_59": ({"short_history", "token_not_allowed"}, 1.0),
    "no_chart": ({"no_history", "token_not_allowed"}, 1.0),
    "unit_shift_up": ({"unit_shift", "out_of_bounds"}, 1.0),
    "unit_shift_down": ({"unit_shift"}, 1.0),
    "extreme_apy": ({"out_of_bounds"}, 1.0),
    "zero_yield": ({"zero_yield", "token_not_allowed"}, 1.0),
    "spike_on_last_day": ({"spike", "token_not_allowed"}, 1.0),
    "zero_tvl": ({"too_small", "token_not_allowed"}, 1.0),
    "negative_tvl": ({"out_of_bounds", "token_not_allowed"}, 1.0),
    "nan_apy": ({"not_finite", "token_not_allowed"}, 1.0),
    "string_number": ({"malformed", "token_not_allowed"}, 1.0),
    "missing_fields": ({"malformed", "token_not_allowed"}, 1.0),
    "duplicate_id": ({"duplicate_id", "token_not_allowed"}, 1.0),
    "tvl_drop_95": ({"too_small", "token_not_allowed"}, 0.8),
}


@pytest.mark.parametrize("fault", CAUGHT)
def test_planted_faults_are_caught(demo, fault):
    reasons_that_catch, share = CAUGHT[fault]
    found = fates(demo, fault)
    assert sum(found[reason] for reason in reasons_that_catch) >= share * found.total()
    assert set(found) - {"token_not_allowed"}, "some of its pools are of a known asset, so the check itself has worked"


def histories(demo, fault):
    planted, _, verdicts = demo
    found = [verdicts[pool] for pool in sorted(planted[fault]) if isinstance(verdicts[pool], History)]
    assert found, "some of its pools are eligible"
    return found


@pytest.mark.parametrize("fault", ["spike", "spike_common_mode", "gap_short", "late_feed", "late_split"])
def test_faults_that_can_be_mended_are_mended_and_counted(demo, fault):
    for history in histories(demo, fault):
        assert history.last == LAST_DAY
        if "spike" in fault:
            assert history.gaps_filled >= 1
            assert history.apy.max() < 5.0
        if fault in {"gap_short", "late_feed"}:
            assert history.gaps_filled >= 2


def test_stuck_feeds_are_flagged(demo):
    assert all(history.constant for history in histories(demo, "stuck_feed"))


def test_pools_without_a_planted_fault_are_hardly_ever_excluded_by_a_check(demo):
    planted, parsed, verdicts = demo
    faulty = set().union(*planted.values())
    found = Counter(
        "eligible" if isinstance(verdict, History) else verdict
        for pool, verdict in verdicts.items()
        if pool not in faulty and pool in parsed.rows
    )
    alarms = sum(found[reason] for reason in ("spike", "unit_shift", "gap"))
    assert found["eligible"] > 100
    assert alarms <= 0.02 * found["eligible"]


def test_hostile_and_look_alike_names_never_become_another_token(demo):
    planted, parsed, verdicts = demo
    tokens = load_tokens()
    assert fates(demo, "look_alike") == {"token_not_allowed": 8}
    for pool in planted["hostile_name"]:
        if isinstance(verdicts[pool], History):
            row = parsed.rows[pool]
            own = tokens.tokens_of(row.project, row.symbol)
            assert any(tokens.allowed(asset, own) for asset in ASSETS)
            assert all(token.isascii() for token in own)


# The recorded market


@pytest.mark.parametrize(
    ("asset", "day", "least"),
    [("USD", dt.date(2025, 2, 28), 20), ("ETH", dt.date(2025, 9, 26), 5), ("BTC", dt.date(2025, 9, 26), 2)],
)
def test_the_recorded_market_adds_up_and_its_histories_are_sound(market_folder, asset, day, least):
    from tools.market.sources import FolderSource

    market = read_market(
        Evidence(FolderSource(market_folder)), asset, day, functools.partial(screen, asset=asset), protocol_tvl
    )
    assert market.pools_total == len(market.histories) + len(market.excluded)
    assert len(market.histories) >= least
    for history in market.histories.values():
        assert history.last == day
        assert history.days >= 60
        assert np.isfinite(history.apy).all()
        assert history.apy[-30:].any()


def test_the_largest_recorded_snapshot_adds_up(market_folder):
    """Eighteen thousand rows, yields up to 687,486 % and rows without a size among them."""
    from tools.market.sources import FolderSource

    rows, _ = reduce_pools(FolderSource(market_folder).pools(dt.date(2025, 11, 3)))
    parsed = parse_rows(rows)
    assert parsed.total == len(rows) == len(parsed.rows) + len(parsed.excluded) > 18_000
    assert reasons(parsed)["out_of_bounds"] >= 100
    assert all(row.apy <= 10.0 for row in parsed.rows.values())
    assert json.dumps(sorted(parsed.excluded)), "every key is a text"


def test_shuffled_snapshots_give_the_same_rows():
    rows = DemoSource().pools(LAST_DAY)
    shuffled = random.Random(1).sample(rows, len(rows))
    first, second = (parse_rows(reduce_pools(r)[0]) for r in (rows, shuffled))
    assert first.rows == second.rows
    assert first.excluded == second.excluded
