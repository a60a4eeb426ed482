"""What is earned without choosing: by asset, by date, with its source, and never from the future."""

from __future__ import annotations

import csv
import datetime as dt
from importlib import resources

import numpy as np
import pytest
from made_market import AS_OF, market, pool

from tools.strategies.rates import risk_free_rate


def on(day):
    return market([], as_of=day)


def rows(asset):
    text = (resources.files("tools.strategies") / "data" / "risk_free.csv").read_text(encoding="utf-8")
    return {
        row["month"]: float(row["rate_percent"]) for row in csv.DictReader(text.splitlines()) if row["asset"] == asset
    }


@pytest.mark.parametrize(
    ("day", "month"),
    [
        (dt.date(2025, 2, 1), "2025-01"),
        (dt.date(2025, 2, 28), "2025-01"),
        (dt.date(2025, 3, 1), "2025-02"),
        (dt.date(2025, 1, 31), "2024-12"),
    ],
)
def test_a_dollar_earns_the_bill_of_the_last_completed_month(day, month):
    found = risk_free_rate("USD", on(day))
    assert found.rate == pytest.approx(rows("USD")[month] / 100, abs=1e-12)
    assert "Treasury bill" in found.source
    assert month in found.source


def test_every_month_of_the_file_is_a_fraction_of_its_percent_and_sources_are_named():
    found = rows("USD")
    assert len(found) >= 48
    for month, percent in found.items():
        first = dt.date.fromisoformat(f"{month}-01")
        following = (first + dt.timedelta(days=31)).replace(day=1)
        assert risk_free_rate("USD", on(following)).rate == pytest.approx(percent / 100, abs=1e-12)
        assert -1.0 <= percent <= 25.0


def test_an_old_rate_says_how_old_it_is():
    newest = max(rows("USD"))
    year, month = map(int, newest.split("-"))
    much_later = dt.date(year + 2, month, 15)
    assert "24 months before" in risk_free_rate("USD", on(much_later)).source


@pytest.mark.parametrize("asset", ["USD", "ETH"])
def test_a_rate_from_after_the_decision_says_so(asset):
    assert "later than the decision" in risk_free_rate(asset, on(dt.date(2019, 5, 1))).source
    assert "later" not in risk_free_rate(asset, on(AS_OF)).source


def test_ether_earns_what_the_market_pays_for_staking():
    series = np.linspace(0.02, 0.04, 100)
    staked = pool(1, project="lido", family="lido", tokens=("STETH",), series=series)
    other = pool(2, project="aave-v3", tokens=("STETH",), series=np.full(100, 0.9))
    found = risk_free_rate("ETH", market([other, staked]))
    assert found.rate == pytest.approx(float(np.mean(series[-30:])), rel=1e-12)
    assert "30 days to 2025-02-28" in found.source


def test_ether_falls_back_on_the_file_where_the_market_lacks_the_pool():
    found = risk_free_rate("ETH", market([pool(2, tokens=("STETH",))]))
    assert 0.01 < found.rate < 0.08
    assert AS_OF.isoformat() not in found.source


def test_holding_bitcoin_pays_nothing():
    found = risk_free_rate("BTC", on(AS_OF))
    assert found.rate == 0.0
    assert found.source
