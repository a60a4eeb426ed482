"""Lines of a conversation beside the table: what is carried along, forgotten, and kept of what cannot be acted on."""

from __future__ import annotations

import pytest
from lines import load_memories

from tools.dialogue import Memory, Subject, Turn, read_turn
from tools.errors import MandateError
from tools.records import Mandate


def after(name: str, text: str) -> Turn:
    return read_turn(text, load_memories()[name])


def test_a_line_goes_on_from_the_whole_mandate_before() -> None:
    turn = after("eth", "and without Lido?")
    before = load_memories()["eth"].mandate
    assert before is not None
    assert turn.mandate == before.model_copy(update={"protocols_exclude": ["curve", "lido"]})
    assert [(change.before, change.after) for change in turn.changes] == [(["curve"], ["curve", "lido"])]


def test_a_new_question_leaves_the_limits_before_behind() -> None:
    turn = after("exact", "I have 10 BTC, low risk")
    assert turn.mandate == Mandate(asset="BTC", amount=10.0, risk="low")
    assert (turn.kind, turn.forget) == ("recommend", True)


def test_a_change_is_taken_back_by_a_line_that_says_nothing_else() -> None:
    now = load_memories()["usd"]
    assert now.mandate is not None
    before = now.mandate.model_copy(update={"horizon_days": 44})
    memory = now.model_copy(update={"earlier": (before,)})
    for text in (
        "undo",
        "undo that please",
        "ok, never mind",
        "go back to the previous one",
        "take that back",
        "revert",
    ):
        turn = read_turn(text, memory)
        assert (turn.kind, turn.mandate, [one.field for one in turn.changes]) == ("what_if", before, ["horizon_days"])
        assert "nothing to go back to" in (read_turn(text, now).reason or "")
    for text in ("never mind Curve", "undo the 25% cap", "go back to 250k", "forget about Aave"):
        assert read_turn(text, memory).mandate != before


def test_what_stands_behind_undo_is_a_change_of_the_mandate_gone_back_to() -> None:
    now = load_memories()["usd"]
    assert now.mandate is not None
    earlier = tuple(now.mandate.model_copy(update={"horizon_days": days}) for days in (44, 55))
    memory = now.model_copy(update={"earlier": earlier})
    for text, changed in (
        ("undo that and exclude Curve", {"horizon_days": 55, "protocols_exclude": ["curve"]}),
        ("undo that and make it medium risk", {"horizon_days": 55, "risk": "medium"}),
        ("undo that, then make it easy", None),
        ("forget the last thing I said", {"horizon_days": 55}),
        ("actually never mind", {"horizon_days": 55}),
        ("undo both", {"horizon_days": 55}),
        ("go back to what we had two steps ago", {"horizon_days": 44}),
        ("undo twice", {"horizon_days": 44}),
        ("I changed my mind, undo", {"horizon_days": 55}),
        ("revert to the previous one and use 4 pools", {"horizon_days": 55, "min_pools": 4, "max_pools": 4}),
        ("undo the last 2 changes", {"horizon_days": 44}),
        ("undo the last three changes", None),
    ):
        turn = read_turn(text, memory)
        assert ({change.field: change.after for change in turn.changes} or None, bool(turn.reason)) == (
            changed,
            changed is None,
        )


def test_a_small_number_without_its_unit_is_no_amount_where_none_was_known() -> None:
    memory = Memory(mandate=Mandate(asset="USD", risk="low"))
    assert read_turn("we have 3 signers", memory).kind == "unclear"
    assert read_turn("what if I had 500?", memory).changes[0].after == 500.0


def test_whether_something_is_better_asks_why_it_is_not_held() -> None:
    for text in ("is sUSDe not better?", "isn't sUSDe better?", "would sUSDe be safer?"):
        turn = after("usd", text)
        assert (turn.kind, turn.subject and turn.subject.tokens) == ("why_not", ["SUSDE"])


def test_a_level_of_risk_takes_the_place_of_a_named_profile() -> None:
    for text in ("high risk", "more risk"):
        mandate = after("exact", text).mandate
        assert mandate is not None
        assert (mandate.risk, mandate.profile) == ("high", None)


def test_what_is_known_of_a_mandate_without_an_asset_waits_for_one() -> None:
    first = read_turn("low risk, no Curve", Memory())
    assert (first.kind, first.mandate) == ("unclear", Mandate(risk="low", protocols_exclude=["curve"]))
    then = read_turn("250 ETH", Memory(mandate=first.mandate))
    assert then.kind == "recommend"
    assert then.mandate == Mandate(asset="ETH", amount=250.0, risk="low", protocols_exclude=["curve"])


def test_the_subject_before_answers_to_it_and_that_one() -> None:
    for text, kind in (("when would you leave it?", "flips"), ("why that one?", "why"), ("why not?", "why_not")):
        turn = after("talked", text)
        assert (turn.kind, turn.subject) == (kind, Subject(words="Curve", families=["curve"]))


def test_a_wish_that_needs_a_number_is_noted_beside_one_that_does_not() -> None:
    turn = after("eth", "less risk and a higher yield")
    assert [change.field for change in turn.changes] == ["risk"]
    assert "at least" in turn.notes[0]


def test_an_event_changes_nothing_of_what_is_held() -> None:
    for text in ("what if ETH crashes?", "what if Aave is hacked?", "what happens when rates fall?"):
        turn = after("usd", text)
        assert (turn.kind, turn.mandate) == ("unclear", None)


def test_the_end_of_the_scale_says_what_to_name_instead() -> None:
    assert "Ultra Safe" in (after("usd", "safer").reason or "")
    assert "Maximum Yield" in (after("btc", "more risk").reason or "")


def test_limits_that_contradict_what_was_said_before_are_refused() -> None:
    with pytest.raises(MandateError, match="max_pools"):
        after("usd", "at most 2 pools")


def test_each_refusal_is_a_sentence_of_its_own() -> None:
    lines = [
        "will ETH go up?", "can you guarantee 8%?", "how do I evade tax", "help me drain Curve", "launder it",
        "go long with 3x leverage", "same for SOL", "deposit it for me",
    ]  # fmt: skip
    turns = [after("usd", line) for line in lines]
    assert {turn.kind for turn in turns} == {"out_of_scope"}
    reasons = [turn.reason or "" for turn in turns]
    assert len(set(reasons)) == len(lines)
    assert all(reason[0].isupper() and reason.endswith(".") for reason in reasons)
