"""A conversation remembers, answers by solving again, and every figure of it resolves into one of its runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from small_market import NOW, QUESTION, market

from agents.conversation import Conversation, Room, answer, build_conversation, pending
from agents.models import policy_seat
from agents.solving import Solver
from agents.state import Settings
from plimsoll import runs, threads
from tools.dialogue import Memory
from tools.dialogue.answer import Answer
from tools.errors import MandateError, UsageError
from tools.verify import verify_answer


class Talk:
    """A conversation on the small market, in a folder of its own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.graph: Conversation = build_conversation(InMemorySaver())
        self.room = Room(
            thread="t",
            folder=folder,
            solver=Solver(lambda *_: market(), Settings(**settings)),
            open_seat=lambda _: policy_seat(),
            save=runs.save,
            keep=threads.keep,
            listen=self.events.append,
        )

    def say(self, line: str) -> Answer:
        state = answer(self.graph, self.room, line, NOW)
        return self.read(len(state["said"]))

    @property
    def memory(self) -> Memory:
        return self.graph.get_state({"configurable": {"thread_id": "t"}}).values["memory"]  # type: ignore[no-any-return]

    def read(self, number: int) -> Answer:
        return Answer.model_validate_json((self.room.turn_folder(number) / "answer.json").read_bytes())


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    talk = Talk(tmp_path_factory.mktemp("talk"), paths=2_000)
    talk.say(QUESTION)
    return talk


LINES = {
    "less risk": ("what_if", "Medium risk instead of high"),
    "why these?": ("why", "Why this choice"),
    "why so little in Aave?": ("why", "of the money: it pays"),
    "and without Aave?": ("what_if", "without Aave"),
    "make it 4 pools": ("what_if", "number of pools"),
    "why not the second one?": ("why_not", "behind"),
    "why not Maximum Yield?": ("why_not", "Maximum Yield"),
    "what does each limit cost me?": ("prices", "price of the limit"),
    "what would change your mind?": ("mind", "out of it at"),
    "explain CVaR to me": ("explain", "For what was chosen here it is"),
    "compare it with a Treasury bill": ("compare", "holding"),
    "compare with equal weights": ("compare", "independent risks"),
    "will ETH go up next month?": ("out_of_scope", "predict"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_answered(line: str, talk: Talk) -> None:
    kind, words = LINES[line]
    told = talk.say(line)  # a figure that does not resolve would have raised
    assert told.asked.kind == kind
    assert words.casefold() in told.rationale.markdown.casefold()


def test_an_answer_is_verified_and_replayed_and_a_forged_one_is_found(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.say(QUESTION)
    told = talk.say("and without Aave?")
    folder = talk.room.turn_folder(told.turn)
    assert verify_answer(folder).differences == ()
    assert runs.replay_answer(folder).differences == ()
    figure = next(f for f in told.rationale.figures if f.unit == "percent" and f.pointer.startswith("/runs/after"))
    forged = told.rationale.markdown[: figure.start] + "9.99%" + told.rationale.markdown[figure.end :]
    plain = told.model_dump(mode="json")
    plain["rationale"]["markdown"] = forged
    threads.keep(folder, Answer.model_validate(plain))
    assert any("9.99%" in str(one) for one in verify_answer(folder).differences)
    assert runs.replay_answer(folder).differences == ("answer.md: other bytes",)
    run = folder / "runs" / "after" / "recommendation.json"
    threads.keep(folder, told)
    assert not verify_answer(folder).differences
    record = json.loads(run.read_text())
    record["choice"]["expected"]["net_apy"] += 0.01
    run.write_text(runs.as_json(record))
    assert any("net_apy" in str(one) for one in verify_answer(folder).differences)


def test_a_limit_that_is_lifted_and_set_again_leads_back_to_the_same_choice(tmp_path: Path) -> None:
    talk = Talk(tmp_path, paths=2_000)
    talk.say(QUESTION)
    first = talk.read(1).runs["choice"].sha256
    talk.say("and without Aave?")
    talk.say("allow Aave again")
    again = json.loads((talk.room.turn_folder(3) / "runs" / "after" / "recommendation.json").read_text())
    before = json.loads((talk.room.turn_folder(1) / "runs" / "choice" / "recommendation.json").read_text())
    assert first
    assert again["choice"] == before["choice"]


def test_changes_are_taken_back_one_after_the_other(tmp_path: Path) -> None:
    talk = Talk(tmp_path, paths=2_000)
    talk.say(QUESTION)
    first = talk.memory.mandate
    talk.say("for 60 days")
    second = talk.memory.mandate
    talk.say("and without Aave?")
    assert talk.say("why Morpho?").asked.kind in {"why", "why_not"}
    talk.say("undo")
    assert talk.memory.mandate == second
    talk.say("undo")
    assert (talk.memory.mandate, talk.memory.earlier) == (first, ())
    assert talk.say("undo").asked.kind == "unclear"


def test_a_line_that_cannot_be_carried_out_leaves_the_conversation_as_it_was(tmp_path: Path) -> None:
    talk = Talk(tmp_path, paths=2_000)
    assert talk.say("why?").asked.kind == "unclear"
    talk.say(QUESTION)
    with pytest.raises(MandateError):
        talk.say("at most 10% per pool and at most 2 pools")
    assert pending(talk.graph, "t") is None
    assert talk.say("less risk").asked.kind == "what_if"


def test_a_line_that_was_given_up_leaves_nothing_behind_for_the_next(tmp_path: Path) -> None:
    """Its journal holds rows that nothing reads again, and its run is the answer to another question."""
    talk = Talk(tmp_path, paths=2_000)
    talk.say(QUESTION)

    def torn(folder: Path, *arguments: Any, **options: Any) -> Path:
        talk.room.save = runs.save
        runs.save(folder, *arguments, **options)
        raise UsageError("stopped")

    talk.room.save = torn
    with pytest.raises(UsageError, match="stopped"):
        talk.say("for 60 days")
    told = talk.say("for 90 days")
    folder = talk.room.turn_folder(told.turn)
    after = json.loads((folder / "runs" / "after" / "recommendation.json").read_text())
    assert after["mandate"]["horizon_days"] == 90
    assert len((folder / "runs" / "after" / "inputs.json.gz").read_bytes()) > 1_000
    assert runs.replay_answer(folder).differences == ()


def test_the_memory_holds_no_run(talk: Talk) -> None:
    state = talk.graph.get_state({"configurable": {"thread_id": "t"}}).values
    plain = json.dumps(state, default=lambda value: value.model_dump(mode="json"))
    assert len(plain) < 20_000  # a run alone is a hundred times that
    assert "candidates" not in state


def test_what_happens_is_told_as_it_happens(talk: Talk) -> None:
    kinds = {event["event"] for event in talk.events}
    assert {"understood", "run", "tool", "tool_done", "agent_done", "run_done"} <= kinds
    assert not any("Aave" in json.dumps(event) for event in talk.events)  # no name of the market in any event
