"""A run that was stopped goes on where it stopped; where the work is done changes nothing."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from evals import journal, registry, runner
from evals.executors import Processes, Serial
from evals.journal import Journal, load_result, load_results, program_sha256
from evals.records import CaseResult, Score, Spent, Subject, SuiteResult
from evals.runner import run_suite
from evals.suite import Identity, Suite
from tools.errors import MandateError, UsageError


class Toy:
    """A suite of numbers that notes what it was asked, and can be told to fail or to stop."""

    def __init__(self, name: str) -> None:
        self.cases: list[int] = [1, 2, 3, 4]
        self.asked: list[int] = []
        self.stop_at: int | None = None
        self.suite: Suite[int, int] = Suite(
            name=name, words="toy", load=lambda: self.cases, identify=lambda n: Identity(f"n{n % 100}", (), n),
            solve=self.solve, spent=lambda answer: Spent(calls=1), fast=lambda n: n < 3,
            scorers={"even": lambda n, answer: Score(value=answer, passed=n % 2 == 0, explanation="")},
        )  # fmt: skip

    def solve(self, number: int, subject: Subject) -> int:
        self.asked.append(number)
        if number == self.stop_at:
            raise KeyboardInterrupt
        if number == 4:
            raise MandateError("four is none")
        return number * 10


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Toy]:
    made = Toy("toy")
    module = types.ModuleType("toy_suite")
    module.SUITE = made.suite  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_suite", module)
    monkeypatch.setitem(registry.SUITES, "toy", ("toy_suite", "toy"))
    runner._cases.cache_clear()
    yield made
    runner._cases.cache_clear()


def bare(result: SuiteResult) -> list[dict[str, Any]]:
    """A result without what time it took."""
    return [case.model_dump(exclude={"seconds"}) for case in result.cases]


def test_every_case_is_solved_scored_and_on_the_disk(toy: Toy, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = run_suite("toy", tmp_path, progress=lambda done, of: seen.append((done, of)))
    assert [case.case for case in result.cases] == ["n1", "n2", "n3", "n4"]
    assert [case.passed for case in result.cases] == [False, True, False, False]
    assert result.cases[3].error == "MandateError: four is none"
    assert result.cases[1].spent.calls == 1
    assert result.pass_rate == 0.25
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert load_result(tmp_path / "toy.policy.json") == result
    assert load_results(tmp_path) == [result]


def test_a_run_that_was_killed_goes_on_where_it_stopped(toy: Toy, tmp_path: Path) -> None:
    toy.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        run_suite("toy", tmp_path)
    assert not (tmp_path / "toy.policy.json").exists()
    with (tmp_path / "toy.policy.jsonl").open("ab") as file:  # what a kill in the middle of a line leaves
        file.write(b'{"suite": "toy", "case": "n3", "sco')
    toy.stop_at, toy.asked = None, []
    result = run_suite("toy", tmp_path)
    assert toy.asked == [3, 4]
    assert [case.case for case in result.cases] == ["n1", "n2", "n3", "n4"]
    assert len((tmp_path / "toy.policy.jsonl").read_bytes().splitlines()) == 4
    toy.asked = []
    assert bare(run_suite("toy", tmp_path)) == bare(result)
    assert toy.asked == []


def test_a_changed_case_program_or_subject_is_done_again(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_suite("toy", tmp_path)
    toy.cases[1], toy.asked = 202, []  # the same id with other data
    runner._cases.cache_clear()
    run_suite("toy", tmp_path)
    assert toy.asked == [202]
    toy.asked = []
    monkeypatch.setattr(runner, "program_sha256", lambda: "another program")
    run_suite("toy", tmp_path)
    assert len(toy.asked) == 4
    toy.asked = []
    run_suite("toy", tmp_path, subject=Subject("a/model"))
    assert len(toy.asked) == 4
    assert (tmp_path / "toy.a-model.json").exists()


def test_the_fast_subset_is_a_part_of_the_whole(toy: Toy, tmp_path: Path) -> None:
    fast = run_suite("toy", tmp_path, fast=True)
    assert (fast.fast, [case.case for case in fast.cases]) == (True, ["n1", "n2"])
    toy.asked = []
    assert len(run_suite("toy", tmp_path).cases) == 4
    assert toy.asked == [3, 4]


def test_what_was_not_foreseen_ends_the_run(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.cases[:] = [1, 2, "three"]  # type: ignore[list-item]
    with pytest.raises(TypeError):
        run_suite("toy", tmp_path)


def test_two_cases_of_one_name_are_refused(toy: Toy, tmp_path: Path) -> None:
    toy.cases[:] = [1, 101]
    with pytest.raises(UsageError, match="same id"):
        run_suite("toy", tmp_path)


def test_a_file_that_is_no_journal_is_left_alone(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "toy.policy.jsonl"
    path.write_text("dear diary\n")
    with pytest.raises(UsageError, match="line 1: not a result"):
        run_suite("toy", tmp_path)
    assert path.read_text() == "dear diary\n"
    with pytest.raises(UsageError, match="not a result"):
        load_result(path)
    with pytest.raises(UsageError, match="plimsoll eval run"):
        load_results(tmp_path / "nowhere")


def test_a_line_is_on_the_disk_before_the_next_case(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = journal.os.fsync
    monkeypatch.setattr(journal.os, "fsync", lambda number: (synced.append(len(toy.asked)), real(number))[1])
    run_suite("toy", tmp_path, finished=lambda result: synced.append(-1))
    assert synced[:8] == [1, -1, 2, -1, 3, -1, 4, -1]
    assert Journal(tmp_path / "none", CaseResult).read() == []


def test_threads_give_the_same_as_one_after_the_other(toy: Toy, tmp_path: Path) -> None:
    serial = run_suite("toy", tmp_path / "serial", executor=Serial())
    with ThreadPoolExecutor(3) as pool:
        assert bare(run_suite("toy", tmp_path / "threads", executor=pool)) == bare(serial)


def test_processes_yield_in_the_order_of_the_items_and_pass_a_failure_on() -> None:
    assert list(Processes(2).map(abs, [-3, 1, -2, 0])) == [3, 1, 2, 0]
    with pytest.raises(TypeError):
        list(Processes(2).map(abs, [1, "two"]))


def test_processes_give_the_same_bits_as_one_after_the_other(tmp_path: Path) -> None:
    serial = run_suite("intake", tmp_path / "serial", fast=True)
    spread = run_suite("intake", tmp_path / "processes", fast=True, executor=Processes(2))
    assert len(serial.cases) > 20
    assert json.dumps(bare(spread)) == json.dumps(bare(serial))


def test_the_program_has_one_hash_and_the_hash_sees_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    first = program_sha256()
    assert first == program_sha256()
    monkeypatch.setattr(journal, "PROGRAM", ("tools", "evals"))
    assert program_sha256() != first
