"""The commands of risk, pictures in the run folder, and what an alluring unknown looks like in a recommendation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import USD_QUESTION, plimsoll, record
from made_market import MadeSource, chart, wavy
from small_market import QUESTION, market, run

PICTURES = {f"{stem}.{kind}" for stem in ("losses", "drawdown", "stress", "exposure") for kind in ("svg", "png")}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: plimsoll(capsys, monkeypatch, *arguments)


@pytest.fixture
def asked(call: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    assert call("ask", USD_QUESTION, "--source", "demo", "--out", folder).code == 0
    return folder


def test_a_run_has_its_pictures_and_they_are_in_the_manifest(asked: Path) -> None:
    names = {path.name for path in asked.iterdir()}
    assert names >= PICTURES
    manifest = json.loads((asked / "manifest.json").read_text())["files"]
    assert manifest.keys() >= PICTURES


def test_both_views_stand_side_by_side(asked: Path) -> None:
    found = record(asked)
    chosen = next(c for c in found["candidates"] if c["id"] == found["choice"]["candidate_id"])
    text = (asked / "rationale.md").read_text()
    assert "| a year | yields alone | with events and costs |" in text
    assert chosen["risk"]["gate_view"] == chosen["score"]["view"] == "all_in"
    assert f"{chosen['risk']['all_in']['net_apy']:.2%}" in text
    assert chosen["risk"]["all_in"]["cvar_95"] > chosen["risk"]["cvar_95"]


def test_show_and_stress_read_a_saved_run(call: Any, asked: Path) -> None:
    shown = call("risk", "show", asked)
    assert shown.code == 0
    assert "independent risks" in shown.out
    assert "cvar_95" in shown.out
    replayed = call("risk", "stress", asked)
    assert replayed.code == 0
    assert "USDC: reserves" in replayed.out


def test_scenarios_of_the_user_are_replayed_and_a_miss_is_said(call: Any, asked: Path, tmp_path: Path) -> None:
    scenarios = tmp_path / "mine.toml"
    line = (
        '[[event]]\nid = "{id}"\ntitle = "Mine"\ndate = 2026-01-01\n'
        'shocks = [{{ node = "token:{token}", loss = 0.5 }}]\n'
    )
    scenarios.write_text(line.format(id="hit", token="USDC") + line.format(id="miss", token="USCD"))
    found = call("risk", "stress", asked, "--scenarios", scenarios)
    assert found.code == 0
    assert "miss strikes nothing that these pools depend on" in found.out
    scenarios.write_text(line.format(id="bad", token="USDC").replace("0.5", "5.0"))
    refused = call("risk", "stress", asked, "--scenarios", scenarios)
    assert refused.code == 2
    assert "loss" in refused.err


@pytest.mark.parametrize("arguments", [("risk", "show", "nowhere"), ("risk", "stress", "nowhere")])
def test_a_folder_that_is_none_is_named(call: Any, arguments: tuple[str, ...]) -> None:
    ended = call(*arguments)
    assert ended.code == 2
    assert "nowhere does not exist" in ended.err


def test_liquidation_says_how_far_it_is(call: Any) -> None:
    position = ("--collateral", "10", "--price", "3000", "--debt", "12000", "--threshold", "0.8")
    ended = call("risk", "liquidation", *position)
    assert ended.code == 0
    assert "health factor 2.000; liquidated when the price falls by 50.0%, to 1,500" in ended.out
    assert "nothing can be liquidated" in call("risk", "liquidation", *position[:5], "0", *position[6:]).out
    wrong = call("risk", "liquidation", *position[:7], "1.8")
    assert wrong.code == 2
    assert "threshold" in wrong.err


def test_backtest_runs_every_method_on_a_recorded_series(call: Any, market_folder: Path) -> None:
    ended = call("risk", "backtest", "usdc_usd_daily.csv", "--source", market_folder, "--as-of", "2025-02-28")
    assert ended.code == 0
    for method in ("historical", "normal", "cornish_fisher", "monte_carlo"):
        assert f"{method}: " in ended.out
    unknown = call("risk", "backtest", "nothing.csv", "--source", market_folder, "--as-of", "2025-02-28")
    assert unknown.code == 2
    assert "nothing.csv" in unknown.err


def test_a_rate_of_ones_own_replaces_the_range_and_is_replayed(call: Any, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    options = ("--source", "demo", "--set-hazard", "token:USDC=0.5", "--hazard", "high", "--out", folder)
    assert call("ask", USD_QUESTION, *options).code in {0, 3}
    hazards = [
        node["hazard"]
        for candidate in record(folder)["candidates"]
        for node in candidate["risk"]["exposure"]["nodes"]
        if node["id"] == "token:USDC"
    ]
    assert hazards
    assert all((h["rate_low"], h["rate"], h["rate_high"]) == (0.5, 0.5, 0.5) for h in hazards)
    assert all("set by the user" in h["basis"] for h in hazards)
    assert call("replay", folder).code == 0
    for wrong in ("token:USDC", "token:USDC=often", "=0.1", "token:USDC=-1", "nonsense=0.1"):
        assert call("ask", USD_QUESTION, "--source", "demo", "--set-hazard", wrong, "--out", folder).code == 2


def test_the_page_says_what_the_user_set_and_what_of_it_changed_nothing(call: Any, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    rates = ("--set-hazard", "token:USDC=0.01", "--set-hazard", "protocol:nosuch=0.5", "--hazard", "low")
    assert call("ask", USD_QUESTION, "--source", "demo", "--out", folder, *rates).code == 0
    text = (folder / "rationale.md").read_text()
    assert "as often as the low end of what their kind suggests, as you asked" in text
    assert "Set by you: how often USDC fails" in text
    assert "The rate that you set for protocol:nosuch changes nothing" in text
    assert "some set by the user" in (folder / "losses.svg").read_text()
    assert call("verify", folder).code == 0


def test_looser_limits_of_an_asset_are_said(call: Any, market_folder: Path, tmp_path: Path) -> None:
    ask = ("ask", "20 BTC", "--source", market_folder, "--as-of", "2025-09-26", "--out", tmp_path / "run")
    assert call(*ask).code == 0
    text = (tmp_path / "run" / "rationale.md").read_text()
    assert "For BTC the limits of medium risk are looser than for others: protocol share, var 95" in text
    assert text.startswith("**Holding pays more than the pools")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--confidence", "2", "between 0 and 1"), ("--window", "1", "at least 2"), ("--window", "99999", "below the")],
)
def test_a_backtest_refuses_what_makes_no_sense(call: Any, market_folder: Path, option, value, words) -> None:
    ask = ("risk", "backtest", "usdc_usd_daily.csv", "--source", market_folder, "--as-of", "2025-02-28")
    ended = call(*ask, option, value)
    assert ended.code == 2
    assert words in ended.err


def test_a_position_past_its_threshold_is_to_be_liquidated_now(call: Any) -> None:
    position = ("--collateral", "10", "--price", "3000", "--debt", "30000", "--threshold", "0.8")
    ended = call("risk", "liquidation", *position)
    assert "to be liquidated now: the price would have to be above 3,750" in ended.out


def test_facts_of_ones_own_stand_in_the_evidence_and_are_saved(call: Any, tmp_path: Path) -> None:
    facts, folder = tmp_path / "mine.toml", tmp_path / "run"
    audit = 'audit = [{ value = "Somebody Else", since = 2024-05-01, source = "https://example.org/audit" }]'
    facts.write_text(f"[aave]\n{audit}\n")
    ask = ("ask", USD_QUESTION, "--source", "demo", "--out", folder)
    assert call(*ask, "--facts", facts).code == 0
    evidence = next(entry for entry in record(folder)["protocols"] if entry["project"] == "aave-v3")
    assert "https://example.org/audit" in evidence["components"]["audits"]["sources"]
    facts.unlink()
    assert call("verify", folder).code == 0
    assert call("replay", folder).code == 0
    gone = call(*ask, "--facts", facts)
    assert (gone.code, "mine.toml" in gone.err) == (2, True)


def alluring() -> MadeSource:
    """The small market with a protocol that nobody knows: 200 m dollars, 18 % a year, one token, as Stream's xUSD."""
    source = market()
    row = source.rows[11]
    row |= {"project": "stream-finance", "symbol": "USDC", "tvlUsd": 200e6, "apy": 18.0, "apyBase": 18.0}
    source.answers[row["pool"]] = chart(wavy(120, level=18.0))
    return source


def test_the_alluring_unknown_is_no_candidate_below_high_risk_and_looks_like_what_it_is_there() -> None:
    source = alluring()
    for risk in ("low", "medium"):
        found = run(None, QUESTION.replace("high", risk), source)
        chosen = found.choice.pools if found.choice else []
        assert "stream-finance" not in {
            pool.project
            for candidate in found.candidates
            for pool in candidate.pools
            if candidate.passed or pool.pool_id in {p.pool_id for p in chosen}
        }
    found = run(None, QUESTION, source)
    held = [c for c in found.candidates if any(pool.project == "stream-finance" for pool in c.pools)]
    assert held
    (pool,) = (pool for pool in held[0].pools if pool.project == "stream-finance")
    assert pool.protocol_risk >= 0.75
    node = next(n for n in held[0].risk.exposure.nodes if n.id == "protocol:stream")
    assert node.hazard is not None
    assert node.hazard.rate >= 0.10
    evidence = next(entry for entry in found.protocols if entry.project == "stream-finance")
    assert evidence.risk >= 0.75


def test_weights_come_with_their_proof_and_the_choice_says_how_far_they_move(asked: Path) -> None:
    found = record(asked)
    chosen = next(c for c in found["candidates"] if c["id"] == found["choice"]["candidate_id"])
    assert 0.0 <= chosen["optimisation"]["window_shift"] <= 1.0
    assert all(c["optimisation"]["window_shift"] is None for c in found["candidates"] if c is not chosen)
    proven = [c["optimisation"] for c in found["candidates"] if c["method"] == "min_loss"]
    assert proven
    assert all(one["gap"] is not None and one["gap"] < 1e-7 and one["value"] >= one["bound"] for one in proven)
    assert {c["method"] for c in found["candidates"]} == set(found["plan"]["methods"])
