"""Runs the command line inside the test's process, as a person would call it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plimsoll import cli

USD_QUESTION = "Put 2 million dollars of stablecoins to work, low risk, no more than 25% in one pool"
ETH_QUESTION = "I have 250 ETH, where should I put it to work?"
BTC_QUESTION = "What should I do with 20 BTC?"
VOLATILE = {"created_at", "run_id", "seconds"}


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


def plimsoll(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Ended:
    """Call ``plimsoll ARGUMENTS``."""
    monkeypatch.setattr("sys.argv", ["plimsoll", *map(str, arguments)])
    capsys.readouterr()
    code: Any = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code
    captured = capsys.readouterr()
    return Ended(0 if code is None else int(code), captured.out, captured.err)


def record(folder: Path) -> dict[str, Any]:
    """Read the record of a run folder."""
    loaded: dict[str, Any] = json.loads((folder / "recommendation.json").read_text(encoding="utf-8"))
    return loaded


def stable(value: Any) -> Any:
    """Return a record without what may differ between two runs on the same inputs."""
    if isinstance(value, dict):
        kept = {key: stable(item) for key, item in value.items() if key not in VOLATILE}
        if "snapshot_sha256" in kept:
            kept.pop("source", None)
        return kept
    return [stable(item) for item in value] if isinstance(value, list) else value


def copy_market(market: Path, to: Path, day: str) -> Path:
    """Copy what a decision on ``day`` reads, so that a test can spoil it."""
    (to / "pools").mkdir(parents=True)
    shutil.copy(market / "pools" / f"{day}.json.gz", to / "pools")
    shutil.copytree(market / "charts", to / "charts")
    for kind in ("prices", "rates"):
        shutil.copytree(market / kind, to / kind)
    shutil.copy(market / "hacks.json", to)
    for path in to.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to
