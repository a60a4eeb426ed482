"""From what was typed to tokens: cleaning, and cutting into words, numbers and signs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tools.errors import MandateError

MAX_CHARACTERS = 4_000
SIGNS = ("w/o", "w/out", "w/", "us$", "usd$")  # written with signs, and still one word
SHORTHAND = {
    "@": "on", "w/o": "without", "w/out": "without", "w/": "with", "&": "and", "n": "and", "≈": "about", "~": "about",
    "ur": "your", "u": "you",
}  # fmt: skip

_FRACTIONS = {"½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅕": " 1/5"}
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "„": '"',
     "–": "-", "—": " - ", "−": "-", "‑": "-", "‐": "-", "≥": ">=", "≤": "<=",
     "\t": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n", **_FRACTIONS}
)  # fmt: skip
_ABBREVIATION = re.compile(
    r"\b(min|max|approx|ca|incl|excl|e\.g|i\.e|p\.a|vs|mio|mln|mil|bn|u\.s|no|nr)\.(?=\s*[^\s.])", re.IGNORECASE
)
_THEN = re.compile(r"\b(more|less|fewer|bigger|larger|higher|lower|smaller|better|greater|safer) then\b", re.IGNORECASE)
_POWER = re.compile(r"\d\s*\^\s*-?\d+|\d[eE][-+]\d+")
_SPACES = re.compile(r"[^\S\n]+")
_NUMBER_BEFORE = re.compile(r"\d[^\s.]*(?:\s+[^\s.,;]+)?\s+$")
_DIGITS = r"\d+(?:[.,'_]\d+)*(?:e\d{1,2}(?![^\W_]))?|(?<![\w.])\.\d+"
_WORD = r"[^\W\d_][^\W_]*(?:'[^\W\d_]+)*"
_SIGNS = r">=|<=|=>|=<|\n|[^\w\s]|_"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign at [start, end) of the cleaned text; ``word`` is lower case without apostrophes."""

    text: str
    word: str
    start: int
    end: int

    @property
    def is_digits(self) -> bool:
        """Tell whether this is a number written in digits."""
        return self.text[0].isdecimal() or (self.text[0] == "." and len(self.text) > 1)

    @property
    def is_word(self) -> bool:
        """Tell whether this is a word."""
        return self.text[0].isalpha()


def clean(question: str) -> str:
    """Return the question in one normal form: NFKC, straight quotes, plain dashes, without invisible characters.

    Raises MandateError when nothing can be read: empty, too long, control characters, or no letter and no digit.
    """
    if not question.strip():
        raise MandateError("the question is empty; say what you hold, for example: 250 ETH, low risk")
    if len(question) > MAX_CHARACTERS:
        raise MandateError(
            f"the question has {len(question):,} characters; at most {MAX_CHARACTERS:,} are read: shorten it"
        )
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in question):
        raise MandateError("the question holds control characters; remove them and ask again")
    normal = unicodedata.normalize("NFKC", question.translate(_PLAIN)).translate(_PLAIN)
    seen = (c for c in normal if unicodedata.category(c) != "Cf")
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in seen)[: 4 * MAX_CHARACTERS]
    if not any(c.isalnum() for c in text):
        raise MandateError(
            "there is nothing to read in the question: no word and no number; say what you hold, for example: 250 ETH"
        )
    if power := _POWER.search(text):
        raise MandateError(f"{power.group()!r} cannot be read as an amount; write it in plain digits or words")
    return _ABBREVIATION.sub(_without_dot, _THEN.sub(r"\1 than", _SPACES.sub(" ", text)))


def _without_dot(match: re.Match[str]) -> str:
    """Drop the dot of ``max. 5 pools``, not the stop of ``5 pools max. Low risk``."""
    ends = match.group(1).lower() in {"min", "max"} and _NUMBER_BEFORE.search(match.string, 0, match.start())
    return match.group() if ends else f"{match.group(1)} "


def tokenize(text: str, special: Iterable[str]) -> list[Token]:
    """Cut a cleaned text into tokens; ``special`` are names with signs in them (``ether.fi``) that stay whole."""
    return [token for match in _scanner(tuple(special)).finditer(text) for token in _pieces(match)]


@lru_cache(maxsize=4)
def _scanner(special: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted(special, key=lambda name: (-len(name), name)))
    whole = rf"(?<![^\W_])(?:{names})(?![^\W_])|" if names else ""
    return re.compile(f"{whole}{_DIGITS}|{_WORD}|{_SIGNS}", re.IGNORECASE)


def _pieces(match: re.Match[str]) -> Iterator[Token]:
    """Yield the token of a match; ``USD2m`` and ``10kUSDC`` are cut where the number ends."""
    start, end, text = match.start(), match.end(), match.group()
    glued = re.fullmatch(r"(us|usd|eth|btc|usdc|dai|eur)(\d[\d.,]*)(\w*)", text, re.IGNORECASE)
    scaled = re.fullmatch(r"(k|mm|m|mio|mln|bn)(usdc|usdt|usd|dai|eth|btc|eur)", text, re.IGNORECASE)
    parts = glued.groups() if glued else scaled.groups() if scaled and _after_digit(match) else (text,)
    for part in parts:
        if part:
            yield Token(part, part.lower().replace("'", ""), start, start + len(part) if part != text else end)
            start += len(part)


def _after_digit(match: re.Match[str]) -> bool:
    return match.start() > 0 and match.string[match.start() - 1].isdecimal()


def word_at(tokens: Sequence[Token], at: int) -> str:
    """Return the word of a token, empty outside the text."""
    return tokens[at].word if 0 <= at < len(tokens) else ""
