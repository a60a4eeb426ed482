"""The case files are what their generators write, and a line that is no market is refused by its number."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from evals.regret.generate import generated
from evals.regret.markets import Market, as_line, cases_of, load_markets
from evals.regret.served import question_of, see
from evals.suites.mandates import drawn
from tools.errors import UsageError
from tools.question import read

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


@pytest.mark.parametrize("market", [m for m in MARKETS if m.servable][::4], ids=lambda market: market.id)
def test_a_served_market_is_seen_whole_and_its_question_read_right(market: Market) -> None:
    case = cases_of([market])[1]
    seen = see(case)
    assert {pool.id for pool in seen.universe.pools} == {pool.id for pool in market.pools}
    mandate = read(question_of(case)).mandate
    assert (mandate.asset, mandate.risk, mandate.horizon_days) == (market.asset, "high", 365)
    assert (mandate.amount if market.asset == "USD" else mandate.amount_usd) == case.amount_usd
    assert mandate.max_weight == pytest.approx(market.max_weight)
