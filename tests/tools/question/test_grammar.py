"""The phrase grammar, and the phrase lists that come with it."""

from __future__ import annotations

import pytest

from tools.errors import UsageError
from tools.question.grammar import Grammar
from tools.question.lexeme import Lexeme
from tools.question.lexicon import lexicon

WORD_LISTS = {
    "names.glue",
    "names.glue_words",
    "names.link",
    "amount.before_coin",
    "amount.behind_coin",
    "amount.joins",
    "amount.stack",
}


def line(text: str) -> list[Lexeme]:
    lexemes = []
    for word in text.split():
        readings = {"num": float(word)} if word.isdigit() else {}
        lexemes.append(
            Lexeme(word, 0, 0, readings, stems=frozenset({"diversif*"} if word.startswith("diversif") else ()))
        )
    return lexemes


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("no more than", "no more than 5", (0, 3)),
        ("(no | not) more than", "is not more than", (1, 4)),
        ("at most [about] {num}", "at most 5", (0, 3)),
        ("at most [about] {num}", "at most about 5", (0, 4)),
        ("diversif* ~2 {num}", "diversified over some 5", (0, 4)),
        ("diversif* ~1 {num}", "diversified over some 5", None),
        ("no ~3 over", "no , over", None),
        ("no ~3 over", "no 7 over", None),
        ("{low} risk", "very small risk", (1, 3)),
        ("\\( {num}", "( 5", (0, 2)),
    ],
)
def test_phrases(phrase: str, text: str, found: tuple[int, int] | None) -> None:
    grammar = Grammar({"it": [phrase], "low": ["low", "small"]})
    matches = [(match.start, match.end) for match in grammar.find("it", line(text))]
    assert matches == ([found] if found else [])


def test_the_longest_match_at_the_leftmost_place_wins_and_remembers() -> None:
    grammar = Grammar({"it": ["five", "five {num=first} [{num=second}]"]})
    (match,) = grammar.find("it", line("four five 6 7"))
    assert (match.start, match.end, dict(match.captures)) == (1, 4, {"first": 2, "second": 3})
    assert [m.end for m in grammar.find("it", line("five 6 7"), range(2))] == [2]


@pytest.mark.parametrize(
    "phrases", [{"it": ["(open"]}, {"it": ["{missing}"]}, {"it": ["{it} again"]}, {"it": ["a ) b"]}]
)
def test_a_phrase_that_cannot_be_read_is_named(phrases: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        Grammar(phrases).node("it")


def test_every_phrase_that_comes_with_the_reader_can_be_read() -> None:
    grammar = lexicon().grammar
    for name in grammar.lists:
        if name not in WORD_LISTS:
            assert grammar.node(name).first is not None, f"{name}: a phrase must start with a word or a kind"
