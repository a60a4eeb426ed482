"""A person is asked before the choice is final, in this process or in another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from small_market import NOW, PATHS, QUESTION, market, run

from agents.models import policy_seat
from agents.state import Context, Settings
from agents.workflow import advise, build_workflow
from plimsoll import runs
from tools.errors import Declined, UsageError
from tools.market.evidence import Evidence
from tools.records import Recommendation
from tools.verify import verify

ASKING = Settings(paths=PATHS, approve=True)


def stable(recommendation: Recommendation) -> dict[str, Any]:
    record = recommendation.model_dump(mode="json", exclude={"trace", "usage"})
    return {key: value for key, value in record.items() if key not in {"approval", "run_id"}}


def test_a_person_approves_what_is_proposed() -> None:
    shown: list[Any] = []

    def ask(proposal: Any) -> str:
        shown.append(proposal)
        return str(proposal["proposed"])

    recommendation, _ = advise(QUESTION, market(), settings=ASKING, ask=ask, now=NOW)
    assert recommendation.approval is not None
    assert recommendation.approval.chosen == recommendation.approval.proposed
    assert stable(recommendation) == stable(run(None))
    assert shown[0]["shortlist"][0]["id"] == shown[0]["proposed"]


def test_a_person_takes_another_of_the_shortlist_and_the_run_verifies_and_replays(tmp_path: Path) -> None:
    recommendation, context = advise(
        QUESTION,
        market(),
        settings=Settings(approve=True),
        ask=lambda proposal: proposal["shortlist"][1]["id"],
        now=NOW,
    )
    assert recommendation.choice is not None
    assert recommendation.approval is not None
    assert recommendation.choice.candidate_id == recommendation.approval.chosen != recommendation.approval.proposed
    folder = runs.save(tmp_path / "run", recommendation, context)
    assert verify(folder).differences == ()
    assert runs.replay(folder).differences == ()


def test_a_person_may_decline_and_nothing_else_is_taken() -> None:
    with pytest.raises(Declined, match="nothing was written"):
        advise(QUESTION, market(), settings=ASKING, ask=lambda _: None, now=NOW)
    with pytest.raises(UsageError, match="not in the shortlist"):
        advise(QUESTION, market(), settings=ASKING, ask=lambda _: "ultra_safe.nothing", now=NOW)
    with pytest.raises(UsageError, match="nobody can be asked"):
        advise(QUESTION, market(), settings=ASKING, now=NOW)


@pytest.mark.parametrize("stop", ["quant", "risk", "decision", "settle", "report"])
def test_a_run_goes_on_from_its_checkpoint_in_another_process(stop: str) -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    source = Evidence(market())

    def context() -> Context:  # another process has the market and the seat, and none of the arrays
        return Context(source=source, seat=policy_seat(), settings=Settings(paths=PATHS), now=lambda: NOW)

    graph = build_workflow(saver)
    graph.invoke({"question": QUESTION}, config, context=context(), interrupt_before=[stop])
    final = build_workflow(saver).invoke(None, config, context=context())
    assert stable(final["recommendation"]) == stable(run(None))


def test_the_answer_may_come_in_another_process() -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    source = Evidence(market())

    def context() -> Context:
        return Context(source=source, seat=policy_seat(), settings=ASKING, now=lambda: NOW)

    waiting = build_workflow(saver).invoke({"question": QUESTION}, config, context=context())
    proposal = waiting["__interrupt__"][0].value
    final = build_workflow(saver).invoke(Command(resume={"candidate": proposal["proposed"]}), config, context=context())
    assert stable(final["recommendation"]) == stable(run(None))
