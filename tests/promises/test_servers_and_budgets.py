"""Whatever the server can do and however it fails: the same conversation, few calls, and a budget that holds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import scripted_model as scripted
from scripted_model import FORMS, Asked, Handler, Mode, completion, on_rungs, plain_only
from small_market import NOW, QUESTION, market
from stand import BUDGET, CAREFUL, SETTINGS, Server, chooses, keep_record, open_server, says_json, small_stand
from tallies import FULL, Ledger

from agents.calls import Budget, estimated_tokens
from agents.conversation import Room, answer, build_conversation
from agents.memory import memory
from agents.solving import Solver
from plimsoll import threads
from tools.dialogue.answer import Answer
from tools.records import Recommendation
from tools.verify import check_text

WORDS = {"why": ["choice_apy"], "caution": ["rates_move", "apy_range"]}
LINES = [
    QUESTION,
    "less risk",
    "and without Curve?",
    "make it 4 pools",
    "why these?",
    "why not Curve?",
    "what would no Aave do?",
    "explain CVaR to me",
]
PLAIN_CALLS = 5


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with open_server() as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.models.time.sleep", lambda _: None)


# A conversation with a server that knows nothing but plain chat completions.


def told(server: Server, mode: Mode, folder: Path, lines: Sequence[str], solver: Solver) -> list[Answer]:
    """Hold a conversation and return its answers."""
    server.seat(mode)
    room = Room("t", folder, solver, lambda _: server.another(), keep_record, threads.keep)
    with memory(folder / "memory.sqlite") as opened:
        conversation = build_conversation(opened)
        for line in lines:
            answer(conversation, room, line, NOW)
    paths = sorted(folder.glob("turn-*/answer.json"))
    return [Answer.model_validate_json(path.read_bytes()) for path in paths]


def substance(told_answer: Answer) -> Any:
    """Return an answer without what it cost and by whom it was asked."""
    plain = told_answer.model_dump(mode="json", exclude={"usage", "thread", "created_at"})
    for run in plain["runs"].values():
        del run["sha256"]
    return plain


def test_a_conversation_is_the_same_behind_a_plain_server(
    server: Server, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = ledger.open("plain server", "turns of a conversation that differ from those behind a server of every form")
    lines = LINES if FULL else LINES[:1]
    solver = Solver(lambda *_: market(), SETTINGS)
    expected = told(server, on_rungs(chooses(1, **WORDS)), tmp_path / "every", lines, solver)
    assert len(expected) == len(lines)
    asked = []
    for status in (400, 404, 422, 501) if FULL else (400,):
        monkeypatch.setenv("PLIMSOLL_HOME", str(tmp_path / f"home-{status}"))  # nothing is remembered of the server
        found = told(server, plain_only(chooses(1, **WORDS), status), tmp_path / str(status), lines, solver)
        for line, mine, theirs in itertools.zip_longest(lines, found, expected):
            same = mine is not None and substance(mine) == substance(theirs)
            tally.add(f"status {status}", [] if same else ["another answer"], line)
        asked.append([(one.usage.calls, one.usage.requests_refused, one.usage.fallback) for one in found])
    tally.facts["calls and refusals of the first turn"] = [one[0][:2] for one in asked]
    tally.facts["calls and refusals of later turns"] = sorted({turn[:2] for one in asked for turn in one[1:]})
    assert all(not fallback for one in asked for _, _, fallback in one)
    assert tally.violations == 0, tally.examples


# Calls of a plain question.


def mended(mode: Mode) -> Mode:
    """Give an unusable answer first, to every task, and the right one when asked again."""

    def twice(handler: Handler, asked: Asked) -> None:
        if len(asked.request["messages"]) == 2:
            says_json(handler, "I would rather not say.")
        else:
            mode(handler, asked)

    return twice


HONEST = chooses(1, **WORDS)
SERVERS: dict[str, Mode] = {
    "every form": on_rungs(HONEST),
    "no json_schema": on_rungs(HONEST, refuse={"json_schema": 400}),
    "JSON mode alone": on_rungs(HONEST, refuse={"json_schema": 422, "tool_call": 400}),
    "plain alone": plain_only(HONEST),
    "plain alone, 500": plain_only(HONEST, 500),
    "every form ignored": on_rungs(HONEST, ignore=FORMS),
    "mute in json_schema": on_rungs(HONEST, mute=("json_schema",)),
    "mute in all but text": on_rungs(HONEST, mute=FORMS),
    "other words each time": scripted.varied(on_rungs(HONEST), 3),
    "lies throughout": chooses(why=["It yields 42% a year."]),
    "says nothing": scripted.says(""),
    "says prose": scripted.says("I would take the first one."),
    "401": scripted.answers(401),
    "429": scripted.answers(429, Retry_After="0"),
    "503": scripted.answers(503),
    "resets": scripted.resets(20),
    "no completion": scripted.answers(200, b"{}"),
    "mended every time": mended(HONEST),
}


def test_a_plain_question_takes_few_calls(
    server: Server, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = small_stand()
    calls = ledger.open("budgets", f"plain questions with more than {PLAIN_CALLS} calls of the model")
    requests = ledger.open("budgets", f"plain questions with more than {BUDGET.calls} requests")
    table = {}
    names = list(SERVERS) if FULL else ["plain alone", "says nothing"]
    for name in names:
        for again in (False, True):
            monkeypatch.setenv("PLIMSOLL_HOME", str(tmp_path / name.replace(" ", "-")))  # the second run remembers
            found = stand.run(CAREFUL, server.seat(SERVERS[name]))
            made = len(server.model.asked)
            calls.add(name, [] if found.usage.calls <= PLAIN_CALLS else [f"{found.usage.calls} calls"], name)
            requests.add(name, [] if made <= BUDGET.calls else [f"{made} requests"], name)
            tokens = found.usage.input_tokens, found.usage.output_tokens
            table[f"{name}, {'second' if again else 'first'} run"] = [found.usage.calls, made, *tokens]
            assert found.usage.calls + found.usage.requests_refused == made
    calls.facts["calls, requests, tokens in and out as reported"] = table
    assert calls.violations == 0, calls.examples
    assert requests.violations == 0, requests.examples


@pytest.mark.skipif(not FULL, reason="a measurement: in the full run")
def test_what_a_plain_question_costs(server: Server, ledger: Ledger) -> None:
    """Tokens as they are estimated: what was sent, prompt and schema, and what was answered."""
    tally = ledger.open("budgets", "plain questions that cost more than they may", promise=False)
    stand = small_stand()
    sizes = {}
    for name in ("every form", "plain alone"):
        found = stand.run(CAREFUL, server.seat(SERVERS[name]))
        answered = [asked for asked in server.model.asked if name == "every form" or asked.rung == "text"]
        sent = [estimated_tokens(*(one["content"] for one in asked.request["messages"])) for asked in answered]
        whole = [estimated_tokens(asked.body.decode()) for asked in answered]
        sizes[name] = {"messages": sum(sent), "requests whole": sum(whole), "by task": sent}
        tally.add(name, [] if found.usage.calls == 3 else ["other calls"])
    tally.facts["estimated tokens of a plain question"] = sizes
    assert tally.violations == 0


# The budget.


def greedy(reports: bool) -> Mode:
    """Take every token that an answer may have, and never answer anything that can be used."""

    def mode(handler: Handler, asked: Asked) -> None:
        most = asked.request["max_tokens"]
        said = "x" * min(4 * (most - 8), 40_000)
        prompt = estimated_tokens(*(one["content"] for one in asked.request["messages"]))
        usage = {"prompt_tokens": prompt, "completion_tokens": estimated_tokens(said), "total_tokens": 0}
        handler.send(200, completion(said, **({"usage": usage} if reports else {"usage": None})))

    return mode


def late(mode: Mode, seconds: float) -> Mode:
    """Answer after a while, or never if the caller is gone."""

    def slow(handler: Handler, asked: Asked) -> None:
        handler.model.stop.wait(seconds)
        mode(handler, asked)

    return slow


TIMES = (Budget(seconds_per_call=0.3, seconds_per_run=0.9), Budget(seconds_per_call=0.5, seconds_per_run=0.5))
SLOW: dict[str, Mode] = {
    "hangs": scripted.hangs,
    "drips its head": scripted.drips("head"),
    "drips its body": scripted.drips("body"),
    "floods": scripted.floods,
    "late": late(HONEST, 0.25),
    "in pieces": scripted.in_pieces(HONEST, pause=0.1),
}
GRACE = 0.5  # seconds: closing a connection, see agents.endpoint
BUSY = 1.5  # seconds more on a machine that is busy with other things


def test_no_server_takes_more_seconds_than_it_may(server: Server, ledger: Ledger) -> None:
    tally = ledger.open("budgets", "runs with more seconds of the model than allowed, and half a second of grace")
    stand = small_stand()
    overrun, least = 0.0, 0.0
    for name in SLOW if FULL else ("drips its body",):
        for budget in TIMES if FULL else TIMES[1:]:
            started = time.monotonic()
            found = stand.run(CAREFUL, server.seat(SLOW[name], budget))
            wall = time.monotonic() - started
            over = found.usage.seconds - budget.seconds_per_run
            overrun, least = max(overrun, over), max(least, wall)
            tally.add(name, [] if over <= GRACE + BUSY else [f"{over:.2f} s over"])
            assert check_text(found.model_dump(mode="json")) == ()
    tally.facts |= {"largest overrun in milliseconds": round(1000 * max(0.0, overrun)), "longest run": round(least, 1)}
    assert tally.violations == 0, tally.examples


def test_no_server_takes_more_tokens_or_calls_than_it_may(server: Server, ledger: Ledger) -> None:
    tally = ledger.open("budgets", "runs with more tokens or calls than allowed")
    stand = small_stand()
    most = 0
    sizes = (3_000, 5_000, 8_000, 12_000, 60_000) if FULL else (5_000,)
    for tokens, calls, reports in itertools.product(
        sizes, (2, 5, 8) if FULL else (8,), (True, False) if FULL else (False,)
    ):
        budget = BUDGET._replace(tokens_per_run=tokens, calls=calls, tokens_per_call=2_000)
        stand.run(CAREFUL, server.seat(greedy(reports), budget))
        spent = sum(map(_spent, server.model.asked))
        most = max(most, spent - tokens)
        faults = [f"{spent} tokens of {tokens}"] if spent > tokens else []
        faults += [f"{len(server.model.asked)} requests"] if len(server.model.asked) > calls else []
        tally.add(f"{tokens} tokens", faults)
    tally.facts["largest overrun in tokens"] = max(0, most)
    assert tally.violations == 0, tally.examples


def _spent(asked: Asked) -> int:
    prompt = estimated_tokens(*(one["content"] for one in asked.request["messages"]))
    return prompt + int(asked.request["max_tokens"])


def test_with_the_budget_off_the_same_cases_fail(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = ledger.open("budgets", "ablation: calls and tokens are not counted", promise=False)
    stand = small_stand()
    wide = BUDGET._replace(tokens_per_run=10**9, calls=10**6, tokens_per_call=2_000)
    for tokens in (3_000, 5_000, 8_000) if FULL else (5_000,):
        stand.run(CAREFUL, server.seat(greedy(True), wide))
        spent = sum(map(_spent, server.model.asked))
        tally.add(f"{tokens} tokens", [f"{spent} tokens"] if spent > tokens else [])
    assert tally.violations > 0


def test_without_the_ladder_a_plain_server_is_not_used(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.models.below", lambda rung: rung)
    tally = ledger.open("plain server", "ablation: the seat does not step down the ladder", promise=False)
    found: Recommendation = small_stand().run(CAREFUL, server.seat(SERVERS["plain alone"]))
    tally.add("question", found.usage.fallback)
    assert tally.violations > 0
