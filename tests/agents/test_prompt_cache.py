"""Answers that were paid for once: by content, bounded, private, and only those that passed their check."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_model as scripted
from scripted_model import ScriptedModel, on_rungs, plain_only, says

from agents import cache as caches
from agents.cache import PromptCache
from agents.endpoint import model_seat
from agents.journal import Journal
from agents.models import Budget, RecordedSeat, Seat

KEY = "sk-canary-0b7e"
BUDGET = Budget(seconds_per_call=5.0, seconds_per_run=20.0)
SHAPE = {"type": "object"}
SECOND = says('{"candidate": "second"}')


def candidate(answer: dict[str, Any]) -> str:
    if answer.get("candidate") not in {"first", "second"}:
        raise ValueError("candidate must be one of the ids")
    return str(answer["candidate"])


def seat_at(server: ScriptedModel, name: str = "scripted", budget: Budget = BUDGET, **options: Any) -> Seat:
    options = {"cache": PromptCache.at_home()} | options
    return model_seat(name, base_url=server.url, api_key=KEY, budget=budget, **options)


def ask(
    seat: Seat, question: str = "which?", shape: Any = SHAPE, system: str = "Choose.", check: Any = candidate
) -> Any:
    return seat.ask("decide", system, {"shortlist": [{"id": "first"}], "question": question}, check, shape=shape)


@pytest.fixture
def server() -> Iterator[ScriptedModel]:
    with scripted.serve(SECOND) as running:
        yield running


def test_a_rerun_of_the_same_question_makes_no_call(server: ScriptedModel, plimsoll_home: Path) -> None:
    first, second = seat_at(server), seat_at(server)
    assert ask(first) == ask(second) == "second"
    assert (first.usage().calls, first.usage().cached) == (1, 0)
    usage = second.usage()
    assert (usage.calls, usage.cached, usage.input_tokens, usage.requests_refused) == (0, 1, 0, 0)
    assert (usage.rung, usage.tasks[0].calls, usage.fallback) == ("json_schema", 0, [])
    assert len(server.asked) == 1
    recorded = RecordedSeat.of("scripted", json.loads(json.dumps(second.transcript)))
    assert ask(recorded) == "second"
    assert recorded.usage() == usage
    kept = [path for path in plimsoll_home.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in kept} == {0o700}
    everything = b"".join(path.read_bytes() + path.name.encode() for path in kept)
    assert not [text for text in (KEY, "127.0.0.1", "which?", "Choose.") if text.encode() in everything]


def test_without_a_cache_every_question_is_asked(server: ScriptedModel) -> None:
    ask(seat_at(server, cache=None))
    ask(seat_at(server, cache=None))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"question": "what?"},
        {"system": "Choose well."},
        {"shape": {"type": "object", "properties": {}}},
        {"shape": None},
    ],
)
def test_another_prompt_is_another_answer(other: dict[str, Any], server: ScriptedModel) -> None:
    ask(seat_at(server))
    ask(seat_at(server), **other)
    assert len(server.asked) == 2


def test_another_model_address_or_setting_is_another_answer(server: ScriptedModel) -> None:
    ask(seat_at(server))
    ask(seat_at(server, "another"))
    ask(seat_at(server, budget=BUDGET._replace(tokens_per_call=99)))
    assert len(server.asked) == 3
    with scripted.serve(SECOND) as elsewhere:
        ask(seat_at(elsewhere))
        assert len(elsewhere.asked) == 1


def test_the_rung_that_was_found_is_part_of_the_answer() -> None:
    with scripted.serve(plain_only(SECOND)) as server:
        ask(seat_at(server))
        (PromptCache.at_home().folder.parent / "rungs.json").unlink()
        seat = seat_at(server)
        assert ask(seat) == "second"
    assert (seat.calls, seat.cached, seat.rung) == (0, 1, "text")


def test_what_failed_its_check_is_not_kept_and_what_mended_it_is() -> None:
    with scripted.serve(says('{"candidate": "third"}'), SECOND) as server:
        mended, again = seat_at(server), seat_at(server)
        assert ask(mended) == ask(again) == "second"
        assert (mended.calls, again.calls, again.cached) == (2, 0, 1)
    with scripted.serve(on_rungs(says("no"))) as useless:
        ask(seat_at(useless))
        ask(seat_at(useless))
        assert len(useless.asked) == 4


def test_an_answer_that_no_longer_passes_is_asked_for_again(server: ScriptedModel) -> None:
    ask(seat_at(server))
    seat = seat_at(server)
    assert ask(seat, check=lambda answer: _refuses(answer, seat)) == "second"
    assert (seat.calls, seat.cached, seat.fallback) == (1, 0, [])


def _refuses(answer: dict[str, Any], seat: Seat) -> str:
    if not seat.calls:
        raise ValueError("this was yesterday's answer")
    return candidate(answer)


def test_a_killed_run_counts_what_was_known_as_it_did(server: ScriptedModel, tmp_path: Path) -> None:
    ask(seat_at(server))
    journal = Journal(tmp_path / "run")
    first = seat_at(server, journal=journal)
    ask(first), ask(first, "another")
    again = seat_at(server, journal=journal)
    ask(again), ask(again, "another")
    assert again.usage().model_copy(update={"seconds": 0.0}) == first.usage().model_copy(update={"seconds": 0.0})
    assert (again.calls, again.cached, len(server.asked)) == (1, 1, 2)


# The files.

KEYS = [f"{number:064x}" for number in range(40)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: body[:-1],
        lambda body: b"[]",
        lambda body: b"null",
        lambda body: b"[" * 200_000,
        lambda body: body.replace(b"paid", b"gift"),
        lambda body: json.dumps({"text": 5, "seal": "0"}).encode(),
        lambda body: json.dumps({"text": "paid for"}).encode(),
        lambda body: b"\xff" + body,
    ],
)
def test_an_entry_that_does_not_hold_is_not_known_and_can_be_kept_again(damage: Any, tmp_path: Path) -> None:
    cache = PromptCache(tmp_path / "a" / "b")
    cache.put(KEYS[0], "paid for")
    [path] = cache.folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(KEYS[0]) is None
    assert list(cache.folder.iterdir()) == []
    cache.put(KEYS[0], "paid for")
    assert cache.get(KEYS[0]) == "paid for"


def test_an_entry_under_another_key_does_not_hold(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path)
    cache.put(KEYS[0], "paid for")
    (tmp_path / f"{KEYS[0]}.json").rename(tmp_path / f"{KEYS[1]}.json")
    assert cache.get(KEYS[1]) is None


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, most_bytes=10 * caches.BLOCK)
    for age, key in enumerate(KEYS):
        cache.put(key, f"answer {age}")
        os.utime(tmp_path / f"{key}.json", (1_000 + age, 1_000 + age))
    assert [key for key in KEYS if cache.get(key) is not None] == KEYS[-10:]
    cache.put(KEYS[0], "x" * 5 * caches.BLOCK)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10 * caches.BLOCK
    assert cache.get(KEYS[0]) is not None


def test_a_folder_that_cannot_be_written_costs_a_call_and_nothing_else(server: ScriptedModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert ask(seat_at(server, cache=PromptCache(tmp_path / "file" / "answers"))) == "second"
    assert len(server.asked) == 2
