"""The ladder against servers that refuse or ignore forms of output: an answer comes, and finding out is paid once."""

from __future__ import annotations

import itertools
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_model as scripted
from scripted_model import FORMS, Mode, ScriptedModel, on_rungs, plain_only, says

from agents.endpoint import NO_COMPLETION, model_seat
from agents.ladder import MOST_REMEMBERED, RUNGS, RungMemory, below, form, is_strict
from agents.models import BUDGET_SPENT, Budget, RecordedSeat, Seat
from tools.errors import ModelError
from tools.records import Usage

KEY = "sk-canary-51d0"
BUDGET = Budget(seconds_per_call=5.0, seconds_per_run=20.0)
SHAPE = {
    "type": "object",
    "properties": {"candidate": {"type": "string", "enum": ["first", "second"]}},
    "required": ["candidate"],
    "additionalProperties": False,
}
SECOND = says('{"candidate": "second"}')
STATUSES = (400, 404, 405, 406, 415, 422, 501)


def candidate(answer: dict[str, Any]) -> str:
    if answer.get("candidate") not in {"first", "second"}:
        raise ValueError("candidate must be one of the ids")
    return str(answer["candidate"])


def ask(seat: Seat) -> str:
    return seat.ask("decide", "Choose. JSON.", {"shortlist": [{"id": "first"}]}, candidate, shape=SHAPE)


def seat_at(server: ScriptedModel, budget: Budget = BUDGET, **options: Any) -> Seat:
    return model_seat("scripted", base_url=server.url, api_key=KEY, budget=budget, **options)


def without_seconds(usage: Usage) -> Usage:
    return usage.model_copy(update={"seconds": 0.0})


def rungs(server: ScriptedModel) -> list[str]:
    return [asked.rung for asked in server.asked]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.models.time.sleep", lambda _: None)


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedModel]]:
    started = []

    def start(*script: Mode) -> ScriptedModel:
        started.append(scripted.serve(*script))
        return started[-1].__enter__()

    yield start
    for server in started:
        server.__exit__(None, None, None)


SUBSETS = [set(chosen) for size in range(4) for chosen in itertools.combinations(FORMS, size)]


@pytest.mark.parametrize("refused", SUBSETS, ids=lambda forms: "+".join(sorted(forms)) or "none")
def test_an_answer_comes_whatever_forms_a_server_refuses(refused: set[str], serve: Any) -> None:
    status = STATUSES[len(refused)]
    server = serve(on_rungs(SECOND, refuse=dict.fromkeys(refused, status)))
    seat = seat_at(server, required=True)
    assert [ask(seat), ask(seat)] == ["second", "second"]
    found = next(rung for rung in RUNGS if rung not in refused)
    tried = list(RUNGS[: RUNGS.index(found) + 1])
    assert rungs(server) == [*tried, found]
    usage = seat.usage()
    assert (usage.calls, usage.requests_refused, usage.rung) == (2, len(tried) - 1, found)
    assert usage.fallback == []
    assert [(task.task, task.calls, task.input_tokens, task.rung) for task in usage.tasks] == [("decide", 2, 22, found)]


def test_a_refusal_with_status_200_is_one(serve: Any) -> None:
    server = serve(*[scripted.answers(200)] * 2, on_rungs(SECOND))
    seat = seat_at(server, required=True)
    assert ask(seat) == "second"
    assert (rungs(server), seat.requests_refused) == (["json_schema", "tool_call", "json_mode"], 2)


@pytest.mark.parametrize("status", STATUSES)
def test_a_server_of_plain_chat_completions_is_enough(status: int, serve: Any) -> None:
    server = serve(plain_only(SECOND, status))
    assert ask(seat_at(server, required=True)) == "second"
    assert rungs(server) == list(RUNGS)
    last = server.asked[-1].request
    assert not {"tools", "tool_choice", "response_format"} & last.keys()


def test_only_the_first_run_pays_for_finding_out(serve: Any, plimsoll_home: Path) -> None:
    server = serve(on_rungs(SECOND, refuse={"json_schema": 400}, mute=["tool_call"]))
    first = seat_at(server)
    assert ask(first) == "second"
    assert (first.usage().calls, first.usage().requests_refused, first.usage().rung) == (2, 1, "text")
    second = seat_at(server)
    assert ask(second) == "second"
    assert (second.usage().calls, second.usage().requests_refused) == (1, 0)
    assert rungs(server) == ["json_schema", "tool_call", "text", "text"]
    kept = plimsoll_home / "model" / "rungs.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert not {server.url, "127.0.0.1", "scripted", KEY} & set(kept.read_text().split('"'))
    other = model_seat("another", base_url=server.url, api_key=KEY, budget=BUDGET)
    ask(other)
    assert rungs(server)[4:] == ["json_schema", "tool_call", "text"]


def test_a_remembered_form_that_is_gone_is_stepped_down_from(serve: Any) -> None:
    server = serve(*[SECOND] * 2, plain_only(SECOND))
    ask(seat_at(server))
    ask(seat_at(server))
    assert ask(seat_at(server, required=True)) == "second"
    assert ask(seat_at(server, required=True)) == "second"
    assert rungs(server) == ["json_schema"] * 2 + list(RUNGS) + ["text"]


@pytest.mark.parametrize("content", ['{"candidate": "second"}', 'Sure:\n```json\n{"candidate": "second"}\n```'])
def test_a_server_that_ignores_the_form_answers_in_text(content: str, serve: Any) -> None:
    server = serve(on_rungs(says(content), ignore=FORMS))
    seat = seat_at(server)
    assert ask(seat) == "second"
    assert (seat.calls, seat.requests_refused, seat.rung) == (1, 0, "json_schema")


def test_what_is_sent_on_each_rung_is_said_out_loud(serve: Any) -> None:
    server = serve(plain_only(SECOND))
    ask(seat_at(server))
    by_schema, by_call, by_mode, by_text = (asked.request for asked in server.asked)
    named = by_schema["response_format"]["json_schema"]
    assert by_schema["response_format"]["type"] == "json_schema"
    assert (named["schema"], named["strict"]) == (SHAPE, True)
    assert [tool["function"]["parameters"] for tool in by_call["tools"]] == [SHAPE]
    assert by_call["tool_choice"] == {"type": "function", "function": {"name": named["name"]}}
    assert "parallel_tool_calls" not in by_call
    assert by_mode["response_format"] == {"type": "json_object"}
    assert [request["messages"] for request in (by_schema, by_call, by_mode)] == [by_text["messages"]] * 3
    assert {request["max_tokens"] for request in (by_schema, by_call, by_mode, by_text)} == {BUDGET.tokens_per_call}


def test_a_schema_that_openai_would_refuse_as_strict_is_sent_as_advice(serve: Any) -> None:
    server = serve(SECOND)
    seat_at(server).ask("decide", "Choose.", {}, candidate, shape={"type": "object"})
    assert server.asked[0].request["response_format"]["json_schema"]["strict"] is False


def test_without_a_shape_a_model_is_asked_in_plain_text(serve: Any) -> None:
    server = serve(SECOND)
    seat = seat_at(server)
    seat.ask("decide", "Choose.", {}, candidate)
    ask(seat)
    assert rungs(server) == ["text", "json_schema"]


def test_a_call_of_the_function_is_the_answer_also_where_its_arguments_are_broken(serve: Any) -> None:
    server = serve(on_rungs(says('{"candidate": second}'), refuse={"json_schema": 422}), on_rungs(SECOND))
    server.script.insert(1, on_rungs(says('{"candidate": second}')))
    seat = seat_at(server)
    assert ask(seat) == "second"
    assert rungs(server) == ["json_schema", "tool_call", "tool_call"]
    assert [line.partition(":")[0] for line in seat.usage().fallback] == ["decide"]
    assert "asked again" in seat.usage().fallback[0]
    assert server.asked[2].request["messages"][2]["content"] == '{"candidate": second}'


def test_several_calls_of_the_function_are_no_answer(serve: Any) -> None:
    def twice(handler: Any, asked: Any) -> None:
        function = {"name": "answer", "arguments": '{"candidate": "second"}'}
        calls = [{"id": f"call_{n}", "type": "function", "function": function} for n in range(2)]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        handler.send(200, scripted.completion(None, choices=[{"index": 0, "message": message, "finish_reason": "x"}]))

    seat = seat_at(serve(on_rungs(SECOND, refuse={"json_schema": 400}), twice))
    seat.ask("decide", "Choose.", {"shortlist": [{"id": "first"}]}, candidate, shape=SHAPE)
    assert [line.rpartition("; ")[2] for line in seat.usage().fallback] == [
        "asked again",
        "the embedded policy took over",
    ]


def test_silence_costs_a_call_and_all_rungs(serve: Any) -> None:
    server = serve(on_rungs(SECOND, mute=FORMS))
    seat = seat_at(server)
    assert ask(seat) == "second"
    assert (seat.calls, seat.requests_refused, seat.rung) == (2, 0, "text")


@pytest.mark.parametrize(
    ("mode", "sentence", "requests", "calls"),
    [
        (scripted.answers(404), "the server answers HTTP 404 (no such address or model)", 4, 1),
        (scripted.answers(400), "the server answers HTTP 400", 4, 1),
        (scripted.quotes_the_request, "the server answers HTTP 401 (the key is not accepted)", 1, 1),
        (scripted.answers(500), "the server answers HTTP 500", 5, 2),
        (scripted.answers(503), "the server answers HTTP 503", 2, 2),
        (says("", choices=[]), NO_COMPLETION, 4, 1),
    ],
)
def test_a_server_that_refuses_everything_ends_in_the_policy(
    mode: Mode, sentence: str, requests: int, calls: int, serve: Any
) -> None:
    server = serve(mode)
    seat = seat_at(server)
    assert ask(seat) == "first"
    assert seat.usage().fallback[-1] == f"decide: {sentence}; the embedded policy took over"
    assert (len(server.asked), seat.calls, seat.requests_refused) == (requests, calls, requests - calls)
    with pytest.raises(ModelError, match="failed at decide"):
        ask(seat_at(server, required=True))


@pytest.mark.parametrize("first", [scripted.answers(500), scripted.answers(400)])
def test_what_may_have_had_another_cause_is_not_remembered(first: Mode, serve: Any) -> None:
    """One request fails on every rung; that says nothing of forms, and the next run begins at the top again."""
    server = serve(*[first] * 4, on_rungs(SECOND))
    seat = seat_at(server, Budget(calls=12))
    ask(seat)
    assert ask(seat) == "second"
    ask(seat_at(server))
    assert rungs(server)[-1] == "json_schema"


@pytest.mark.parametrize("calls", range(1, 9))
def test_requests_of_every_kind_together_never_exceed_the_budget(calls: int, serve: Any) -> None:
    server = serve(plain_only(says("no")))
    seat = seat_at(server, BUDGET._replace(calls=calls))
    for _ in range(4):
        ask(seat)
    assert len(server.asked) == seat.calls + seat.requests_refused == calls
    assert seat.usage().fallback[-1] == f"decide: {BUDGET_SPENT}; the embedded policy took over"


CONVERSATIONS: dict[str, Mode] = {
    "every form": on_rungs(SECOND),
    "no form": plain_only(SECOND),
    "mute on two": on_rungs(SECOND, mute=["json_schema", "tool_call"]),
    "only calls": on_rungs(SECOND, refuse={"json_schema": 400, "json_mode": 400}),
    "never usable": on_rungs(says("no")),
    "never anything": scripted.answers(400),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("calls", [2, 8])
def test_a_saved_conversation_steps_down_the_same_rungs(name: str, calls: int, serve: Any) -> None:
    server = serve(CONVERSATIONS[name])
    seat = seat_at(server, BUDGET._replace(calls=calls))
    said = [ask(seat), ask(seat)]
    asked = len(server.asked)
    recorded = RecordedSeat.of("scripted", json.loads(json.dumps(seat.transcript)))
    assert [ask(recorded), ask(recorded)] == said
    assert without_seconds(recorded.usage()) == without_seconds(seat.usage())
    assert recorded.transcript == seat.transcript
    assert len(server.asked) == asked


def test_a_conversation_saved_before_there_was_a_ladder_is_repeated() -> None:
    old = {"task": "decide", "prompt_sha256": "0" * 64}
    transcript = [old | {"failure": "the server answers HTTP 503", "again": True}]
    transcript += [old | {"reply": {"text": '{"candidate": "second"}', "input_tokens": 11, "output_tokens": 7}}]
    recorded = RecordedSeat.of("scripted", transcript)
    assert ask(recorded) == "second"
    assert (recorded.calls, recorded.input_tokens) == (2, 11)


# The forms, and the memory.


def test_the_ladder_ends_at_text() -> None:
    assert [below(rung) for rung in RUNGS] == ["tool_call", "json_mode", "text", "text"]
    assert form("text", SHAPE) == form("json_schema", None) == ([], None, {})


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SHAPE, True),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}, False),
        ({"anyOf": [SHAPE, {"type": "null"}]}, True),
        ({"anyOf": [SHAPE, {"type": "object"}]}, False),
        ({"type": "array", "items": SHAPE}, True),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({**SHAPE, "properties": {"candidate": {"type": "object"}}}, False),
        ({"type": "string", "enum": [{"type": "object"}]}, True),
    ],
)
def test_a_schema_is_strict_where_openai_would_take_it(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b"null", b'{"a": 3}', b"[" * 200_000])
def test_a_memory_that_is_none_counts_as_empty_and_is_written_again(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rungs.json"
    path.write_bytes(content)
    memory = RungMemory(path, "address", "model")
    assert memory.recall() is None
    memory.keep("tool_call")
    assert RungMemory(path, "address", "model").recall() == "tool_call"
    assert RungMemory(path, "address", "other").recall() is None


def test_a_memory_forgets_the_oldest_and_survives_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "rungs.json"
    path.write_text(json.dumps({f"key {n}": "text" for n in range(MOST_REMEMBERED)}))
    memory = RungMemory(path, "address", "model")
    memory.keep("json_mode")
    known = json.loads(path.read_text())
    assert (len(known), memory.recall(), "key 0" in known) == (MOST_REMEMBERED, "json_mode", False)
    blocked = tmp_path / "file"
    blocked.write_text("")
    lost = RungMemory(blocked / "rungs.json", "address", "model")
    lost.keep("text")
    assert lost.recall() is None
    assert sorted(tmp_path.iterdir()) == [blocked, path]
