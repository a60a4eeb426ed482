"""The model's seat against a scripted server: every failure is bounded in time and named in our own words."""

from __future__ import annotations

import gzip
import json
import logging
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import scripted_model as scripted
from langsmith.run_helpers import get_tracing_context, tracing_context
from scripted_model import Mode, ScriptedModel, says

from agents import endpoint, models
from agents.endpoint import NO_COMPLETION, REPEATS_KEY, TOO_LATE, TOO_LONG, UNREACHABLE, model_seat
from agents.models import BUDGET_SPENT, Budget, RecordedSeat, Seat, json_object, policy_seat
from tools.errors import ModelError, UsageError

KEY = "sk-canary-4f1c"
TOOK_OVER = "; the embedded policy took over"
QUICK = Budget(seconds_per_call=5.0, seconds_per_run=8.0)
SHORT = Budget(seconds_per_call=0.3, seconds_per_run=0.6)
SLACK = 2.0  # seconds, for a machine that is busy with other things
NO_OBJECT = "unusable answer: it is not one JSON object"
PAYLOAD = {"shortlist": [{"id": "first"}, {"id": "second"}]}


def candidate(answer: dict[str, Any]) -> str:
    chosen = answer.get("candidate")
    if chosen not in {"first", "second"}:
        raise ValueError("candidate must be one of the ids")
    return str(chosen)


def ask(seat: Seat, check: Callable[[dict[str, Any]], Any] = candidate) -> Any:
    return seat.ask("decide", "Choose.", PAYLOAD, check)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the seat would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(models.time, "sleep", slept.append)
    return slept


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedModel]]:
    started = []

    def start(*script: Mode) -> ScriptedModel:
        started.append(scripted.serve(*script))
        return started[-1].__enter__()

    yield start
    for server in started:
        server.__exit__(None, None, None)


def seat_at(server: ScriptedModel, budget: Budget = QUICK, **options: Any) -> Seat:
    return model_seat("scripted", base_url=server.url, api_key=KEY, budget=budget, **options)


SECOND = says('{"candidate": "second"}')


def test_an_answer_is_used_and_counted(serve: Any) -> None:
    server = serve(SECOND)
    seat = seat_at(server)
    assert ask(seat) == "second"
    usage = seat.usage()
    assert (usage.model, usage.calls, usage.input_tokens, usage.output_tokens) == ("scripted", 1, 11, 7)
    assert usage.fallback == []
    assert 0.0 < usage.seconds < QUICK.seconds_per_call
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions"]
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.asked[0].payload == {"task": "decide", **PAYLOAD}


def test_servers_get_the_limit_on_tokens_that_they_know(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(SECOND)
    ask(seat_at(server, QUICK._replace(tokens_per_call=77)))
    monkeypatch.setattr(endpoint, "OPENAI", server.url)
    ask(model_seat("scripted", base_url=None, api_key=KEY, budget=QUICK._replace(tokens_per_call=77)))
    other, own = (asked.request for asked in server.asked)
    assert (other["max_tokens"], other["temperature"]) == (77, 0.0)
    assert own["max_completion_tokens"] == 77
    assert not {"max_completion_tokens", "tools", "response_format"} & other.keys()
    assert not {"max_tokens", "temperature"} & own.keys()


@pytest.mark.parametrize("key", [None, "", "second"])
def test_a_local_server_needs_no_key_and_takes_any_word_for_one(key: str | None, serve: Any) -> None:
    server = serve(SECOND)
    assert ask(model_seat("scripted", base_url=server.url, api_key=key, budget=QUICK)) == "second"


COMPRESSED = scripted.answers(
    200, gzip.compress(scripted.completion('{"candidate": "second"}')), Content_Encoding="gzip"
)
ANSWERS_WITHOUT_AN_OBJECT = {
    "nothing": says(""),
    "null": says(None),
    "prose": says("I would rather take the second one."),
    "a list": says('["second"]'),
    "broken": says('{"candidate": second}'),
    "cut short": says('{"candidate": "sec'),
    "two objects": says('{"candidate": "first"} or {"candidate": "second"}'),
    "a key twice": says('{"candidate": "first", "candidate": "second"}'),
    "nested beyond measure": says("{" + '"a":{' * 5_000 + "}" * 5_001),
    "a number beyond measure": says('{"candidate": ' + "9" * 6_000 + "}"),
}
FAILURES: dict[str, tuple[Mode, str, int]] = {
    **{name: (mode, NO_OBJECT, 2) for name, mode in ANSWERS_WITHOUT_AN_OBJECT.items()},
    "an unknown id": (says('{"candidate": "third"}'), "unusable answer: candidate must be one of the ids", 2),
    "half a surrogate pair": (
        says('\ud800{"candidate": "\ud800"}'),
        "unusable answer: candidate must be one of the ids",
        2,
    ),
    "no choices": (says("", choices=[]), NO_COMPLETION, 1),
    "null choices": (says("", choices=None), NO_COMPLETION, 1),
    "content that is a number": (says(42), NO_COMPLETION, 1),
    "an error with status 200": (scripted.answers(200), NO_COMPLETION, 1),
    "a page": (scripted.answers(200, b"<html>busy</html>", Content_Type="text/html"), NO_COMPLETION, 1),
    "another type of content": (scripted.answers(200, b"<html>busy</html>"), NO_COMPLETION, 1),
    "an empty body": (scripted.answers(200, b""), NO_COMPLETION, 1),
    "arrays beyond measure": (scripted.answers(200, b"[" * 200_000), NO_COMPLETION, 1),
    "a coding not asked for": (COMPRESSED, NO_COMPLETION, 1),
    "without end": (scripted.floods, NO_COMPLETION, 1),
    "a megabyte of text": (says("x" * 1_000_000), TOO_LONG, 1),
    "the key": (scripted.echo_of_the_key, REPEATS_KEY, 1),
    "401": (scripted.quotes_the_request, "the server answers HTTP 401 (the key is not accepted)", 1),
    "404": (scripted.answers(404), "the server answers HTTP 404 (no such address or model)", 1),
    "400": (scripted.answers(400), "the server answers HTTP 400", 1),
    "429 for ever": (scripted.answers(429), "the server answers HTTP 429 (too many requests, or no credit)", 2),
    "429 for an hour": (
        scripted.answers(429, Retry_After="3600"),
        "the server answers HTTP 429 (too many requests, or no credit)",
        1,
    ),
    "500 for ever": (scripted.answers(500), "the server answers HTTP 500", 2),
    "reset before the answer": (scripted.resets(0), UNREACHABLE, 2),
    "reset within the answer": (scripted.resets(40), UNREACHABLE, 2),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_policy_takes_over_and_the_record_says_why(name: str, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    mode, sentence, requests = FAILURES[name]
    server = serve(mode)
    seat = seat_at(server)
    caplog.set_level(logging.DEBUG)
    assert ask(seat) == "first"
    again = [f"decide: {sentence}; asked again"] * (requests - 1)
    assert seat.usage().fallback == [*again, f"decide: {sentence}{TOOK_OVER}"]
    assert seat.calls == len(server.asked) == requests
    assert KEY not in f"{seat!r} {seat.transcript} {caplog.text}"


@pytest.mark.parametrize("name", FAILURES)
def test_a_required_model_fails_with_a_typed_error_that_quotes_nobody(name: str, serve: Any) -> None:
    mode, sentence, _ = FAILURES[name]
    with pytest.raises(ModelError) as raised:
        ask(seat_at(serve(mode), required=True))
    assert raised.value.exit_code == 5
    assert f"failed at decide: {sentence};" in str(raised.value)
    told = "".join(traceback.format_exception(raised.value, chain=True))
    assert KEY not in told
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("mode", [scripted.hangs, scripted.drips("head"), scripted.drips("body")])
def test_a_call_ends_at_its_deadline_and_leaves_nothing_behind(mode: Mode, serve: Any) -> None:
    server = serve(mode)
    seat = seat_at(server, SHORT)
    before = threading.active_count()
    for _ in range(3):
        started = time.monotonic()
        assert ask(seat) == "first"
        assert time.monotonic() - started < SHORT.seconds_per_call + SLACK
    assert seat.usage().fallback == [f"decide: {TOO_LATE}{TOOK_OVER}"] * 2 + [f"decide: {BUDGET_SPENT}{TOOK_OVER}"]
    assert len(server.asked) == seat.calls == 2
    deadline = time.monotonic() + SLACK
    while (server.open_connections or threading.active_count() > before) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert server.open_connections == 0
    assert threading.active_count() <= before


def test_a_call_that_cannot_be_cancelled_is_left() -> None:
    released = threading.Event()

    async def stuck() -> None:
        released.wait(scripted.LONGEST)

    started = time.monotonic()
    with pytest.raises(models.CallFailed, match=TOO_LATE):
        endpoint._within(0.1, stuck)
    assert time.monotonic() - started < 0.1 + endpoint.GRACE + SLACK
    released.set()


def test_a_run_makes_no_more_calls_than_its_budget_allows(serve: Any) -> None:
    server = serve(says("no"))
    seat = seat_at(server, Budget(calls=3))
    for _ in range(3):
        ask(seat)
    assert len(server.asked) == seat.calls == 3
    assert seat.usage().fallback[-1] == f"decide: {BUDGET_SPENT}{TOOK_OVER}"


@pytest.mark.parametrize(
    ("first", "wait"),
    [
        (scripted.answers(500), endpoint.PAUSE),
        (scripted.answers(429, Retry_After="2"), 2.0),
        (scripted.resets(0), endpoint.PAUSE),
        (says("let me think"), 0.0),
        (says('{"candidate": "third"}'), 0.0),
    ],
)
def test_a_passing_failure_is_asked_again_once(first: Mode, wait: float, serve: Any, waits: list[float]) -> None:
    server = serve(first, SECOND)
    seat = seat_at(server)
    assert ask(seat) == "second"
    assert waits == [wait]
    assert seat.calls == len(server.asked) == 2
    assert [entry.rpartition("; ")[2] for entry in seat.usage().fallback] == ["asked again"]


def test_waiting_counts_as_time_and_never_exceeds_the_budget(serve: Any, waits: list[float]) -> None:
    server = serve(scripted.answers(429, Retry_After="4"))
    seat = seat_at(server, Budget(seconds_per_call=3.0, seconds_per_run=3.0))
    ask(seat)
    assert (waits, len(server.asked)) == ([], 1)
    seat = seat_at(server, Budget(seconds_per_call=6.0, seconds_per_run=6.0))
    ask(seat)
    assert waits == [4.0]
    assert seat.seconds >= 4.0


def test_a_server_that_asks_for_a_long_wait_is_not_asked_again(serve: Any, waits: list[float]) -> None:
    server = serve(scripted.answers(429, Retry_After="60"))
    ask(seat_at(server, Budget()))
    assert (waits, len(server.asked)) == ([], 1)


def test_the_model_is_told_what_was_wrong(serve: Any) -> None:
    server = serve(says("Sure! Second."), SECOND)
    ask(seat_at(server))
    roles = [message["role"] for message in server.asked[1].request["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.asked[1].request["messages"][2]["content"] == "Sure! Second."
    assert "not one JSON object" in server.asked[1].request["messages"][3]["content"]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 10**30, "total_tokens": 1},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        None,
    ],
)
def test_counts_that_are_none_are_not_counted(usage: Any, serve: Any) -> None:
    seat = seat_at(serve(says('{"candidate": "second"}', usage=usage)))
    assert ask(seat) == "second"
    assert (seat.usage().input_tokens, seat.usage().output_tokens) == (0, 0)


def test_a_call_goes_where_the_address_says_whatever_the_environment_says(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(SECOND)
    with scripted.trap() as trap:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "OPENAI_PROXY", "OPENAI_API_BASE", "OPENAI_BASE_URL"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("ALL_PROXY", trap.url.replace("http", "socks5"))
        monkeypatch.setenv("LANGSMITH_GATEWAY", trap.url)
        monkeypatch.setenv("LANGSMITH_GATEWAY_API_KEY", "other")
        assert ask(seat_at(server)) == "second"
        monkeypatch.setattr(endpoint, "OPENAI", server.url)
        assert ask(model_seat("scripted", base_url=None, api_key=KEY, budget=QUICK)) == "second"
    assert trap.received == b""
    assert len(server.asked) == 2
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "words",
    [
        "'response_format' of type 'json_schema' is not supported with this model",
        "Invalid schema for response_format",
        f"context_length_exceeded {KEY}",
    ],
)
def test_of_an_error_nothing_is_read_but_its_status(words: str, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": words}}).encode()
    seat = seat_at(serve(scripted.answers(400, body)))
    assert ask(seat) == "first"
    assert seat.usage().fallback == [f"decide: the server answers HTTP 400{TOOK_OVER}"]
    assert words not in caplog.text


@pytest.mark.parametrize("allow", [True, False])
def test_tracing_is_the_environments_choice_only_where_it_is_allowed(allow: bool) -> None:
    found = []

    def voice(call: models.Call) -> models.Reply:
        found.append(get_tracing_context()["enabled"])
        return models.Reply('{"candidate": "second"}')

    with tracing_context(enabled=True):
        ask(Seat("scripted", voice, allow_tracing=allow))
        with models.traced(allow):
            found.append(get_tracing_context()["enabled"])
    assert found == [allow, allow]


def test_a_redirect_is_not_followed(serve: Any) -> None:
    with scripted.trap() as trap:
        server = serve(scripted.answers(307, b"", Location=trap.url))
        seat = seat_at(server)
        ask(seat)
    assert trap.received == b""
    assert seat.usage().fallback == [f"decide: the server answers HTTP 307{TOOK_OVER}"]


@pytest.mark.parametrize(
    "address",
    ["localhost:11434/v1", "ftp://host/v1", "http://", f"http://user:{KEY}@host/v1", f"https://host/v1?key={KEY}",
     "http://host:99999999/v1", "http://[::1/v1"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(UsageError, match="OPENAI_BASE_URL") as raised:
        model_seat("scripted", base_url=address, api_key=None)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("address", [None, ""])
def test_without_an_address_or_a_key_nobody_is_called(address: str | None) -> None:
    with pytest.raises(UsageError, match="no model can be reached"):
        model_seat("scripted", base_url=address, api_key=None)


@pytest.mark.parametrize("name", ["", "policy"])
def test_no_model_sits_down_under_the_name_of_the_policy(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a model"):
        model_seat(name, base_url="http://127.0.0.1:9/v1", api_key=None)


def test_the_key_is_in_no_representation(serve: Any) -> None:
    seat = seat_at(serve(SECOND))
    ask(seat)
    assert KEY not in f"{seat!r} {seat} {vars(seat)} {seat.usage()!r}"


def test_reading_fences_takes_no_longer_than_reading() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="not one JSON object"):
        json_object("```{" * 12_500)
    assert time.monotonic() - started < SLACK


def test_the_policy_answers_more_often_than_a_budget_allows_and_to_any_task() -> None:
    seat = policy_seat()
    assert [seat.ask("anything", "Say.", {}, dict) for _ in range(20)] == [{}] * 20
    usage = seat.usage()
    assert (usage.calls, usage.rung, [(task.task, task.calls) for task in usage.tasks]) == (
        20,
        None,
        [("anything", 20)],
    )


def test_the_policy_costs_no_tokens_and_keeps_no_conversation() -> None:
    seat = policy_seat()
    assert ask(seat) == "first"
    assert (seat.usage().model, seat.usage().input_tokens, seat.transcript) == ("policy", 0, [])


CONVERSATIONS: dict[str, list[Mode]] = {
    "an answer": [SECOND],
    "mended": [says("hm"), SECOND],
    "after a failure": [scripted.answers(503), SECOND],
    "after a failure, unusable": [scripted.answers(503), says("hm")],
    "never usable": [says("hm")],
    "never answered": [scripted.answers(500)],
    "refused": [scripted.answers(401)],
    "half a pair": [says('{"candidate": "second", "x": "\ud800"}')],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("calls", [1, 2, 8])
def test_a_saved_conversation_repeats_itself_and_calls_nobody(
    name: str, calls: int, serve: Any, waits: list[float]
) -> None:
    server = serve(*CONVERSATIONS[name])
    seat = seat_at(server, QUICK._replace(calls=calls))
    said = [ask(seat), ask(seat)]
    asked, slept = len(server.asked), len(waits)
    recorded = RecordedSeat.of("scripted", seat.transcript)
    assert [ask(recorded), ask(recorded)] == said
    assert recorded.usage().model_copy(update={"seconds": 0.0}) == seat.usage().model_copy(update={"seconds": 0.0})
    assert recorded.transcript == seat.transcript
    assert len(server.asked) == asked
    assert not any(waits[slept:])


def test_a_saved_conversation_knows_that_there_was_no_time_to_ask_again() -> None:
    def slow(call: models.Call) -> models.Reply:
        threading.Event().wait(0.05)
        return models.Reply("hm")

    seat = Seat(name="scripted", voice=slow, budget=Budget(seconds_per_run=0.04))
    ask(seat), ask(seat)
    recorded = RecordedSeat.of("scripted", seat.transcript)
    ask(recorded), ask(recorded)
    assert recorded.usage().fallback == seat.usage().fallback
    assert recorded.calls == seat.calls == 1


def test_a_saved_conversation_that_is_too_short_ends_in_the_policy() -> None:
    recorded = RecordedSeat.of("scripted", [])
    assert ask(recorded) == "first"
    assert recorded.usage().fallback == [f"decide: {models.CONVERSATION_ENDS}{TOOK_OVER}"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n',
        '```json\n{"a": 1}\n```',
        'Here it is:\n```\n{"a": 1}\n```\nAnything else?',
        '<think>Perhaps {"a": 2}? No.</think>{"a": 1}',
        'In {curly} words:\n```json\n{"a": 1}\n```\nand {nothing} else.',
        '```\nno object\n```\n```json\n{"a": 1}\n```{}',
    ],
)
def test_an_object_is_found_in_an_answer(text: str) -> None:
    assert json_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        '{x} ```{"a": 1}``` ```{"a": 2}```',
        "",
        "{",
        "}",
        "}{",
        "[1]",
        '"{}"x}',
        '{"a": 1}{"a": 2}',
        '{"a": {"b": 1, "b": 2}}',
        "{'a': 1}",
        "null",
    ],
)
def test_what_is_not_one_object_is_refused_in_fixed_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it is not one JSON object$"):
        json_object(text)


def test_mangled_answers_never_break_the_seat(published: list[str]) -> None:
    chance = random.Random(11)
    whole = '{"candidate": "second", "why": ["score"], "caution": null}'
    outcomes = {"first": 0, "second": 0}
    for _ in range(500):
        text = list(whole)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(text))
            text[place] = chance.choice(["", text[place] * 2, "\\ud800", *'{}[]":,\\x5 \n\u202e'])
        reply = models.Reply("".join(text))
        outcomes[ask(Seat(name="scripted", voice=lambda *_, reply=reply: reply))] += 1
    published.append(f"mangled answers of a model survived: {sum(outcomes.values())} of 500")
    assert sum(outcomes.values()) == 500
    assert min(outcomes.values()) > 0
