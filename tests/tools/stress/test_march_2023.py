"""What a dollar strategy of 2023-03-10 would have lost, by the recorded prices and yields."""

import csv
import datetime as dt
import gzip
import json
from pathlib import Path

import pytest

from tools.stress import Holding, events_known, replay, replay_through

FIRST, LAST = dt.date(2023, 3, 10), dt.date(2023, 3, 31)
THREE_POOL = "25171c4c-1877-449a-9f88-45a9f153ee31"  # Curve DAI-USDC-USDT, 499 m dollars that day
AAVE_V3 = "aa70268e-4b52-42bf-a116-608b370f9501"  # Aave v3 USDC, Ethereum, 20 m dollars that day


def price_rows(folder: Path, token: str) -> list[dict[str, str]]:
    with (folder / "prices" / f"{token.lower()}_usd_daily.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def chart_apy(folder: Path, pool: str) -> dict[dt.date, float]:
    with gzip.open(folder / "charts" / f"{pool}.json.gz", "rt", encoding="utf-8") as file:
        rows = json.load(file)["data"]
    return {dt.date.fromisoformat(row["timestamp"][:10]): row["apy"] / 100.0 for row in rows if row["apy"] is not None}


def compound_apy(folder: Path) -> dict[dt.date, float]:
    with (folder / "rates" / "compound_v3_ethereum_usdc_subgraph_daily.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    dated = {dt.date.fromisoformat(row["date_time"][:10]): row["deposit_apy"] for row in rows}
    return {day: float(apy) / 100.0 for day, apy in dated.items() if apy}


@pytest.fixture(scope="module")
def rows(market_folder):
    return {token: price_rows(market_folder, token) for token in ("USDC", "USDT", "DAI")}


@pytest.fixture(scope="module")
def strategy(market_folder):
    """The dollar pools whose yields are recorded through that day, in equal parts."""
    third = 1.0 / 3.0
    return [
        Holding(third, ("DAI", "USDC", "USDT"), chart_apy(market_folder, THREE_POOL)),
        Holding(third, ("USDC",), compound_apy(market_folder)),
        Holding(third, ("USDC",), chart_apy(market_folder, AAVE_V3)),
    ]


def test_dollar_strategy_of_the_tenth_of_march(strategy, rows, published):
    path = replay_through(strategy, rows, FIRST, LAST)
    assert path.worst == pytest.approx(0.1221, abs=5e-4)
    assert path.worst_day == dt.date(2023, 3, 11)
    assert path.worst_close == pytest.approx(0.0278, abs=5e-4)
    assert path.recovered == dt.date(2023, 3, 14)
    assert path.final > 1.0
    assert not path.missing
    published.append(
        f"dollar strategy of {FIRST}: worst −{path.worst:.2%} on {path.worst_day}"
        f" (−{path.worst_close:.2%} at the close), whole on {path.recovered}, {path.final - 1.0:+.2%} by {LAST}"
    )


def test_event_table_says_what_the_prices_said(strategy, rows):
    event = next(event for event in events_known(LAST) if event.id == "usdc-2023")
    lost = {str(n): dict.fromkeys((f"token:{token}" for token in h.tokens), 1.0) for n, h in enumerate(strategy)}
    table = replay(event, {str(n): h.weight for n, h in enumerate(strategy)}, lost)
    path = replay_through(strategy, rows, FIRST, LAST)
    assert table.loss == pytest.approx(path.worst, abs=1e-3)
    closed = next(day for day in path.days if day.day == event.day_after)
    assert table.loss_after == pytest.approx(1.0 - closed.close, abs=1e-3)
    assert table.hit == ["token:DAI", "token:USDC"]


def test_curve_pool_was_left_with_the_fallen_tokens(market_folder, rows):
    """The rule "worst of its tokens" against the pool's recorded balances at recorded closes."""
    with (market_folder / "prices" / "curve_3pool_balances_daily.csv").open(encoding="utf-8") as file:
        balances = next(row for row in csv.DictReader(file) if row["date"] == "2023-03-11")
    closes = {token: next(float(r["close"]) for r in rows[token] if r["date"] == "2023-03-11") for token in rows}
    held = {token: float(balances[token.lower()]) for token in rows}
    worth = sum(held[token] * closes[token] for token in rows) / sum(held.values())
    assert held["USDT"] / sum(held.values()) < 0.03
    assert min(closes.values()) <= worth <= min(closes.values()) + 0.003


def test_usdc_lenders_could_leave_that_weekend(market_folder):
    """The run was out of USDC: its lenders on Aave v3 had fewer borrowers on 11 March than the day before."""
    with (market_folder / "rates" / "aave_v3_ethereum_usdc_subgraph_daily.csv").open(encoding="utf-8") as file:
        lent = {row["date"]: float(row["X_Aave_Utilization"]) for row in csv.DictReader(file)}
    assert lent["2023-03-11"] < 0.5 * lent["2023-03-10"]
