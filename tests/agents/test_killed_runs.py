"""A run or a conversation that is killed at any boundary goes on to the same record, and pays for no call twice."""

from __future__ import annotations

import datetime as dt
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scripted_model as scripted
from killed import Killer, run_killed
from small_market import NOW, PATHS, QUESTION, market

from agents.conversation import Room, answer, build_conversation, pending
from agents.endpoint import model_seat
from agents.journal import Journal
from agents.memory import memory
from agents.models import Seat, policy_seat
from agents.solving import Solver
from agents.state import Settings
from agents.workflow import advise
from plimsoll import runs, threads

STEPS = frozenset({"agent_done"})
MARKS = frozenset({"understood", "run", "agent_done", "run_done", "search"})
SETTINGS = Settings(paths=PATHS)


def stable(value: Any) -> Any:
    """A record without what may differ between equal runs."""
    if isinstance(value, dict):
        return {key: stable(item) for key, item in value.items() if key not in {"seconds", "sha256", "run_id"}}
    return [stable(item) for item in value] if isinstance(value, list) else value


def test_a_run_killed_at_every_node_ends_as_if_nothing_had_happened(tmp_path: Path, published: list[str]) -> None:
    with scripted.serve(scripted.honest()) as server:

        def work(folder: Path) -> Callable[[Any], None]:
            def advised(listen: Any) -> None:
                journal = Journal(folder)
                seat = model_seat("scripted", base_url=server.url, api_key=None, journal=journal)
                made, _ = advise(QUESTION, market(), seat=seat, journal=journal, settings=SETTINGS, listen=listen)
                (folder / "record.json").write_text(made.model_dump_json())

            return advised

        counter = Killer(STEPS, None)
        work(tmp_path / "whole")(counter)
        whole = json.loads((tmp_path / "whole" / "record.json").read_text())
        paid = len(server.asked)
        assert whole["usage"]["calls"] > 0
        for at in range(1, counter.seen + 1):
            server.asked.clear()
            folder = tmp_path / str(at)
            assert run_killed(work(folder), STEPS, at)
            work(folder)(lambda _: None)
            again = json.loads((folder / "record.json").read_text())
            assert stable({**again, "created_at": ""}) == stable({**whole, "created_at": ""}), f"killed at {at}"
            assert len(server.asked) == paid, f"killed at {at}: calls were paid again"
    published.append(f"runs killed at every node: {counter.seen} of {counter.seen} ended with the same record")


def room_in(folder: Path, open_seat: Callable[[Journal], Seat], listen: Any) -> Room:
    return Room(
        thread="t",
        folder=folder,
        solver=Solver(lambda *_: market(), SETTINGS),
        open_seat=open_seat,
        save=runs.save,
        keep=threads.keep,
        listen=listen,
    )


def say(folder: Path, line: str | None, open_seat: Callable[[Journal], Seat], listen: Any = None) -> dict[str, Any]:
    """Say a line in the thread that lies in a folder, as a process of its own would."""
    with memory(folder / "memory.sqlite") as opened:
        conversation = build_conversation(opened)
        state = answer(conversation, room_in(folder / "t", open_seat, listen), line, NOW)
        return json.loads((folder / "t" / f"turn-{len(state['said']):04d}" / "answer.json").read_text())


def test_a_conversation_killed_anywhere_goes_on(tmp_path: Path) -> None:
    line = "and without Aave?"

    def seat(_: Journal) -> Seat:
        return policy_seat()

    whole = tmp_path / "whole"
    say(whole, QUESTION, seat)
    counter = Killer(MARKS, None)
    expected = say(whole, line, seat, counter)
    for at in range(1, counter.seen + 1, 4):  # of four marks one: the others are between the same files
        folder = tmp_path / str(at)
        say(folder, QUESTION, seat)
        assert run_killed(lambda listen, folder=folder: say(folder, line, seat, listen), MARKS, at)  # type: ignore[misc]
        with memory(folder / "memory.sqlite") as opened:
            assert pending(build_conversation(opened), "t") == line
        assert stable(say(folder, None, seat)) == stable(expected)


def test_a_conversation_pays_no_call_twice(tmp_path: Path) -> None:
    with scripted.serve(scripted.honest()) as server:

        def seat(journal: Journal) -> Seat:
            return model_seat("scripted", base_url=server.url, api_key=None, journal=journal)

        whole = tmp_path / "whole"
        counter = Killer(MARKS, None)
        expected = say(whole, QUESTION, seat, counter)
        paid = len(server.asked)
        for at in range(1, counter.seen + 1, 4):
            server.asked.clear()
            folder = tmp_path / str(at)
            assert run_killed(lambda listen, folder=folder: say(folder, QUESTION, seat, listen), MARKS, at)  # type: ignore[misc]
            assert stable(say(folder, None, seat)) == stable(expected)
            assert len(server.asked) == paid


def test_what_is_remembered_is_the_users_alone(tmp_path: Path) -> None:
    say(tmp_path, QUESTION, lambda _: policy_seat())
    for path in tmp_path.glob("memory.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "t" / "turn-0001").stat().st_mode) == 0o700
    assert dt.datetime.fromisoformat(NOW.isoformat()) == NOW
