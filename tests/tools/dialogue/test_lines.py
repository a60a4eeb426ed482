"""The table of lines, and wordings of the same wish: what is read, measured and kept from being forgotten."""

from __future__ import annotations

from collections import Counter

import lines
import pytest
from lines import load_cases, load_memories, share_right, wrong

from tools.dialogue import Memory, Turn, read_turn

# What the first question's reader reads as a level of risk, and so does this one (docs/questions.md).
MISREAD = {"I can't lose more than 5%"}

# Each group after its memory: wordings that must lead to one and the same mandate.
SAME = {
    ("eth", "less risk"): [
        "less risk please", "safer", "a bit safer", "lower risk", "make it less risky", "more conservative",
        "turn the risk down", "too risky", "can we go a level down", "reduce the risk", "what if I took less risk?",
    ],
    ("usd", "without Curve"): [
        "and without Curve?", "no Curve", "drop Curve", "leave out Curve", "exclude curve please", "skip Curve",
        "get rid of Curve", "what if I left Curve out?", "same but not Curve", "anything but Curve", "wihtout Curve",
    ],
    ("eth", "allow Base"): [
        "also allow Base again", "Base is fine", "bring back Base", "you can use Base", "unban Base",
        "Base is ok again", "what if I allowed Base?", "add Base", "reconsider Base",
    ],
    ("usd", "same for BTC"): [
        "and for BTC?", "what if it were bitcoin", "the same in BTC", "BTC instead", "how about bitcoin?",
        "redo it for BTC", "what would it be for BTC", "same thing, bitcoin",
    ],
    ("usd", "make it 4 pools"): [
        "4 pools", "exactly four pools", "what if I wanted 4 pools?", "spread it over four pools", "4 pools instead",
        "how about 4 pools?", "why not 4 pools?",
    ],
    ("usd", "at most 20% per pool"): [
        "no more than 20% in one pool", "cap each pool at 20%", "max 20 percent per pool", "max 400k per pool",
        "what if no pool may hold more than 20%?", "not more than a fifth in any pool", "set the cap to 20%",
    ],
    ("usd", "without the cap"): [
        "drop the cap", "remove the 25% cap", "what if there was no cap?", "forget about the cap per pool",
        "no cap please", "lift the 25% limit",
    ],
    ("usd", "what if I only have 10k?"): [
        "with 10k", "make it $10,000", "the same with 10 thousand dollars", "suppose I had 10k", "10k instead",
        "what if it's just 10000 usd",
    ],
}  # fmt: skip


def test_lines_are_read_as_a_careful_listener_would(published: list[str]) -> None:
    for held_out in (False, True):
        right, of, differing = share_right(case for case in load_cases() if case.held_out is held_out)
        published.append(f"lines of a conversation read right: {right} of {of} {'held out' if held_out else 'in use'}")
        assert differing.keys() <= MISREAD, differing


def test_no_line_stands_in_the_table_twice_and_every_kind_of_turn_does() -> None:
    cases = load_cases()
    assert len(cases) >= 150
    assert [name for name, count in Counter(case.id for case in cases).items() if count > 1] == []
    assert [key for key, count in Counter((c.memory, c.text) for c in cases).items() if count > 1] == []
    kinds = Counter(case.expected["kind"] for case in cases if case.expected)
    assert len(kinds) == 12
    assert min(kinds.values()) >= 5


def test_a_reader_that_understands_nothing_fails_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "read_turn", lambda text, memory: Turn(kind="unclear", reason="?"))
    right, of, _ = share_right(load_cases())
    assert right < 0.1 * of


def test_an_expected_error_must_come_and_be_the_right_one() -> None:
    case = next(case for case in load_cases() if case.error)
    assert not wrong(case)
    assert wrong(case._replace(error="something else"))
    assert wrong(case._replace(text="less risk", memory="eth"))


@pytest.mark.parametrize(("memory", "wording"), SAME, ids=lambda value: str(value).replace(" ", "-"))
def test_wordings_of_the_same_wish_give_the_same_mandate(memory: str, wording: str) -> None:
    wanted = read_turn(wording, load_memories()[memory])
    assert wanted.kind == "what_if"
    turns = {other: read_turn(other, load_memories()[memory]) for other in SAME[memory, wording]}
    assert {other: turn.changes for other, turn in turns.items() if turn.mandate != wanted.mandate} == {}


def test_records_round_trip_as_json() -> None:
    for memory in load_memories().values():
        assert Memory.model_validate_json(memory.model_dump_json()) == memory
        assert Memory.model_validate(memory.model_dump(mode="json")) == memory
    for case in load_cases():
        if case.expected is not None:
            turn = read_turn(case.text, load_memories()[case.memory])
            assert Turn.model_validate_json(turn.model_dump_json()) == turn
            assert Turn.model_validate(turn.model_dump(mode="json")) == turn
