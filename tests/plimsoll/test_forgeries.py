"""Forged recommendations: a figure is changed, the manifest is hashed again, and the checker must notice."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from command import BTC_QUESTION, ETH_QUESTION, USD_QUESTION, plimsoll

from evals.forgeries import KINDS, other_digit, save_forged
from tools.verify import verify

RUNS = [(USD_QUESTION, "2025-02-28"), (ETH_QUESTION, "2025-09-26"), (BTC_QUESTION, "2025-09-26")]
FORGERIES = int(os.environ.get("FORGERIES", "210"))  # 1,000 with `make forgeries`

# What some of these say of years that the folder does not hold is checked against itself only.
PARTLY = {"value in the record": 0.9, "proof of the weights": 0.8}  # of some fifteen each in the tests


@pytest.fixture
def runs(
    market_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    folders = []
    for number, (question, day) in enumerate(RUNS):
        out = tmp_path / f"run-{number}"
        assert (
            plimsoll(capsys, monkeypatch, "ask", question, "--source", market_folder, "--as-of", day, "--out", out).code
            == 0
        )
        folders.append(out)
    return folders


def test_every_forged_figure_is_caught(runs: list[Path], tmp_path: Path, published: list[str]) -> None:
    rng = random.Random(20260221)
    originals = [json.loads((run / "recommendation.json").read_text(encoding="utf-8")) for run in runs]
    folders = [Path(shutil.copytree(run, tmp_path / f"forged-{number}")) for number, run in enumerate(runs)]
    tried: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    missed: list[str] = []
    for number in range(FORGERIES):
        kind = list(KINDS)[number % len(KINDS)]
        which = rng.randrange(len(runs))
        forged = json.loads(json.dumps(originals[which]))
        where = KINDS[kind](forged, rng)
        save_forged(folders[which], forged)
        tried[kind] += 1
        if verify(folders[which]).ok:
            missed.append(f"{kind} {where or ''}")
        else:
            caught[kind] += 1
    lines = ", ".join(f"{kind} {caught[kind]}/{tried[kind]}" for kind in KINDS)
    published.append(f"forgeries caught with the manifest hashed again: {sum(caught.values())}/{FORGERIES} ({lines})")
    assert all(caught[kind] >= PARTLY.get(kind, 1.0) * tried[kind] for kind in KINDS), missed


def test_honest_recommendations_raise_no_alarm(
    market_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    published: list[str],
) -> None:
    questions = ["{} low risk", "{} medium risk, for 3 months", "{} high risk", "{}, no impermanent loss, at least 1%"]
    cases = [
        (question.format(amount), day)
        for amount, days in (
            ("$1,234,567", ("2024-08-31", "2024-12-01", "2025-02-28")),
            ("321.5 ETH", ("2025-08-31", "2025-09-26")),
            ("7.25 BTC", ("2025-09-26",)),
        )
        for day in days
        for question in questions
    ]
    figures = alarms = 0
    for number, (question, day) in enumerate(cases):
        out = tmp_path / f"run-{number}"
        where = ("--source", market_folder, "--as-of", day, "--out", out)
        assert plimsoll(capsys, monkeypatch, "ask", question, *where).code in {0, 3, 4}
        report = verify(out)
        figures += report.figures + report.recomputed
        alarms += len(report.differences)
        assert report.ok, (question, day, [str(difference) for difference in report.differences])
    published.append(f"false alarms: {alarms} in {len(cases)} honest recommendations with {figures} figures and values")


def test_any_single_digit_of_either_file_is_caught_by_the_manifest(runs: list[Path]) -> None:
    rng = random.Random(3)
    for name in ("rationale.md", "recommendation.json"):
        path = runs[0] / name
        original = path.read_text(encoding="utf-8")
        for _ in range(25):
            path.write_text(other_digit(original, rng), encoding="utf-8")
            report = verify(runs[0])
            assert any(name in difference.where for difference in report.differences)
        path.write_text(original, encoding="utf-8")
    assert verify(runs[0]).ok
