"""What the doctor says of an endpoint: a finding for each rung, which one is used, and whether tokens are reported."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import scripted_model as scripted
from made_market import MadeSource
from scripted_model import FORMS, Asked, Handler, Mode, on_rungs, plain_only

from agents.cache import PromptCache
from agents.endpoint import model_seat
from agents.models import Budget, Seat
from agents.probe import READY as READY_SHAPE
from agents.probe import probe
from plimsoll.doctor import Finding, examine

BUDGET = Budget(seconds_per_call=5.0, seconds_per_run=20.0)
READY = '{"ready": true}'


def literal(ignore: Collection[str] = (), **changes: Any) -> Mode:
    """Do as the prompt says: plain words, unless a form that the server knows demands an object."""

    def mode(handler: Handler, asked: Asked) -> None:
        free = "plain words" in asked.request["messages"][0]["content"] and asked.rung in {*ignore, "text"}
        handler.send(200, scripted.completion("I am ready." if free else READY, **changes))

    return on_rungs(mode, ignore=ignore)


def seat_at(url: str) -> Seat:
    return model_seat("scripted", base_url=url, api_key=None, budget=BUDGET, required=True)


def found(mode: Mode) -> tuple[list[Finding], list[str]]:
    """What the doctor finds about the model, and the rungs of its requests."""
    with scripted.serve(mode) as server:
        findings = list(examine(lambda: MadeSource([], {}), None, lambda: seat_at(server.url)))
    return [one for one in findings if one.what.startswith("model")], [asked.rung for asked in server.asked]


@pytest.mark.parametrize(
    ("mode", "states", "used"),
    [
        (literal(), ["offered"] * 4, "json_schema"),
        (literal(ignore=["json_schema"]), ["ignored", "offered", "offered", "offered"], "tool_call"),
        (literal(ignore=FORMS), ["ignored"] * 3 + ["offered"], "text"),
        (plain_only(literal(), 422), ["refused"] * 3 + ["offered"], "text"),
        (on_rungs(literal(), refuse={"json_schema": 404}), ["refused"] + ["offered"] * 3, "tool_call"),
        (on_rungs(literal(), mute=["json_schema"]), ["refused"] + ["offered"] * 3, "tool_call"),
    ],
)
def test_the_doctor_says_of_each_rung_whether_it_is_offered_and_uses_the_first(
    mode: Mode, states: list[str], used: str
) -> None:
    findings, asked = found(mode)
    *rungs, model, tokens = findings
    assert [one.detail.partition(":")[0] for one in rungs] == states
    assert [one.works for one in rungs] == [state == "offered" for state in states]
    assert not any(one.needed for one in findings)
    assert (model.works, tokens.works) == (True, True)
    assert model.detail.startswith("scripted answers with JSON in ")
    assert model.detail.endswith(f" s, by {used}")
    assert asked == ["json_schema", "tool_call", "json_mode", "text", used]


def test_the_doctor_says_when_no_tokens_are_reported() -> None:
    findings, _ = found(literal(usage=None))
    assert (findings[-1].what, findings[-1].works) == ("model, tokens", False)


@pytest.mark.parametrize("mode", [scripted.quotes_the_request, scripted.answers(503), scripted.resets(0)])
def test_the_doctor_stops_where_nobody_answers(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.models.time.sleep", lambda _: None)
    findings, asked = found(mode)
    assert [one.works for one in findings] == [False, False]
    assert findings[0].detail.startswith("failed: ")
    assert "failed at ping" in findings[1].detail
    assert len(asked) <= 3


def test_the_doctor_believes_no_answer_of_yesterday() -> None:
    with scripted.serve(literal()) as server:

        def with_cache() -> Seat:
            seat = seat_at(server.url)
            seat.cache = PromptCache.at_home()
            return seat

        model_seat("scripted", base_url=server.url, api_key=None, budget=BUDGET, cache=PromptCache.at_home()).ask(
            "ping", 'Answer with the JSON object {"ready": true}.', {}, dict, shape=READY_SHAPE
        )
        server.script[:] = [scripted.quotes_the_request]
        findings = list(examine(lambda: MadeSource([], {}), None, with_cache))
    assert [one.works for one in findings if one.what.startswith("model")] == [False, False]


def test_a_probe_is_remembered_and_counts_in_no_run() -> None:
    with scripted.serve(literal(ignore=["json_schema", "tool_call"])) as server:
        seat = seat_at(server.url)
        probes = list(probe(seat))
        other = seat_at(server.url)
    assert [one.found for one in probes] == ["ignored", "ignored", "offered", "offered"]
    assert (seat.calls, seat.transcript) == (0, [])
    assert other.rungs is not None
    assert other.rungs.recall() == "json_mode"
