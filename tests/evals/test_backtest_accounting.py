"""The book of a strategy, against what a pencil makes of it; pools that go silent, exploits, prices and costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from made_market import MadeSource, chart, pool_id, raw_row

from evals.backtest.accounting import follow, paid_back
from evals.backtest.realised import Realised
from evals.backtest.records import Decision, Holding
from tools.errors import UsageError
from tools.risk.costs import exit_cost, gas_usd
from tools.units import daily_return

START, END = dt.date(2025, 1, 1), dt.date(2025, 1, 11)
DAYS = (END - START).days
SECOND = "2025-01-06"
AMOUNT = 1_000_000.0


def holding(number: int, weight: float, **changes: Any) -> Holding:
    named = {
        "pool_id": pool_id(number),
        "name": f"pool {number}",
        "family": "aave",
        "chain": "Ethereum",
        "tokens": ["USDC"],
    }
    return Holding.model_validate({**named, "weight": weight, "apy": 0.05, "kept": 1.0, **changes})


def decision(*holdings: Holding) -> Decision:
    return Decision(
        strategy="adviser.low", kind="adviser", risk="low", profile=None, method=None, candidate=None,
        reason=None if holdings else "nothing passes", holdings=list(holdings),
    )  # fmt: skip


def world(
    percents: Mapping[int, Sequence[float | None]],
    *,
    held: Sequence[Holding] = (),
    hacks: Sequence[dict[str, Any]] = (),
    prices: Mapping[str, Sequence[float]] | None = None,
) -> Realised:
    """What happened: the percent a year of each pool from the day of the first decision on, 50 million in each."""
    days = [(START - dt.timedelta(days=n)).isoformat() for n in reversed(range(1, 31))]
    days += [(START + dt.timedelta(days=n)).isoformat() for n in range(DAYS + 1)]
    tables = {
        "prices/eth_gas_gwei_daily.csv": [{"date": day, "avg_gas_gwei": "10"} for day in days],
        "prices/eth_usd_daily.csv": [{"date": day, "close": "2000"} for day in days],
    }
    for name, closes in (prices or {}).items():
        first = len(days) - len(closes)
        tables[f"prices/{name}"] = [
            {"date": day, "close": str(close)} for day, close in zip(days[first:], closes, strict=True)
        ]
    charts = {pool_id(number): chart(rates, END) for number, rates in percents.items()}
    rows = [raw_row(pool_id(number)) for number in percents]
    source = MadeSource(rows, charts, as_of=END, hacks=hacks, tables=tables)
    pools = [holding(number, 1.0) for number in percents]
    return Realised(source, [*pools, *held], START, END)


def gas(amm: bool = False, chain: str = "Ethereum") -> float:
    rows = [
        {"date": (START - dt.timedelta(days=n)).isoformat(), "avg_gas_gwei": "10", "close": "2000"} for n in range(30)
    ]
    cost = gas_usd(chain, 1, rows, rows, START, amm=amm).value
    assert cost is not None
    return cost


def test_money_left_alone_grows_by_the_rates_and_pays_for_going_in_and_out() -> None:
    rates = [5.0] * (DAYS + 1)
    book = follow({str(START): decision(holding(1, 1.0))}, world({1: rates}), AMOUNT, "net")
    grown = (AMOUNT - gas()) * (1.0 + daily_return(0.05)) ** DAYS
    assert book.value[0] == 1.0
    assert book.value[1] == pytest.approx((AMOUNT - gas()) * (1.0 + daily_return(0.05)) / AMOUNT, rel=1e-12)
    assert book.value[-1] == pytest.approx((grown - gas()) / AMOUNT, rel=1e-12)
    assert [(one.day, one.legs, one.turnover) for one in book.rebalancings] == [
        (str(START), 1, 1.0),
        (str(END), 1, 1.0),
    ]
    assert book.earned[0].earned_usd == pytest.approx(grown - (AMOUNT - gas()), rel=1e-8)
    gross = follow({str(START): decision(holding(1, 1.0))}, world({1: rates}), AMOUNT, "gross")
    assert gross.value[-1] == pytest.approx((1.0 + daily_return(0.05)) ** DAYS, rel=1e-12)


def test_a_decision_moves_what_differs_after_the_drift_and_the_cost_shows_the_next_day() -> None:
    two = {1: [8.0] * (DAYS + 1), 2: [0.0] * (DAYS + 1)}
    plan = {
        str(START): decision(holding(1, 0.5), holding(2, 0.5)),
        SECOND: decision(holding(1, 0.25), holding(2, 0.75)),
    }
    book = follow(plan, world(two), AMOUNT, "net")
    after = AMOUNT - 2.0 * gas()
    first, second = 0.5 * after * (1.0 + daily_return(0.08)) ** 5, 0.5 * after
    assert book.value[5] == pytest.approx((first + second) / AMOUNT, rel=1e-12)
    moved = book.rebalancings[1]
    assert moved.turnover == pytest.approx(first / (first + second) - 0.25, rel=1e-8)
    assert moved.gas_usd == pytest.approx(2.0 * gas(), rel=1e-8)
    left = first + second - 2.0 * gas()
    assert book.value[6] == pytest.approx((0.25 * left * (1.0 + daily_return(0.08)) + 0.75 * left) / AMOUNT, rel=1e-12)


def test_a_decision_that_repeats_the_last_moves_nothing() -> None:
    plan = {str(START): decision(holding(1, 1.0)), SECOND: decision(holding(1, 1.0, apy=0.09))}
    book = follow(plan, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    assert [one.day for one in book.rebalancings] == [str(START), str(END)]


def test_patience_leaves_out_what_does_not_pay_back_within_a_month() -> None:
    rates: dict[int, list[float | None]] = {1: [5.0] * (DAYS + 1), 2: [5.5] * (DAYS + 1)}
    plan = {str(START): decision(holding(1, 1.0)), SECOND: decision(holding(2, 1.0, apy=0.055))}
    days = 365.0 * 2.0 * gas() / 0.005  # that two visits take to come back, for a dollar
    patient = paid_back(plan, world(rates), 0.9 * days / 30.0)
    assert list(patient) == [str(START)]
    assert list(paid_back(plan, world(rates), 1.1 * days / 30.0)) == [str(START), SECOND]
    worse = {str(START): decision(holding(2, 1.0)), SECOND: decision(holding(1, 1.0))}
    assert list(paid_back(worse, world(rates), AMOUNT)) == [str(START)]
    leaving = {str(START): decision(holding(1, 1.0)), SECOND: decision()}
    assert list(paid_back(leaving, world(rates), AMOUNT)) == [str(START), SECOND]
    rates[2] = [5.5, *[None] * (DAYS - 1), 5.5]  # silent for more than three days on the day of the second decision
    assert list(paid_back(worse, world(rates), AMOUNT)) == [str(START), SECOND]


def test_no_choice_leaves_the_money_idle_and_leaving_is_paid() -> None:
    plan = {str(START): decision(holding(1, 1.0)), SECOND: decision()}
    book = follow(plan, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    assert book.idle_days == 5
    assert len(set(book.value[6:].tolist())) == 1
    assert book.value[6] < book.value[5]
    assert book.rebalancings[-1].legs == 0
    idle = follow({str(START): decision()}, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    assert idle.value.tolist() == [1.0] * (DAYS + 1)


def test_a_pool_that_stops_reporting_earns_nothing_after_three_days_and_is_named() -> None:
    rates: list[float | None] = [5.0, 5.0, 5.0, *[None] * 7, 5.0]
    book = follow({str(START): decision(holding(1, 1.0))}, world({1: rates}), AMOUNT, "gross")
    paid = 1.0 + daily_return(0.05)
    assert book.value[5] == pytest.approx(paid**5, rel=1e-12)
    assert book.value[9] == book.value[5]
    assert book.value[10] == pytest.approx(paid**6, rel=1e-12)
    assert book.unpaid_days == 4
    (event,) = book.events
    assert (event.kind, event.day, event.loss) == ("silent", "2025-01-07", None)
    assert event.held_usd == pytest.approx(AMOUNT * paid**5, rel=1e-8)


def test_an_exploit_takes_its_share_of_what_the_protocol_held_and_what_is_unknown_is_named() -> None:
    seconds = dt.datetime(2025, 1, 4, 12, tzinfo=dt.UTC).timestamp()
    hack = {"date": seconds, "name": "Aave V3", "amount": 10e6, "targetType": "DeFi Protocol"}
    plan = {str(START): decision(holding(1, 1.0))}
    calm = follow(plan, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    robbed = follow(plan, world({1: [5.0] * (DAYS + 1)}, hacks=[hack]), AMOUNT, "net")
    assert robbed.value[2] == calm.value[2]
    assert robbed.value[3] == pytest.approx(calm.value[3] * 0.8, rel=1e-12)  # 10 of 50 million
    assert [(one.kind, one.day, one.loss) for one in robbed.events] == [("exploit", "2025-01-04", 0.2)]
    unknown = follow(plan, world({1: [5.0] * (DAYS + 1)}, hacks=[hack | {"amount": None}]), AMOUNT, "net")
    assert unknown.value.tolist() == calm.value.tolist()
    assert unknown.events[0].loss is None
    assert "not known" in unknown.events[0].note


def test_an_exploit_on_the_day_of_a_decision_strikes_what_was_held_until_that_evening() -> None:
    seconds = dt.datetime(2025, 1, 6, 12, tzinfo=dt.UTC).timestamp()
    hack = {"date": seconds, "name": "Aave V3", "amount": 10e6, "targetType": "DeFi Protocol"}
    safe = holding(2, 1.0, family="compound")
    both = {1: [5.0] * (DAYS + 1), 2: [5.0] * (DAYS + 1)}
    fled = follow(
        {str(START): decision(holding(1, 1.0)), SECOND: decision(safe)},
        world(both, held=[safe], hacks=[hack]),
        AMOUNT,
        "net",
    )
    assert [(one.day, one.pool_id) for one in fled.events] == [(SECOND, pool_id(1))]
    assert fled.value[5] < 0.91  # 10 of the 100 million in both pools, which the market takes for one protocol's
    came = follow(
        {str(START): decision(safe), SECOND: decision(holding(1, 1.0))},
        world(both, held=[safe], hacks=[hack]),
        AMOUNT,
        "net",
    )
    assert came.events == []
    assert came.value.min() > 0.99


def test_recorded_prices_move_the_book_and_other_tokens_are_held_at_par() -> None:
    rates = [5.0] * (DAYS + 1)
    closes = [1.0, 0.95, *[1.0] * (DAYS - 1)]
    happened = world({1: rates}, prices={"usdc_usd_daily.csv": closes})
    plan = {str(START): decision(holding(1, 1.0))}
    net, priced = (follow(plan, happened, AMOUNT, basis) for basis in ("net", "priced"))  # type: ignore[arg-type]
    assert priced.value[1] == pytest.approx(net.value[1] * 0.95, rel=1e-12)
    assert priced.value[2] == pytest.approx(net.value[2], rel=1e-12)
    assert happened.at_par(["USDC", "FRAX"]) == ["FRAX"]
    two = happened.price_growth(["USDC", "FRAX"])
    assert two[0] == pytest.approx(0.975)


def test_slippage_is_that_of_the_pool_at_the_size_that_moves_and_dilution_lowers_the_rate() -> None:
    pair = holding(1, 1.0, tokens=["USDC", "USDT"], kept=0.5)
    book = follow({str(START): decision(pair)}, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    lost = exit_cost(AMOUNT, 50e6, 2, amm=True, pegged=True).value
    assert lost is not None
    assert book.rebalancings[0].slippage_usd == pytest.approx(AMOUNT * lost, rel=1e-8)
    left = AMOUNT * (1.0 - lost) - gas(amm=True)
    assert book.value[1] == pytest.approx(left * (1.0 + daily_return(0.025)) / AMOUNT, rel=1e-12)


def test_changing_chain_pays_a_crossing_and_a_price_that_nobody_knows_is_named() -> None:
    away = holding(1, 1.0, chain="Arbitrum")
    book = follow({str(START): decision(away)}, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    assert book.rebalancings[0].gas_usd == pytest.approx(2.0 * gas(chain="Arbitrum"), rel=1e-8)
    assert book.rebalancings[0].unpriced == []
    left = AMOUNT - 2.0 * gas(chain="Arbitrum")
    assert book.value[1] == pytest.approx(left * (1.0 + daily_return(0.05)) / AMOUNT, rel=1e-12)
    far = holding(1, 1.0, chain="Arbitrum", tokens=["FRAX"])
    book = follow({str(START): decision(far)}, world({1: [5.0] * (DAYS + 1)}), AMOUNT, "net")
    assert book.rebalancings[0].unpriced == ["what moving the money to Arbitrum and back costs is not known"]


def test_money_that_its_own_costs_would_eat_is_refused() -> None:
    with pytest.raises(UsageError, match="costs more than that"):
        follow({str(START): decision(holding(1, 1.0))}, world({1: [5.0] * (DAYS + 1)}), 1.0, "net")


def test_costs_never_raise_a_book() -> None:
    random = np.random.default_rng(5)
    percents = {n: list(random.uniform(0.0, 20.0, DAYS + 1)) for n in range(1, 5)}
    for _ in range(20):
        plan = {
            day: decision(*(holding(n, float(w)) for n, w in enumerate(random.dirichlet(np.ones(4)), start=1)))
            for day in (str(START), SECOND)
        }
        gross, net = (follow(plan, world(percents), AMOUNT, basis) for basis in ("gross", "net"))  # type: ignore[arg-type]
        assert (net.value <= gross.value).all()
