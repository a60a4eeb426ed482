"""The case files are what their generators write, and a line that is no market is refused by its number."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from evals.regret.generate import generated
from evals.regret.income import rate_at
from evals.regret.markets import Lender, Market, as_line, cases_of, load_markets
from evals.regret.served import RECORDED, question_of, see
from evals.suites.mandates import drawn
from tools.errors import UsageError
from tools.market.load import COST_TABLES
from tools.question import read
from tools.risk.costs import gas_usd
from tools.sizing import curve_of

MARKETS = load_markets()


def case_file(name: str) -> str:
    return (resources.files("evals") / "cases" / name).read_text(encoding="utf-8")


def test_the_generated_markets_are_what_the_generator_draws() -> None:
    assert case_file("regret_generated.jsonl").splitlines() == [as_line(market) for market in generated()]


def test_the_generated_mandates_are_what_the_generator_draws() -> None:
    assert case_file("constraints.jsonl").splitlines() == [json.dumps(case, ensure_ascii=False) for case in drawn()]


def test_there_are_enough_cases_of_every_size_and_asset() -> None:
    cases = cases_of(MARKETS)
    assert len(cases) >= 100
    for asset in ("USD", "ETH", "BTC"):
        for amount in (1e4, 1e6, 1e7, 5e7):
            assert sum(case.market.asset == asset and case.amount_usd == amount for case in cases) >= 10


def test_a_market_survives_being_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(as_line(market) for market in MARKETS) + "\n\n")
    assert load_markets(path) == MARKETS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_weight": 0.01}, "do not let"),
        ({"pools": []}, "at least 1 item"),
        ({"amounts_usd": []}, "no amount"),
        ({"max_weight": float("nan")}, "max_weight"),
        ({"asset": "SOL"}, "asset"),
        ({"surprise": 1}, "surprise"),
        ({"servable": True}, "within the rules"),
    ],
)
def test_a_line_that_is_no_market_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    plain = next(market for market in MARKETS if market.id == "usd-losses")
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{as_line(MARKETS[1])}\n{json.dumps(json.loads(as_line(plain)) | change)}\n")
    with pytest.raises(UsageError, match="line 2") as refused:
        load_markets(path)
    assert words in str(refused.value)


def test_the_same_market_twice_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(f"{as_line(MARKETS[0])}\n" * 2)
    with pytest.raises(UsageError, match="stands twice"):
        load_markets(path)
    with pytest.raises(UsageError):
        load_markets(tmp_path / "none.jsonl")


def test_a_served_lender_is_told_by_its_table() -> None:
    """Aave's USDC on Ethereum is on record, so our program finds its slopes; of other lenders it knows the size."""
    recorded = [(m, p) for m in MARKETS if m.servable for p in m.pools if (p.project, p.chain, p.symbol) == RECORDED]
    recorded = [(m, p) for m, p in recorded if isinstance(p.curve, Lender) and p.curve.base_rate == 0.0]
    assert recorded
    for market, pool in recorded:
        seen = see(cases_of([market])[0])
        own = next(one for one in seen.universe.pools if one.id == pool.id)
        curve = curve_of(own, seen.market.as_of, seen.market.tables)
        assert curve.model == "kinked"
        for share in (0.0, 0.02, 0.1):
            x = share * pool.withdrawable_usd
            assert curve.rate(x) == pytest.approx(rate_at(pool, x), rel=1e-3)


def test_going_in_and_out_costs_our_program_what_the_case_says() -> None:
    priced = [(m, p) for m in MARKETS if m.servable for p in m.pools if p.entry_cost_usd > 0.0]
    assert {pool.chain for _, pool in priced} >= {"Ethereum", "Base", "Arbitrum"}
    for market, pool in priced[::9]:
        seen = see(cases_of([market])[0])
        gas, ether = (seen.market.tables[name] for name in COST_TABLES)
        cost = gas_usd(pool.chain, 2, gas, ether, seen.market.as_of).value
        assert cost == pytest.approx(pool.entry_cost_usd), pool.chain


@pytest.mark.parametrize("market", [m for m in MARKETS if m.servable][::4], ids=lambda market: market.id)
def test_a_served_market_is_seen_whole_and_its_question_read_right(market: Market) -> None:
    case = cases_of([market])[1]
    seen = see(case)
    assert {pool.id for pool in seen.universe.pools} == {pool.id for pool in market.pools}
    mandate = read(question_of(case)).mandate
    assert (mandate.asset, mandate.risk, mandate.horizon_days) == (market.asset, "high", 365)
    assert (mandate.amount if market.asset == "USD" else mandate.amount_usd) == case.amount_usd
    assert mandate.max_weight == pytest.approx(market.max_weight)
