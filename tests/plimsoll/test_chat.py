"""``plimsoll chat`` and what belongs to it, as a person or a program uses them, on the embedded market."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from command import plimsoll

from plimsoll import asking, cli, threads

DEMO = ("--source", "demo")
QUESTION = "I have 250 ETH, low risk"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def ended(*arguments: object, lines: str = "") -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        return plimsoll(capsys, monkeypatch, *arguments)

    return ended


def test_lines_from_a_pipe_are_answered_kept_verified_and_forgotten(run: Any, tmp_path: Path) -> None:
    said = (
        f"{QUESTION}\nwhy not the second one?\n/save {tmp_path / 'kept'}\n/nonsense\nwithout Lido\n/quit\nnever read\n"
    )
    ended = run("chat", "--thread", "t", *DEMO, "--format", "md", lines=said)
    assert ended.code == 0
    assert "250 ETH" in ended.out
    assert "/nonsense is no command" in ended.err
    folder = threads.home() / "t"
    turns = sorted(path.name for path in folder.glob("turn-*"))
    assert turns == ["turn-0001", "turn-0002", "turn-0003"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(threads.database().stat().st_mode) == 0o600
    for name in turns:
        assert run("verify", folder / name).code == 0
    assert run("replay", folder / "turn-0003").code == 0
    assert run("verify", tmp_path / "kept").code == 0
    assert "t  3 turns" in run("threads", "list").out
    assert run("threads", "show", "t").out.count("### ") == 3
    again = run("chat", "--thread", "t", *DEMO, "--format", "md", lines="why?\n")
    assert "Why this choice" in again.out
    assert run("threads", "delete", "t").code == 0
    assert not folder.exists()
    assert run("threads", "list").out == ""
    assert run("threads", "delete", "t").code == 2


@pytest.mark.parametrize("name", ["../up", "", "A", "a/b", ".hidden", "x" * 65])
def test_a_thread_has_a_plain_name(name: str, run: Any) -> None:
    if name:  # an empty one is none
        assert run("chat", "--thread", name, *DEMO, lines="").code == 2


def test_a_thread_is_open_in_one_place_only(run: Any) -> None:
    with threads.held("t"):
        ended = run("chat", "--thread", "t", *DEMO, lines="hello\n")
    assert ended.code == 2
    assert "open elsewhere" in ended.err


def test_a_memory_that_is_none_is_said(run: Any) -> None:
    threads.home()
    threads.database().write_text("this is no database")
    ended = run("chat", "--thread", "t", *DEMO, lines="hello\n")
    assert ended.code == 2
    assert "cannot be used" in ended.err


def test_events_are_json_lines_and_the_answer_is_the_last(run: Any, tmp_path: Path) -> None:
    ended = run("ask", QUESTION, *DEMO, "--events", "--out", tmp_path / "run")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["event"] for event in events[:2]] == ["started", "understood"]
    assert events[1]["mandate"] == {"asset": "ETH", "amount": 250.0, "risk": "low"}
    assert events[-1]["event"] == "answer"
    assert events[-1]["markdown"] == (tmp_path / "run" / "rationale.md").read_text()
    assert {event["step"] for event in events if event["event"] == "agent_done"} >= {"intake", "data", "quant", "risk"}


def test_a_run_that_is_stopped_can_be_resumed(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(_: bool) -> Any:
        def listen(event: dict[str, Any]) -> None:
            if event.get("step") == "risk":
                raise KeyboardInterrupt

        return listen

    with monkeypatch.context() as patched:
        patched.setattr(cli, "listener", stopping)
        ended = run("ask", QUESTION, *DEMO, "--out", tmp_path / "run", "--format", "md")
    assert ended.code == 130
    assert not (tmp_path / "run").exists()
    (name,) = asking.pending()
    assert f"plimsoll resume {name}" in ended.err
    assert stat.S_IMODE((asking.default_home() / "pending" / name / asking.ASKED).stat().st_mode) == 0o600
    assert run("resume", "nothing").code == 2
    resumed = run("resume", name)
    assert resumed.code == 0
    assert asking.pending() == []
    assert run("verify", tmp_path / "run").code == 0
    assert run("resume").code == 2


def test_a_person_is_asked_before_the_choice_is_final(run: Any, tmp_path: Path) -> None:
    declined = run("ask", QUESTION, *DEMO, "--approve", "--out", tmp_path / "none", lines="n\n")
    assert declined.code == 3
    assert not (tmp_path / "none").exists()
    taken = run("ask", QUESTION, *DEMO, "--approve", "--out", tmp_path / "run", "--format", "json", lines="\n")
    assert taken.code == 0
    record = json.loads(taken.out)
    assert record["approval"] == {
        "proposed": record["choice"]["candidate_id"],
        "chosen": record["choice"]["candidate_id"],
    }
    assert run("verify", tmp_path / "run").code == 0
    assert run("replay", tmp_path / "run").code == 0
