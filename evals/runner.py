"""Run the cases of a suite: what is done is skipped, what is new is solved, scored, and on the disk before the next.

cases → (not in the journal) → Executor.map(solve and score) → journal, one line a case → SuiteResult
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evals.executors import Executor, Serial
from evals.journal import Journal, Key, key_of, program_sha256, save
from evals.records import SCHEMA_VERSION, CaseResult, Spent, Subject, SuiteResult
from evals.registry import suite_named
from evals.suite import Suite
from tools.errors import PlimsollError, UsageError
from tools.market.snapshot import Progress
from tools.records import digest
from tools.units import safe_label


class Task(NamedTuple):
    """One case to do, by names, so that it can travel to another process."""

    suite: str
    case: str
    subject: Subject
    program_sha256: str


def run_suite(
    name: str,
    folder: Path,
    *,
    subject: Subject | None = None,
    executor: Executor | None = None,
    fast: bool = False,
    progress: Progress | None = None,
    finished: Callable[[CaseResult], None] | None = None,
) -> SuiteResult:
    """Run a suite, or the rest of it, and return all its results in the order of its cases.

    ``folder`` takes a journal, ``NAME.SUBJECT.jsonl``, and at the end the result, ``NAME.SUBJECT.json`` or, of the fast
    subset, ``NAME.SUBJECT.fast.json``. ``finished`` is told each new result once it is on the disk.

    Raises UsageError for an unknown suite. Foreseen failures of a case (``PlimsollError``) are part of its result; any
    other exception ends the run, which can be taken up again.
    """
    suite, subject = suite_named(name), subject or Subject()
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}.{safe_label(subject.name).replace('/', '-')}"
    journal = Journal(folder / f"{stem}.jsonl", CaseResult)
    cases = {case_id: case for case_id, case in _cases(name).items() if not fast or suite.fast(case)}
    program = program_sha256()
    keys = {case_id: _key(suite, case, subject, program) for case_id, case in cases.items()}
    done = {result.case: result for result in journal.read() if keys.get(result.case) == key_of(result)}
    missing = [Task(name, case_id, subject, program) for case_id in cases if case_id not in done]
    if progress:
        progress(len(done), len(cases))
    for result in (executor or Serial()).map(run_case, missing):
        journal.append(result)
        done[result.case] = result
        if finished:
            finished(result)
        if progress:
            progress(len(done), len(cases))
    ordered = [done[case_id] for case_id in cases]
    found = SuiteResult(
        schema_version=SCHEMA_VERSION, suite=name, words=suite.words, subject=subject.name, fast=fast, cases=ordered
    )
    save(found, folder / f"{stem}{'.fast' if fast else ''}.json")
    return found


def run_case(task: Task) -> CaseResult:
    """Solve and score one case."""
    suite, case = suite_named(task.suite), _cases(task.suite)[task.case]
    identity = suite.identify(case)
    started = time.perf_counter()
    answer, error = None, None
    try:
        answer = suite.solve(case, task.subject)
    except PlimsollError as failure:
        error = f"{type(failure).__name__}: {failure}"
    seconds = time.perf_counter() - started
    return CaseResult(
        suite=task.suite,
        case=identity.id,
        case_sha256=digest(identity.content),
        program_sha256=task.program_sha256,
        subject=task.subject.name,
        tags=list(identity.tags),
        scores={} if error else suite.scored(case, answer),
        error=error,
        spent=Spent() if error else suite.spent(answer),
        seconds=round(seconds, 4),
        details={} if error else dict(suite.details(case, answer)),
    )


@functools.cache
def _cases(name: str) -> Mapping[str, Any]:
    """Return a suite's cases by id; read once a process."""
    suite = suite_named(name)
    cases: Sequence[Any] = suite.load()
    by_id = {suite.identify(case).id: case for case in cases}
    if len(by_id) < len(cases):
        raise UsageError(f"{name}: two cases have the same id")
    return by_id


def _key(suite: Suite[Any, Any], case: Any, subject: Subject, program: str) -> Key:
    identity = suite.identify(case)
    return Key(identity.id, digest(identity.content), program, subject.name)
