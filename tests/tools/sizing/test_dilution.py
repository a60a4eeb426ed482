"""The rate by the size of the own deposit: four models, their data, and what a day may know."""

from __future__ import annotations

import datetime as dt
import functools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_market import pool

from tools.errors import UsageError
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.sources import FolderSource
from tools.risk.lookup import ProtocolRisks
from tools.sizing import at_size, curve_of, dilution_tables, flat
from tools.sizing.dilution import _models
from tools.strategies.universe import build_universe, protocol_tvl, screen

DAY = dt.date(2025, 2, 28)
MILLION = 1e6


def paying(project, base=0.04, reward=None, tvl=100 * MILLION, **row):
    """A pool of a project with these APYs."""
    made = pool(1, tvl_usd=tvl)
    fields = {"chain": "Ethereum", "symbol": "USDC", "meta": None} | row
    apy = base + (reward or 0.0)
    changed = replace(made.row, project=project, apy=apy, apy_base=base, apy_reward=reward, tvl_usd=tvl, **fields)
    return replace(made, row=changed, family=project)


def aave_rows(points, supplied=1_000 * MILLION, slope=0.06, kink=0.92, steep=5.0, last=DAY):
    """Rows of the recorded table at these utilisations, the last on ``last``, of a lender with two known slopes."""
    rows = []
    for age, u in enumerate(reversed(points)):
        borrow = slope * u if u <= kink else slope * kink + steep * (u - kink)
        rows.append(
            {
                "date": (last - dt.timedelta(days=age)).isoformat(),
                "Y_Aave_APY": str(100 * 0.9 * u * borrow),
                "X_Variable_Borrow_APY": str(100 * borrow),
                "X_Aave_Utilization": str(u),
                "totalDepositBalanceUSD": str(supplied),
            }
        )
    return rows[::-1]


AAVE = "aave_v3_ethereum_usdc_subgraph_daily.csv"
BELOW = [0.70, 0.75, 0.80, 0.85, 0.93, 0.95, 0.80]
ABOVE = [*BELOW, 0.94]


@pytest.mark.parametrize(
    ("project", "model", "power"), [("lido", "none", 0), ("ethena-usde", "shared", 1), ("sparklend", "square", 2)]
)
def test_each_model_has_its_power_of_the_share_that_was_there_before(project, model, power):
    curve = curve_of(paying(project), DAY, {})
    assert curve.model == model
    for x in (0.0, 1e4, MILLION, 50 * MILLION, 1e9):
        assert curve.rate(x) == pytest.approx(0.04 * (1e8 / (1e8 + x)) ** power, rel=1e-14)


def test_a_project_that_nothing_is_known_of_shares_its_income():
    curve = curve_of(paying("some-new-vault"), DAY, {})
    assert (curve.model, curve.rate(1e8)) == ("shared", pytest.approx(0.02))
    assert "not on file" in curve.basis


def test_rewards_are_shared_whatever_the_model():
    assert curve_of(paying("lido", reward=0.03), DAY, {}).rate(1e8) == pytest.approx(0.04 + 0.015)
    assert curve_of(paying("sparklend", reward=0.03), DAY, {}).rate(1e8) == pytest.approx(0.01 + 0.015)


def test_a_negative_yield_is_not_made_smaller_by_a_deposit():
    assert curve_of(paying("sparklend", base=-0.02, reward=0.05), DAY, {}).rate(1e8) == pytest.approx(-0.02 + 0.025)


def test_a_model_is_known_from_its_launch_only():
    assert curve_of(paying("sparklend"), dt.date(2023, 5, 8), {}).model == "shared"
    assert curve_of(paying("sparklend"), dt.date(2023, 5, 9), {}).model == "square"


def test_a_family_speaks_for_its_projects():
    assert curve_of(paying("morpho-v1"), DAY, {}).model == "square"


def test_a_pool_without_money_has_no_curve():
    with pytest.raises(ValueError, match="tvl_usd"):
        curve_of(paying("lido", tvl=0.0), DAY, {})


def test_a_deposit_that_is_no_amount_is_refused():
    for x in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="x_usd"):
            flat(0.05).rate(x)


def test_the_record_of_a_position():
    curve = curve_of(paying("sparklend"), DAY, {})
    known, unknown = at_size(curve, 1e8), at_size(curve, None)
    assert (known.model, known.base_usd, known.utilisation, known.reason) == ("square", 1e8, None, None)
    assert known.apy == pytest.approx(0.01)
    assert (unknown.apy, unknown.reason) == (None, "no amount is known")


def test_a_scaled_curve_keeps_its_shape():
    curve = curve_of(paying("sparklend", reward=0.03), DAY, {})
    doubled = curve.scaled(0.14)
    for x in (0.0, 1e6, 1e8):
        assert doubled.rate(x) == pytest.approx(2.0 * curve.rate(x))
    assert flat(0.0).scaled(0.05).rate(1e9) == 0.05
    with pytest.raises(ValueError, match="apy"):
        curve.scaled(math.nan)


# Lenders on record


def lender(points=ABOVE, base=0.10, tvl=None, as_of=DAY, **changes):
    rows = aave_rows(points, **{key: value for key, value in changes.items() if key in {"last", "supplied"}})
    row = {key: value for key, value in changes.items() if key in {"meta", "symbol", "chain", "reward"}}
    free = 1_000 * MILLION * (1.0 - points[-1])
    return curve_of(paying("aave-v3", base=base, tvl=tvl or free, **row), as_of, {AAVE: rows})


def test_a_recorded_lender_follows_its_two_slopes():
    """By hand: supply rate ∝ u · borrow(u), u = u₀ S/(S + x), through the kink and beyond."""
    curve = lender()
    assert (curve.model, curve.base_usd, curve.utilisation) == ("kinked", 1e9, 0.94)

    def supply(u):
        return u * (0.06 * u if u <= 0.92 else 0.06 * 0.92 + 5.0 * (u - 0.92))

    for x in (0.0, 5e6, 1e9 * (0.94 / 0.92 - 1.0), 3e7, 1e8, 2e9):
        assert curve.rate(x) == pytest.approx(0.10 * supply(0.94 * 1e9 / (1e9 + x)) / supply(0.94), rel=1e-9)


def test_below_its_kink_a_recorded_lender_falls_with_the_square_of_what_was_supplied():
    curve = lender(BELOW)
    assert (curve.model, curve.utilisation) == ("kinked", 0.80)
    assert curve.rate(1e8) == pytest.approx(0.10 * (1e9 / 1.1e9) ** 2)


def test_what_was_supplied_is_more_than_what_can_be_withdrawn_so_the_record_dilutes_less():
    assert lender(BELOW).rate(1e7) > curve_of(paying("aave-v3", base=0.10, tvl=2e8), DAY, {}).rate(1e7)


@pytest.mark.parametrize(
    "changes",
    [
        {"meta": "a market of its own"},
        {"symbol": "USDT"},
        {"chain": "Base"},
        {"last": DAY - dt.timedelta(days=4)},
        {"tvl": 5e8},
    ],
)
def test_a_table_that_does_not_speak_of_this_pool_today_is_not_used(changes):
    assert (lender(**changes).model, lender(**changes).utilisation) == ("square", None)


def test_a_lender_whose_days_fit_no_slopes_keeps_its_utilisation():
    curve = lender([0.80, 0.9401, 0.9402, 0.9403, 0.9404, 0.9405, 0.94])
    assert (curve.model, curve.base_usd, curve.utilisation) == ("square", 1e9, 0.94)


def test_rows_after_the_day_change_nothing():
    earlier = DAY - dt.timedelta(days=2)
    rows = aave_rows(ABOVE)
    known = [row for row in rows if row["date"] <= earlier.isoformat()]
    made = paying("aave-v3", tvl=1e9 * (1.0 - ABOVE[-3]))
    assert curve_of(made, earlier, {AAVE: rows}) == curve_of(made, earlier, {AAVE: known})


@given(
    points=st.sampled_from([BELOW, ABOVE]),
    reward=st.sampled_from([None, 0.02]),
    x=st.floats(1e3, 1e9),
)
def test_marginal_is_the_derivative_of_income_and_the_rate_never_rises(points, reward, x):
    curve = lender(points, reward=reward)
    step = 1e-4 * x
    kink = curve.legs[0].until_usd
    if abs(x - kink) > 2 * step:
        slope = ((x + step) * curve.rate(x + step) - (x - step) * curve.rate(x - step)) / (2 * step)
        assert curve.marginal(x) == pytest.approx(slope, rel=1e-5, abs=1e-7)
    assert curve.rate(x + step) <= curve.rate(x)


def test_at_the_kink_both_legs_agree():
    curve = lender()
    kink = curve.legs[0].until_usd
    assert curve.rate(math.nextafter(kink, math.inf)) == pytest.approx(curve.rate(kink), rel=1e-12)


def test_the_data_are_read_whole_and_a_bad_file_is_refused(tmp_path):
    assert dilution_tables() == (AAVE, "compound_v3_ethereum_usdc_subgraph_daily.csv")
    texts = ("aave = 1", 'aave = [{ model = "cubic", since = 2020-01-01, source = "x" }]', "aave = [{}]", "[")
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        with pytest.raises(UsageError, match="toml"):
            _models(path)


# The recorded market


@pytest.mark.parametrize(("asset", "day"), [("USD", DAY), ("ETH", dt.date(2025, 8, 31))])
def test_every_recorded_pool_pays_its_own_apy_on_nothing_and_less_on_more(market_folder, asset, day):
    source = FolderSource(market_folder)
    screening = functools.partial(screen, asset=asset)
    market = read_market(Evidence(source), asset, day, screening, protocol_tvl)
    tables = {name: source.table("rates", name, day) for name in dilution_tables()}
    pools = build_universe(market, asset, ProtocolRisks(market)).pools
    curves = {p.id: curve_of(p, day, tables) for p in pools}
    for p in pools:
        rates = [curves[p.id].rate(x) for x in (0.0, 1e4, 1e6, 1e7, 5e7)]
        assert rates[0] == pytest.approx(p.row.apy, abs=1e-15)
        assert rates == sorted(rates, reverse=True)
    if asset == "USD":
        kinked = [p for p in pools if curves[p.id].model == "kinked"]
        assert [(p.row.project, p.row.symbol) for p in kinked] == [("aave-v3", "USDC")]
        # What was supplied, 3.0 billion, is 2.6 times what can be withdrawn.
        assert curves[kinked[0].id].base_usd == pytest.approx(2.57 * kinked[0].row.tvl_usd, rel=0.01)
