"""Bad input ends with a clear error, the right exit code, and nothing half-written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from command import USD_QUESTION, copy_market, plimsoll

DAY = "2025-02-28"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: plimsoll(capsys, monkeypatch, *arguments)


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("", "question"),
        ("where should I put my money?", "ETH, BTC or dollars"),
        ("put -5 ETH to work", "negative"),
        ("1000 USDC, at least 6 pools and at most 3 pools", "pools"),
        ("1000 USDC, no more than 10% in one pool, at most 3 pools", "pool"),
        ("1000 USDC, only on Base, but not on Base", "Base"),
    ],
)
def test_a_question_that_cannot_be_used_is_named(question: str, named: str, call: Any, tmp_path: Path) -> None:
    ended = call("ask", question, "--source", "demo", "--out", tmp_path / "out")
    assert ended.code == 2
    assert named.lower() in ended.err.lower()
    assert ended.out == ""
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--source", "nowhere"], 2, "nowhere"),
        (["--source", "ftp://example.invalid"], 2, "ftp"),
        (["--source", "demo", "--as-of", "28.02.2025"], 2, "2025-02-28"),
        (["--source", "demo", "--as-of", "1999-01-01"], 4, "1999-01-01"),
        (["--source", "demo", "--preset", "sideways"], 2, "sideways"),
        (["--source", "demo", "--require-model"], 2, "--model"),
        (["--source", "http://127.0.0.1:9", "--as-of", "2025-02-28"], 4, "127.0.0.1"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], code: int, named: str, call: Any, tmp_path: Path) -> None:
    ended = call("ask", USD_QUESTION, *arguments, "--out", tmp_path / "out")
    assert ended.code == code, ended.err
    assert named in ended.err
    assert not (tmp_path / "out").exists()


def test_a_missing_date_names_the_dates_there_are(call: Any, market_folder: Path, tmp_path: Path) -> None:
    ended = call("ask", USD_QUESTION, "--source", market_folder, "--as-of", "2025-03-01", "--out", tmp_path / "out")
    assert ended.code == 4
    assert "2025-02-28" in ended.err
    assert not (tmp_path / "out").exists()


def _spoil(folder: Path, body: bytes) -> None:
    (folder / "pools" / f"{DAY}.json.gz").write_bytes(body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (gzip.compress(b'{"status": "success", "data": []}', mtime=0), "no pool"),
        (gzip.compress(b'{"status": "success", "data": [{"pool": ', mtime=0), DAY),
        (gzip.compress(b'{"status": "error"}', mtime=0), DAY),
        (b"this is no gzip file", DAY),
        (b"", DAY),
    ],
)
def test_an_empty_or_corrupt_market_is_named(
    body: bytes, named: str, call: Any, market_folder: Path, tmp_path: Path
) -> None:
    folder = copy_market(market_folder, tmp_path / "market", DAY)
    _spoil(folder, body)
    ended = call("ask", USD_QUESTION, "--source", folder, "--as-of", DAY, "--out", tmp_path / "out")
    assert ended.code == 4
    assert named in ended.err
    assert not (tmp_path / "out").exists()


def test_a_corrupt_history_is_an_error_not_a_missing_one(call: Any, market_folder: Path, tmp_path: Path) -> None:
    folder = copy_market(market_folder, tmp_path / "market", DAY)
    chart = folder / "charts" / "aa70268e-4b52-42bf-a116-608b370f9501.json.gz"
    chart.write_bytes(chart.read_bytes()[:-40])
    ended = call("ask", USD_QUESTION, "--source", folder, "--as-of", DAY, "--out", tmp_path / "out")
    assert ended.code == 4
    assert chart.name in ended.err


def test_a_folder_with_other_files_is_not_touched(call: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    ended = call("ask", USD_QUESTION, "--source", "demo", "--out", out)
    assert ended.code == 2
    assert (out / "thesis.txt").read_text() == "mine"
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_earlier_run_is_replaced_whole(call: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("ask", "10 ETH, medium risk", "--source", "demo", "--out", out).code == 0
    assert call("ask", "2 million dollars, medium risk", "--source", "demo", "--out", out).code == 0
    assert json.loads((out / "request.json").read_text())["question"].startswith("2 million")
    assert call("verify", out).code == 0
    assert list(tmp_path.glob(".out*")) == []


def test_plimsoll_toml_sets_defaults_below_flags_and_environment(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plimsoll.toml").write_text('source = "demo"\nformat = "md"\n')
    ended = call("ask", "10 ETH, medium risk", "--out", tmp_path / "out")
    assert ended.code == 0
    assert ended.out == (tmp_path / "out" / "rationale.md").read_text(encoding="utf-8")
    (tmp_path / "plimsoll.toml").write_text('sauce = "demo"\n')
    assert "sauce" in call("ask", "10 ETH, medium risk").err


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_folder_that_is_no_run_is_an_error(command: str, call: Any, tmp_path: Path) -> None:
    assert call(command, tmp_path / "nothing").code == 2
    (tmp_path / "empty").mkdir()
    assert call(command, tmp_path / "empty").code == 6
