"""``plimsoll eval``: what it prints, what it writes, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripted_model import says, serve
from small_market import NOW, QUESTION, market
from typer.testing import CliRunner

from agents.state import Settings
from agents.workflow import advise
from evals.registry import SUITES
from plimsoll.cli import app
from plimsoll.evaluation import GENERATED, _differences
from tools.errors import UsageError


def plimsoll(*words: str):
    return CliRunner().invoke(app, ["eval", *words])


def test_list_names_every_suite() -> None:
    done = plimsoll("list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(SUITES)


def test_run_writes_results_and_a_report(tmp_path: Path) -> None:
    done = plimsoll("run", "intake", "--fast", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "intake: " in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "intake.policy.fast.json", "intake.policy.jsonl", "report.html",
    }  # fmt: skip
    assert json.loads((tmp_path / "intake.policy.fast.json").read_text())["suite"] == "intake"
    (tmp_path / "report.html").unlink()
    assert plimsoll("report", "--out", str(tmp_path)).exit_code == 0
    assert "intake" in (tmp_path / "report.html").read_text()


def test_report_rewrites_the_generated_part_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{GENERATED[0]}\nold\n{GENERATED[1]}\nafter\n")
    plimsoll("run", "intake", "--fast", "--out", str(tmp_path))
    assert plimsoll("report", "--out", str(tmp_path), "--page", str(page)).exit_code == 0
    text = page.read_text()
    assert text.startswith(f"before\n{GENERATED[0]}\n\n| suite | subject |")
    assert text.endswith(f"{GENERATED[1]}\nafter\n")
    assert "old" not in text
    assert "| intake | policy | 56 |" in text
    page.write_text("no marks")
    assert isinstance(plimsoll("report", "--out", str(tmp_path), "--page", str(page)).exception, UsageError)


def test_an_ablation_that_could_not_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir()
    page = tmp_path / "page.md"
    page.write_text("no marks")
    refused = plimsoll("ablation", "--source", str(tmp_path), "--page", str(page))
    assert isinstance(refused.exception, UsageError)
    assert "has no part between" in str(refused.exception)
    assert page.read_text() == "no marks"
    missing = plimsoll("ablation", "--source", str(tmp_path), "--page", str(tmp_path / "none.md"))
    assert "cannot read" in str(missing.exception)


def test_an_ablation_verifies_whole_runs() -> None:
    found, context = advise(QUESTION, market(), settings=Settings(), now=NOW)
    assert _differences(found, context) == 0
    better = found.candidates[0].metrics | {"portfolio_apy": 0.5}
    forged = [found.candidates[0].model_copy(update={"metrics": better}), *found.candidates[1:]]
    assert _differences(found.model_copy(update={"candidates": forged}), context) > 0


def test_fail_under_and_compare_decide_the_exit(tmp_path: Path) -> None:
    out, path = str(tmp_path / "new"), tmp_path / "new" / "intake.policy.fast.json"
    first = plimsoll("run", "intake", "--fast", "--out", out)
    passed = first.stdout.splitlines()[0]
    assert plimsoll("run", "intake", "--fast", "--out", out, "--fail-under", "0").exit_code == 0
    result = json.loads(path.read_text())
    broken = next(case for case in result["cases"] if case["error"] is None)
    broken["scores"]["fields_right"] |= {"passed": False, "value": 0.0}
    baseline = tmp_path / "old.json"
    baseline.write_text(json.dumps(result))
    better = plimsoll("run", "intake", "--fast", "--out", out, "--compare", str(baseline))
    assert better.exit_code == 0, better.output
    # Swap the two: what fails now passed before.
    lines = [json.loads(line) for line in (tmp_path / "new" / "intake.policy.jsonl").read_text().splitlines()]
    for line in lines:
        if line["case"] == broken["case"]:
            line["scores"]["fields_right"] |= {"passed": False, "value": 0.0}
    good = tmp_path / "good.json"
    good.write_text(path.read_text())
    (tmp_path / "new" / "intake.policy.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    worse = plimsoll("run", "intake", "--fast", "--out", out, "--compare", str(good))
    assert worse.exit_code == 1
    assert f"no longer passed: {broken['case']}" in worse.output
    assert f"{broken['case']}: fields_right" in worse.stdout
    low = plimsoll("run", "intake", "--fast", "--out", out, "--fail-under", "100")
    assert low.exit_code == 1
    assert "fewer than 100% of the cases passed" in low.output
    assert passed.startswith("intake: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "chess"), "no suite is called 'chess'"),
        (("report", "--out", "nowhere"), "no result of an evaluation"),
        (("run", "intake", "--workers", "255"), "processors"),
        (("run", "intake", "--model", "m"), "no model can be reached"),
        (("run", "intake", "--compare", "nowhere.json"), "not a result of an evaluation"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = plimsoll(*words)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_model_sits_in_the_seat_and_is_asked_bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evals.suites import regret

    monkeypatch.setattr(regret, "FAST", {"usd-all-alike@1000000"})
    weights = {f"usd-all-alike-0{n}": 0.2 for n in range(1, 6)}
    with serve(says(json.dumps({"weights": weights}))) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        done = plimsoll("run", "regret", "--fast", "--model", "scripted", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    (case,) = json.loads((tmp_path / "regret.scripted.fast.json").read_text())["cases"]
    assert case["details"]["weights"]["raw_model"] == weights
    assert case["scores"]["regret.raw_model"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert case["spent"]["calls"] >= 2
    assert len(model.asked) == case["spent"]["calls"]


MINE = {
    "id": "mine", "asset": "USD", "words": "two pools", "tags": [], "max_weight": 1.0, "max_position_share": None,
    "servable": False, "amounts_usd": [1e6],
    "pools": [
        {"id": name, "project": "p", "chain": "c", "symbol": "s", "deposits_usd": 1e9,
         "curve": {"kind": "flat", "rate": rate}}
        for name, rate in (("good", 0.05), ("poor", 0.04))
    ],
}  # fmt: skip


def test_judge_says_what_anybody_loses(tmp_path: Path) -> None:
    markets, answers = tmp_path / "markets.jsonl", tmp_path / "answers.jsonl"
    markets.write_text(json.dumps(MINE) + "\n")
    lost = {}
    for name, weights in {"good": {"good": 1}, "half": {"good": 0.5, "poor": 0.5}, "over": {"good": 1.5}}.items():
        answers.write_text(json.dumps({"case": "mine@1000000", "weights": weights}) + "\n\n")
        done = plimsoll("judge", str(answers), "--markets", str(markets))
        assert done.exit_code == 0, done.output
        row = done.stdout.splitlines()[-1]
        assert row.strip().startswith("$1 M")
        lost[name] = [cell.strip() for cell in row.split("  ") if cell.strip()][1:]
    assert lost["good"][0] == "1 of 1"
    assert lost["good"][1].startswith("0.00")
    assert lost["half"][1].startswith("50 ")
    assert (lost["good"][-1], lost["over"][-1]) == ("0", "1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "not an answer"),
        ('{"case": "mine@1", "weights": {}}', "no case is called 'mine@1'"),
        ('{"case": "mine@1000000", "weights": {"good": NaN}}', "finite number"),
        ('{"case": "mine@1000000", "weights": {"good": true}}', "finite number"),
        ('{"case": "mine@1000000", "weights": {}}\n{"case": "mine@1000000", "weights": {}}', "line 2: the case"),
    ],
)
def test_judge_refuses_what_is_no_answer(line: str, message: str, tmp_path: Path) -> None:
    markets, answers = tmp_path / "markets.jsonl", tmp_path / "answers.jsonl"
    markets.write_text(json.dumps(MINE))
    answers.write_text(line)
    done = plimsoll("judge", str(answers), "--markets", str(markets))
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert isinstance(plimsoll("judge", str(tmp_path / "none"), "--markets", str(markets)).exception, UsageError)
