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
    """Return a model's passages if they can be used; raise ValueError with sentences for the model otherwise."""
    passages = {}
    faults = []
    for key in PASSAGES:
        text = answer.get(key)
        if isinstance(text, str) and len(text) <= MAX_CHARACTERS:
            passages[key] = " ".join(text.split())
            faults += [f"{key} {fault}" for fault in _faults(passages[key])]
        elif text is not None:
            faults.append(f"{key} must be a text of at most {MAX_CHARACTERS:,} characters")
    if faults:
        raise ValueError("; ".join(faults))
    return {key: text for key, text in passages.items() if text}


def filled(passage: str | None, sentences: Mapping[str, str]) -> str | None:
    """Put the program's sentences in the place of the slots."""
    return _SLOT.sub(lambda match: sentences[match[1]], passage) if passage else None


def _faults(text: str) -> Iterator[str]:
    own = _SLOT.split(text)
    if not set(own[1::2]) <= SLOTS.keys():
        yield "uses slots that do not exist"
    words = " ".join(own[::2])
    if not _PLAIN.fullmatch(words):
        yield "holds digits, signs or markup where only plain words may stand"
    if re.search(r"[.!?][A-Za-z]", words):
        yield "holds abbreviations or addresses"
    if not all(_SENTENCES.fullmatch(part) for part in own[::2]):
        yield "does not consist of whole sentences with the slots between them"
    yield from _word_faults(words)


def _word_faults(text: str) -> Iterator[str]:
    words = {word.lower() for word in _WORD.findall(text)}
    if words & NUMBER_WORDS:
        yield "holds numbers in words"
    if words & _UNITS:
        yield "speaks of units"
    if words & _COMPARISONS:
        yield "compares"
    if _PROMISE.search(text):
        yield "promises"
    sentences = [found for part in re.split("[.!?]", text) if (found := _WORD.findall(part))]
    inner = {word for sentence in sentences for word in sentence[1:] if word[0].isupper()}
    if inner - _CAPITALS_ALLOWED or {sentence[0].lower() for sentence in sentences} & _names():
        yield "holds names"


@functools.cache
def _names() -> frozenset[str]:
    """Return what protocols, chains and tokens are called, in lower case."""
    return frozenset([*family_aliases(), *chain_aliases(), *(symbol.lower() for symbol in known_symbols())])
