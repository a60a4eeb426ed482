"""Misspelt words are put right; words that are none stay what they are."""

from __future__ import annotations

import pytest

from tools.question.lexer import read_lexemes
from tools.question.lexicon import lexicon
from tools.question.spelling import correct, slips


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("curve", "curve", 0),
        ("cruve", "curve", 1),
        ("curv", "curve", 1),
        ("crves", "curve", 2),
        ("saef", "safe", 1),
        ("abcdef", "uvwxyz", 3),
    ],
)
def test_slips(left: str, right: str, distance: int) -> None:
    assert slips(left, right, 2) == distance


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stablecons", "stablecoins"),
        ("etherium", "ethereum"),
        ("conservitive", "conservative"),
        ("bitcion", "bitcoin"),
        ("artbitrum", "arbitrum"),
        ("saef", "safe"),
        ("agressive", "aggressive"),
        ("impermenent", "impermanent"),
        ("maximun", "maximum"),
        ("milion", "million"),
        ("polygn", "polygon"),
        ("uniswpa", "uniswap"),
        ("monts", "months"),
    ],
)
def test_typos(typed: str, meant: str) -> None:
    assert correct(typed, lexicon().correctable) == meant
    assert [lexeme.word for lexeme in read_lexemes(typed)] == [meant]


@pytest.mark.parametrize(
    "word",
    [
        "aware",
        "either",
        "other",
        "carve",
        "curse",
        "beast",
        "linear",
        "balance",
        "optimist",
        "collection",
        "insurance",
        "stated",
        "wrapper",
        "marker",
    ],
)
def test_words_are_left_alone(word: str) -> None:
    (lexeme,) = read_lexemes(word)
    assert lexeme.word == word
    assert not {"chain", "protocol", "token", "coin"} & lexeme.readings.keys()


def test_tickers_are_never_corrected() -> None:
    assert read_lexemes("no USDCX, 10 ETH")[1].word == "usdcx"
    assert correct("steht", {"s": ("steth", "steps")}) == "steth"  # what correct() would do with a ticker in its list
    assert "steth" not in lexicon().correctable["s"]
