"""``plimsoll backtest``: what it prints and writes, that it can be checked, and what it makes of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import plimsoll
from recorded_market import write_market

from evals.backtest import decisions as deciding
from evals.backtest.report import FILES
from evals.backtest.run import RECORD


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"), numbers=(1, 3, 4, 5, 7, 12))


def test_the_command_runs_prints_and_checks_what_it_wrote(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "METHODS", ("equal", "inverse_volatility"))
    out, again = tmp_path / "out", tmp_path / "again"
    asked = ("--source", market, "--start", "2024-12-01", "--every", "60", "--end", "2025-01-20")
    done = plimsoll(capsys, monkeypatch, "backtest", *asked, "--amount", "50000", "--out", out)
    assert done.code == 0, done.err
    assert "adviser.low" in done.out
    assert "At high risk the adviser" in done.out
    assert "Note: Survivors only" in done.out
    assert {path.name for path in out.iterdir()} >= {RECORD, *FILES}
    assert str(market) not in (out / RECORD).read_text()
    (journal,) = out.glob("decisions-*.jsonl")
    again.mkdir()
    (again / journal.name).write_bytes(journal.read_bytes())
    same = plimsoll(capsys, monkeypatch, "backtest", "--source", market, "--check", out, "--out", again)
    assert same.code == 0
    assert same.out.endswith("the same, run again\n")
    record = json.loads((out / RECORD).read_text())
    (out / RECORD).write_text(json.dumps(record | {"program_sha256": "of an earlier version"}))
    later = plimsoll(capsys, monkeypatch, "backtest", "--source", market, "--check", out, "--out", again)
    assert later.out.endswith("the same, run again by another version of the program\n")
    record["strategies"][0]["net"]["total_return"] += 0.01
    (out / RECORD).write_text(json.dumps(record))
    forged = plimsoll(capsys, monkeypatch, "backtest", "--source", market, "--check", out, "--out", again)
    assert forged.code == 6
    assert "comes out otherwise" in forged.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give either --days"),
        (("--days", "2024-12-01", "--start", "2024-12-01", "--end", "2025-01-20"), "give either --days"),
        (("--days", "2024-12-01"), "--end says on which day"),
        (("--days", "soon", "--end", "2025-01-20"), "--days must be a date"),
        (("--days", "2024-12-01,2024-11-01", "--end", "2025-01-20"), "in their order"),
        (("--days", "2024-12-01", "--end", "2024-12-01"), "must lie after the last decision"),
        (("--start", "2024-12-01", "--end", "2024-11-01"), "at least one"),
        (("--days", "2024-12-01", "--end", "2025-01-20", "--amount", "-5"), "--amount must be dollars"),
        (("--days", "2024-06-10", "--end", "2024-07-10"), "no day of the calendar has a market"),
        (("--start", "2000-01-01", "--every", "1", "--end", "2025-01-20"), "more than 400"),
        (("--days", "2024-12-01", "--end", "2025-01-20", "--source", "live"), "the market of days past"),
        (("--check", "nowhere"), "not the record of a backtest"),
    ],
)
def test_bad_input_is_told_what_to_do(
    market: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    done = plimsoll(capsys, monkeypatch, "backtest", "--source", market, "--out", tmp_path / "out", *words)
    assert done.code == 2
    assert said in done.err
