"""Grounding: a page or a record that was changed is caught by the checker, and an honest one raises no alarm.

A case is an honest run of the workflow, as it is or with one forgery (``evals.forgeries``): text, record and the
hashes of the folder are changed in step, so only the sense of what is written can give it away. The question is put to
``tools.verify``, as ``plimsoll verify`` does.
"""

from __future__ import annotations

import functools
import json
import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agents.models import policy_seat
from agents.workflow import advise
from evals.forgeries import KINDS, Record, of_another_run, save_forged
from evals.made_source import MadeSource
from evals.records import CaseResult, Score, Spent, Subject
from evals.run_folders import write_run
from evals.suite import Identity, Section, Suite, Table
from evals.suites.advice import lines, market
from tools.verify import verify

ANOTHER_RUN = "figure of another run"
HONEST = "honest"
FAST = {"g05", "g06", "g07", "g08"}


class Case(NamedTuple):
    """A question to the made market, what is forged in its run (None: nothing), and the seed of the chance in it.

    ``other`` is the question of the run that a figure is taken from.
    """

    id: str
    question: str
    forgery: str | None = None
    seed: int = 0
    other: str | None = None


class Checked(NamedTuple):
    """What the checker noted, and where the forger had been (None where the kind says all)."""

    differences: tuple[str, ...]
    where: str | None
    figures: int
    spent: Spent


class _Run(NamedTuple):
    record: Record
    files: Mapping[str, bytes]
    spent: Spent


def solve(case: Case, subject: Subject) -> Checked:
    """Run the workflow, or take the run of an earlier case, forge and check."""
    run = _run_of(case.question, subject)
    with tempfile.TemporaryDirectory(prefix="plimsoll-grounding-") as scratch:
        folder = Path(scratch)
        for name, content in run.files.items():
            (folder / name).write_bytes(content)
        where = None
        if case.forgery is not None:
            forged = json.loads(json.dumps(run.record))
            where = _forge(case, forged, subject)
            save_forged(folder, forged)
        report = verify(folder)
    found = tuple(str(difference) for difference in report.differences)
    return Checked(found, where, report.figures + report.recomputed, run.spent)


def _forge(case: Case, record: Record, subject: Subject) -> str | None:
    rng = random.Random(case.seed)  # noqa: S311 - no secret
    if case.forgery == ANOTHER_RUN:
        assert case.other is not None
        of_another_run(record, rng, _run_of(case.other, subject).record)
        return None
    assert case.forgery is not None
    return KINDS[case.forgery](record, rng)


def _run_of(question: str, subject: Subject) -> _Run:
    return _runs(subject.name, question) if subject.seat is None else _made(question, subject)


@functools.cache
def _runs(name: str, question: str) -> _Run:
    return _made(question, Subject(name))


def _made(question: str, subject: Subject) -> _Run:
    seat = policy_seat() if subject.seat is None else subject.seat()
    record, context = advise(question, MadeSource(market()), seat=seat)
    scratch = Path(tempfile.mkdtemp(prefix="plimsoll-grounding-"))
    try:
        folder = write_run(scratch / "run", record, context)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
    finally:
        shutil.rmtree(scratch)
    usage = record.usage
    spent = Spent(calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
    return _Run(record.model_dump(mode="json"), files, spent)


def caught(case: Case, checked: Checked) -> Score | None:
    """Demand a difference where something was forged."""
    if case.forgery is None:
        return None
    found = bool(checked.differences)
    words = checked.differences[0][:200] if found else f"not noticed: {checked.where or case.forgery}"
    return Score(value=float(found), passed=found, explanation=words)


def no_false_alarm(case: Case, checked: Checked) -> Score | None:
    """Demand no difference where nothing was forged."""
    if case.forgery is not None:
        return None
    alarms = len(checked.differences)
    words = checked.differences[0][:200] if alarms else f"{checked.figures} figures and values hold"
    return Score(value=float(alarms), passed=not alarms, explanation=words)


def sections(results: Sequence[CaseResult]) -> tuple[Section, ...]:
    """Return what was caught by kind."""
    rows = []
    for kind in sorted({kind for result in results for kind in result.tags}, key=lambda kind: (kind == HONEST, kind)):
        own = [result for result in results if kind in result.tags and result.error is None]
        right = sum(result.passed for result in own)
        rows.append((kind, str(len(own)), "-" if kind == HONEST else str(right), str(len(own) - right)))
    columns = ("forgery", "cases", "caught", "missed, or false alarms")
    return (Table("Forgeries caught, by kind", columns, tuple(rows)),)


def details(case: Case, checked: Checked) -> Mapping[str, Any]:
    """Return what was done and what was noticed first."""
    return {
        "question": case.question,
        "forgery": case.forgery,
        "where": checked.where,
        "noticed": list(checked.differences[:3]),
    }


def load() -> Sequence[Case]:
    """Read the cases."""
    return [Case(**line) for line in lines("grounding.jsonl")]


SUITE = Suite(
    name="grounding",
    words="is a changed figure, name or value caught, and an honest page left in peace?",
    load=load,
    identify=lambda case: Identity(case.id, (case.forgery or HONEST,), case._asdict()),
    solve=solve,
    scorers={"caught": caught, "no_false_alarm": no_false_alarm},
    spent=lambda checked: checked.spent,
    details=details,
    fast=lambda case: case.id in FAST,
    sections=sections,
)
