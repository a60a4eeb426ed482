"""A run that is killed anywhere and run again from its journal: the same answers and usage, nothing paid twice."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_market import MadeSource
from small_market import NOW, QUESTION, market

from agents import journal as journals
from agents.calls import Call, CallFailed, Refused, Reply
from agents.journal import ANSWERS, Journal
from agents.models import Budget, Seat
from agents.state import Settings
from agents.workflow import advise
from tools.errors import UsageError
from tools.market.evidence import Evidence
from tools.market.sources.saved import INPUTS
from tools.records import Usage

ROOT = Path(__file__).resolve().parents[2]
SHAPE = {"type": "object"}
BUDGET = Budget(calls=20, repairs=3)

# A conversation with something of everything: refusals, silence, an answer to mend, failures in passing and for good.
SCRIPT: list[Reply | CallFailed] = [
    Refused("the server answers HTTP 400"),
    Reply("", 5, 0),
    Reply("let me think", 11, 7),
    Reply('{"n": 1}', 20, 8),
    CallFailed("the server answers HTTP 503", 0.5),
    Reply('{"n": 2}', 12, 9),
    CallFailed("the server answers HTTP 401"),
    Reply('{"n": 4}'),
]


class Killed(BaseException):
    """The process ended here."""


class World:
    """A model that says its script, one outcome for each request, and notes what was asked of it."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.dies_at = dies_at

    def __call__(self, call: Call) -> Reply:
        if len(self.asked) == self.dies_at:
            raise Killed
        outcome = SCRIPT[len(self.asked)]
        self.asked.append((call.rung, str(call.messages[1].content)))
        if isinstance(outcome, CallFailed):
            raise outcome
        return outcome


def number(answer: dict[str, Any]) -> int:
    return int(answer["n"]) if "n" in answer else 0


def converse(world: World, journal: Journal | None) -> tuple[list[int], Usage, list[dict[str, Any]]]:
    """Ask four questions; the policy answers one of them."""
    seat = Seat("scripted", world, budget=BUDGET, journal=journal)
    said = [seat.ask(task, "Count.", {"question": task}, number, shape=SHAPE) for task in ("a", "b", "c", "d")]
    return said, seat.usage().model_copy(update={"seconds": 0.0}), plain(seat.transcript)


def plain(transcript: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in transcript]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("agents.models.time.sleep", slept.append)
    return slept


@pytest.fixture
def uninterrupted() -> tuple[list[int], Usage, list[dict[str, Any]]]:
    return converse(World(), None)


def test_the_conversation_has_something_of_everything(uninterrupted: Any) -> None:
    said, usage, transcript = uninterrupted
    assert said == [1, 2, 0, 4]
    assert (usage.calls, usage.requests_refused, usage.rung, len(usage.fallback)) == (7, 1, "text", 3)
    assert [(task.task, task.calls, task.input_tokens) for task in usage.tasks] == [
        ("a", 3, 36),
        ("b", 2, 12),
        ("c", 1, 0),
        ("d", 1, 0),
    ]
    assert len(transcript) == len(SCRIPT)


def test_a_journal_changes_nothing_and_a_finished_run_is_repeated_for_nothing(
    uninterrupted: Any, tmp_path: Path, waits: list[float]
) -> None:
    journal = Journal(tmp_path / "run")
    assert converse(World(), journal) == uninterrupted
    slept, nobody = len(waits), World(dies_at=0)
    assert converse(nobody, journal) == uninterrupted
    assert (nobody.asked, waits[slept:]) == ([], [])


@pytest.mark.parametrize("dies_at", range(len(SCRIPT)))
def test_a_run_killed_while_the_model_answers_goes_on_where_it_stood(
    dies_at: int, uninterrupted: Any, tmp_path: Path
) -> None:
    world, journal = World(dies_at), Journal(tmp_path / "run")
    with pytest.raises(Killed):
        converse(world, journal)
    world.dies_at = None
    assert converse(world, journal) == uninterrupted
    assert len(world.asked) == len(SCRIPT)


@pytest.mark.parametrize("after", range(1, len(SCRIPT) + 1))
def test_a_run_killed_before_it_used_an_answer_does_not_pay_for_it_again(
    after: int, uninterrupted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, journal = World(), Journal(tmp_path / "run")

    def dies(model: str, entry: Any) -> None:
        Journal.append(journal, model, entry)
        if len(world.asked) == after:
            raise Killed

    monkeypatch.setattr(journal, "append", dies)
    with pytest.raises(Killed):
        converse(world, journal)
    monkeypatch.undo()
    monkeypatch.setattr("agents.models.time.sleep", lambda _: None)
    assert converse(world, journal) == uninterrupted
    assert len(world.asked) == len(SCRIPT)


def test_a_last_line_torn_anywhere_is_cut_off(uninterrupted: Any, tmp_path: Path) -> None:
    converse(World(), Journal(tmp_path / "whole"))
    whole = (tmp_path / "whole" / ANSWERS).read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for cut in range(start, len(whole)):
        folder = tmp_path / f"cut {cut}"
        folder.mkdir()
        (folder / ANSWERS).write_bytes(whole[:cut])
        world = World()
        world.asked = [("", "")] * (len(SCRIPT) - 1)
        assert converse(world, Journal(folder)) == uninterrupted
        kept = [json.loads(line)["entry"]["task"] for line in (folder / ANSWERS).read_bytes().splitlines()]
        assert kept == ["a"] * 4 + ["b"] * 2 + ["c", "d"]


def test_a_line_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    converse(World(), journal)
    path = tmp_path / "run" / ANSWERS
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (lines[3].replace(b'\\"n\\": 1', b'\\"n\\": 9'), b"[]\n", b"\xff\n", b"null\n", b"\n"):
        assert changed != lines[3]
        path.write_bytes(b"".join([*lines[:3], changed, *lines[4:]]))
        assert len(journal.answers("scripted")) == len(SCRIPT) - 1
    assert journal.answers("another") == []


def test_prompts_that_are_others_are_asked_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    converse(World(), journal)
    seat = Seat("scripted", lambda call: Reply('{"n": 7}'), journal=journal)
    assert seat.ask("a", "Count again.", {"question": "a"}, number, shape=SHAPE) == 7
    assert seat.ask("b", "Count.", {"question": "b"}, number, shape=SHAPE) == 2


def test_what_the_budget_forbade_is_reckoned_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    spent = BUDGET._replace(calls=3)
    for _ in range(2):
        seat = Seat("scripted", World(), budget=spent, journal=journal)
        assert seat.ask("a", "Count.", {"question": "a"}, number, shape=SHAPE) == 0
        assert (seat.calls, seat.requests_refused) == (2, 1)
        assert len((tmp_path / "run" / ANSWERS).read_bytes().splitlines()) == 3


def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        journal = Journal(tmp_path / "some" / "run")
        journal.append("scripted", {"task": "a"})
        journal.started_at(NOW)
        journal.keep(_read(market()))
    finally:
        os.umask(old)
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in journal.folder.iterdir()} == {0o600}


CHILD = """
import os, signal, sys
from pathlib import Path
from agents.calls import Reply
from agents.journal import Journal
from agents.models import Seat
folder, paid, dies_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
def voice(call):
    with paid.open("a") as file:
        file.write(call.messages[1].content + "\\n")
    return Reply('{"n": 3}', 10, 5)
real = Journal.append
def append(self, model, entry):
    real(self, model, entry)
    if len(self.answers(model)) == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.append = append
seat = Seat("scripted", voice, journal=Journal(folder))
print([seat.ask(task, "Count.", {}, lambda answer: answer["n"]) for task in "abc"], seat.calls, seat.input_tokens)
"""


def test_a_killed_process_leaves_what_it_was_told(tmp_path: Path) -> None:
    def child(dies_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), str(tmp_path / "paid"), str(dies_at)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert child(2).returncode == -signal.SIGKILL
    again = child(0)
    assert again.stdout.strip() == "[3, 3, 3] 3 30", again.stderr
    paid = (tmp_path / "paid").read_text().splitlines()
    assert len(paid) == len(set(paid)) == 3


# The market, and the time.


def _read(source: MadeSource) -> Evidence:
    evidence = Evidence(source)
    advise(QUESTION, evidence, settings=Settings(paths=500), now=NOW)
    return evidence


def test_the_market_is_read_once_and_the_record_is_the_same(tmp_path: Path) -> None:
    settings = Settings(paths=500)
    journal = Journal(tmp_path / "run")
    assert journal.evidence() is None
    source = market()
    evidence = Evidence(source)
    first, _ = advise(QUESTION, evidence, settings=settings, now=NOW)
    journal.keep(evidence)
    kept = (tmp_path / "run" / INPUTS).read_bytes()
    saved = journal.evidence()
    assert saved is not None
    assert saved.label == source.label != "saved"
    again, context = advise(QUESTION, saved, settings=settings, now=NOW)
    assert _stable(again.model_dump(mode="json")) == _stable(first.model_dump(mode="json"))
    other = Evidence(market({1: {"chain": "Base"}}))
    other.pools(other.day(None))
    journal.keep(other)
    assert (tmp_path / "run" / INPUTS).read_bytes() == kept
    assert context.source.sha256() == evidence.sha256()


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(item) for key, item in value.items() if key != "seconds"}
    return [_stable(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("damage", [lambda body: b"", lambda body: body[:-20], lambda body: b"{}"])
def test_market_rows_that_do_not_hold_are_read_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    evidence = _read(market())
    journal.keep(evidence)
    path = tmp_path / "run" / INPUTS
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert journal.evidence() is None
    journal.keep(evidence)
    assert path.read_bytes() == whole
    assert journal.evidence() is not None


def test_a_run_keeps_the_time_of_its_first_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    assert journal.started_at(NOW) == NOW
    assert Journal(tmp_path / "run").started_at(NOW + dt.timedelta(days=1)) == NOW
    for broken in (b"", b"7", b'"yesterday"', b'"2025-03-01T12:00:00"', b"\xff"):
        (tmp_path / "run" / journals.STARTED).write_bytes(broken)
        assert journal.started_at(NOW) == NOW


def test_a_journal_is_deleted_with_its_folder_unless_that_holds_something_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    converse(World(), journal)
    journal.started_at(NOW)
    journal.keep(_read(market()))
    (tmp_path / "run" / "mine.txt").write_text("mine")
    journal.delete()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]
    (tmp_path / "run" / "mine.txt").unlink()
    journal.started_at(NOW)
    journal.delete()
    assert list(tmp_path.iterdir()) == []
    journal.delete()


def test_a_journal_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="cannot write the journal"):
        journal.append("scripted", {"task": "a"})
    with pytest.raises(UsageError, match="cannot write the journal"):
        journal.started_at(NOW)
    (tmp_path / "run" / ANSWERS).mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot read"):
        Seat("scripted", World(), journal=Journal(tmp_path / "run"))
