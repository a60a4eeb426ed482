"""What a model may write: its own sentences, without any figure, and slots for sentences that the program writes.

A slot is a whole sentence with its own subject ("The choice yields 4.10 % a year."), so no wording around it can attach
a true figure to the wrong thing. Between slots there are plain words only: no digit, no number in words, no unit, no
comparison, no name, no promise, no markup. What passes here is checked again, as part of the finished text, by the
independent checker.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

from tools.market.names import chain_aliases, family_aliases
from tools.strategies.tokens import known_symbols
from tools.verify import COMPARISON_WORDS, NUMBER_WORDS

SLOTS = {
    "choice_apy": "what the candidate you choose yields",
    "income": "the income it is expected to bring over the horizon",
    "doing_nothing": "what doing nothing pays",
    "pool_count": "how many pools it holds",
    "largest_protocol": "the protocol that has most of the money, with its share",
    "weakest_protocol": "its weakest party, a protocol, with its risk",
    "apy_range": "the range that its yield moved in",
    "score": "its score",
    "runner_up": "what the runner-up yields",
}
PASSAGES = ("why", "caution")
MAX_CHARACTERS = 1_200

_SLOT = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_PLAIN = re.compile(r"[A-Za-z ,.;:!?'’\"“”()–—-]*")
_SENTENCES = re.compile(r"\s*|\s*[A-Z“\"(].*[.!?][”\")]?\s*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_FIRST_WORD = re.compile(r"(?:^|[.!?]\s+)([A-Z][A-Za-z]*)")
_INNER_CAPITAL = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][A-Za-z]*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNITS = _words("percent percentage percentages bp bps cent cents points")
_COMPARISONS = COMPARISON_WORDS.keys() | _words(
    "safer safest riskier riskiest stronger strongest weaker weakest steadier steadiest calmer calmest cheaper "
    "cheapest richer richest sounder soundest older oldest younger youngest surer surest superior inferior "
    "outperform outperforms outperformed outpace outpaces outpaced surpass surpasses surpassed"
)
_PROMISE = re.compile(
    r"\b(?:guarant\w*|riskless|insured|risk[- ]free|(?:no|without|free of) risks?|(?:cannot|never) (?:lose|fail))\b",
    re.IGNORECASE,
)
_CAPITALS_ALLOWED = frozenset({"I", "ETH", "BTC", "USD", "APY", "TVL", "DeFi"})


def check_prose(answer: Mapping[str, object]) -> dict[str, str]:
    """Return a model's passages if they can be used; raise ValueError with a sentence for the model otherwise."""
    passages = {}
    for key in PASSAGES:
        text = answer.get(key)
        if text is None or text == "":
            continue
        if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            raise ValueError(f"{key} must be a text of at most {MAX_CHARACTERS:,} characters")
        fault = next(_faults(text), None)
        if fault:
            raise ValueError(f"{key} {fault}")
        passages[key] = " ".join(text.split())
    return passages


def filled(passage: str | None, sentences: Mapping[str, str]) -> str | None:
    """Put the program's sentences in the place of the slots."""
    return _SLOT.sub(lambda match: sentences[match[1]], passage) if passage else None


def _faults(text: str) -> Iterator[str]:
    own = _SLOT.split(text)
    if not set(own[1::2]) <= SLOTS.keys():
        yield "uses slots that do not exist"
    words = " ".join(own[::2])
    if not _PLAIN.fullmatch(words):
        yield "holds digits, signs or markup; figures exist only as slots, the rest is plain words"
    if re.search(r"[.!?][A-Za-z]", words):
        yield "holds abbreviations or addresses"
    if not all(_SENTENCES.fullmatch(part) for part in own[::2]):
        yield "puts a slot inside a sentence; a slot is a sentence of its own"
    yield from _word_faults(words)


def _word_faults(text: str) -> Iterator[str]:
    words = {word.lower() for word in _WORD.findall(text)}
    if words & NUMBER_WORDS:
        yield "holds numbers in words"
    if words & _UNITS:
        yield "speaks of units; figures exist only as slots"
    if words & _COMPARISONS:
        yield "compares"
    if _PROMISE.search(text):
        yield "promises"
    first_words = {word.lower() for word in _FIRST_WORD.findall(text)}
    if first_words & _names() or set(_INNER_CAPITAL.findall(text)) - _CAPITALS_ALLOWED:
        yield "holds names"


@functools.cache
def _names() -> frozenset[str]:
    """Return what protocols, chains and tokens are called, in lower case."""
    return frozenset([*family_aliases(), *chain_aliases(), *(symbol.lower() for symbol in known_symbols())])
