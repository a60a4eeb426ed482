"""Numbers as people write them: 1,250,000 · 1.500.000 · 2,5 million · 750k · two and a half million · twenty-five."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from tools.question.text import Token
from tools.question.text import word_at as _word

_WORDS = tomllib.loads((resources.files(__package__) / "data" / "numbers.toml").read_text(encoding="utf-8"))


def _by_word(table: Mapping[str, Sequence[str]]) -> dict[str, int]:
    return {word: int(number.replace("_", "")) for number, words in table.items() for word in words}


_SMALL: Mapping[str, int] = _WORDS["small"]
_TENS: Mapping[str, int] = _WORDS["tens"]
_GROUPS: dict[str, int] = _WORDS["groups"]
_SCALES = _by_word(_WORDS["scales"])
_SHARES = {word: 1 / parts for word, parts in _by_word(_WORDS["shares"]).items()}
TIME_UNITS = _by_word(_WORDS["time"])
NUMBER_WORDS = frozenset(
    {*_SMALL, *_TENS, *_GROUPS, *_SHARES, "point", "minus"}
    | {word for word in (*_SCALES, *TIME_UNITS) if len(word) > 2}
)

_ENGLISH = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_EUROPEAN = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}")
_PLAIN = re.compile(r"\d+(?:[.,]\d+)?|\.\d+|\d+(?:\.\d+)?e\d{1,2}")
_GREATEST = 1e18  # nothing that is owned is counted in more


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number read from tokens up to ``end``.

    ``unclear``: it could be two numbers; ``scaled``: it has a k, million or the like; ``share``: a third, two fifths.
    """

    value: float
    end: int
    scaled: bool = False
    share: bool = False
    unclear: bool = False
    month_suffix: bool = False


def numeral_at(tokens: Sequence[Token], at: int) -> Numeral | None:
    """Read the number that starts at a token, with its sign and scale; None when there is none."""
    if _is_minus(tokens, at):
        found = _unsigned(tokens, at + 1)
        return found and Numeral(-found.value, found.end, found.scaled, found.share, found.unclear)
    return _unsigned(tokens, at)


def _is_minus(tokens: Sequence[Token], at: int) -> bool:
    """A minus sign touches its number and nothing before it; ``minus`` in words needs a number after it."""
    token = tokens[at]
    if token.word == "minus":
        return True
    touches = (
        at + 1 < len(tokens)
        and tokens[at + 1].start == token.end
        and (tokens[at + 1].is_digits or tokens[at + 1].text == "$")
    )
    free = at == 0 or tokens[at - 1].end < token.start or tokens[at - 1].text in "($:="
    return token.text == "-" and touches and free and not (at > 0 and tokens[at - 1].is_digits)


def _unsigned(tokens: Sequence[Token], at: int) -> Numeral | None:
    if at >= len(tokens):
        return None
    found = _part_of_scale(tokens, at) or (_digits(tokens, at) if tokens[at].is_digits else _words(tokens, at))
    return found and _with_tail(tokens, found)


def _part_of_scale(tokens: Sequence[Token], at: int) -> Numeral | None:
    """Read ``half a million``, ``a quarter million``, ``three quarters of a million``, ``half a dozen``."""
    count, here = 1, at
    if _word(tokens, here) in {"a", "one", "two", "three"} and _word(tokens, here + 1) in _SHARES:
        count, here = {"two": 2, "three": 3}.get(tokens[here].word, 1), here + 1
    share = _SHARES.get(_word(tokens, here))
    if share is None:
        return None
    here += 1
    while _word(tokens, here) in {"of", "a"}:
        here += 1
    scale = (_SCALES | _GROUPS).get(_word(tokens, here))
    if scale is None or len(tokens[here].word) == 1:
        return None
    return Numeral(count * share * scale, here + 1, scaled=True)


def parse_digits(text: str) -> tuple[float, bool]:
    """Return the value of digits with separators, and whether it is unclear.

    Groups of three after commas are thousands (1,250), after several dots too (1.500.000); a comma before other than
    three digits is a decimal comma (2,5). One dot before three digits (1.500) could be both, and so could anything that
    fits none of these forms.
    """
    digits = text.replace("'", "").replace("_", "")
    if "e" in digits:
        mantissa, _, exponent = digits.partition("e")
        value, unclear = parse_digits(mantissa)
        return value * 10.0 ** int(exponent), unclear
    if digits.startswith("0,") and digits.count(",") == 1:
        return float(digits.replace(",", ".")), False
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits):
        return float(digits), True
    if _INDIAN.fullmatch(digits) or _ENGLISH.fullmatch(digits):
        return float(digits.replace(",", "")), False
    if _EUROPEAN.fullmatch(digits) and not digits.startswith("0"):
        return float(digits.replace(".", "").replace(",", ".")), False
    if _PLAIN.fullmatch(digits):
        return float(digits.replace(",", ".")), False
    return math.nan, True


def _digits(tokens: Sequence[Token], at: int) -> Numeral:
    text, end = tokens[at].text.lower(), at + 1
    while re.fullmatch(r"\d{1,3}(?: ?\d{3})*", text) and _is_group(tokens, end, text):
        text += tokens[end].text
        end += 1
    value, unclear = parse_digits(text)
    scale = _SCALES.get(_word(tokens, end)) if not unclear or value == value else None
    if scale and _is_scale(tokens, end, tokens[at]):
        suffix = tokens[end].word
        return Numeral(value * scale, end + 1, scaled=True, month_suffix=suffix == "m" and value <= 60)
    if _word(tokens, end) == "hundred":
        return Numeral(
            value * 100 * _SCALES.get(_word(tokens, end + 1), 1),
            end + 1 + (_word(tokens, end + 1) in _SCALES),
            scaled=True,
        )
    return Numeral(value, end, unclear=unclear or not math.isfinite(value) or value > _GREATEST)


def _is_group(tokens: Sequence[Token], at: int, before: str) -> bool:
    """Tell whether a token is a group of three digits after a space, as in 250 000: zeros, or one of several groups."""
    if at >= len(tokens) or not re.fullmatch(r"\d{3}", tokens[at].text) or tokens[at].start != tokens[at - 1].end + 1:
        return False
    more = (
        at + 1 < len(tokens)
        and re.fullmatch(r"\d{3}", tokens[at + 1].text)
        and tokens[at + 1].start == tokens[at].end + 1
    )
    return tokens[at].text == "000" or bool(more) or len(before) > 3


def _is_scale(tokens: Sequence[Token], at: int, number: Token) -> bool:
    """A single letter is a scale where it touches the number, stands alone as a capital, or after ``$ 2``."""
    token = tokens[at]
    if len(token.word) > 1:
        return True
    apart = token.start > number.end
    return (
        not apart
        or token.text in {"M", "K", "B"}
        or token.word == "k"
        or (token.word == "m" and at > 1 and tokens[at - 2].text == "$")
    )


def _words(tokens: Sequence[Token], at: int) -> Numeral | None:
    """Read a number in words: hundreds and scales, ``and`` only where it joins (two hundred and fifty)."""
    total, current, room, here, scaled = 0.0, 0.0, math.inf, at, False
    while here < len(tokens):
        word = tokens[here].word
        if (
            word == "a"
            and current == 0
            and _word(tokens, here + 1) in {*_GROUPS, *_SCALES, "couple"}
            and _unit_after(tokens, here)
        ):
            current, room = (0.0, room) if _word(tokens, here + 1) == "couple" else (1.0, 1.0)
        elif word in _TENS and room > 99:
            current, room = current + _TENS[word], 9.0
        elif word in _SMALL and _SMALL[word] <= room and (room < math.inf or current == 0):
            current, room = current + _SMALL[word], 0.0
        elif word in _GROUPS and 0 < current < 100:
            current, room = current * _GROUPS[word], 99.5
        elif word in _SCALES and len(word) > 1 and current > 0:
            total, current, room, scaled = total + current * _SCALES[word], 0.0, math.inf, True
        elif not (here > at and _joins(tokens, here, room, current)):
            break
        here += 1
    share = _SHARES.get(_word(tokens, here))
    if here == at:
        return Numeral(share, at + 1, share=True) if share is not None else None
    if share is not None and tokens[here - 1].word in {"one", "two", "three", "four"} and not scaled:
        return Numeral(current * share, here + 1, share=True)
    return Numeral(total + current, here, scaled=scaled)


def _unit_after(tokens: Sequence[Token], at: int) -> bool:
    return len(_word(tokens, at + 1)) > 1


def _joins(tokens: Sequence[Token], at: int, room: float, current: float) -> bool:
    """Tell whether a sign or word only joins number words: twenty-five, two hundred and fifty, a couple of hundred."""
    word, following = tokens[at].word, _word(tokens, at + 1)
    if word == "-":
        return following in _SMALL and room == 9.0
    if word == "of":
        return tokens[at - 1].word == "couple" and following in {*_GROUPS, *_SCALES}
    hundreds = room == 99.5 and following in {**_SMALL, **_TENS}
    more = (
        room == math.inf
        and current == 0
        and following in {**_SMALL, **_TENS}
        and _word(tokens, at + 2) in {"hundred", "thousand"}
    )
    return word == "and" and (hundreds or more)


def _with_tail(tokens: Sequence[Token], found: Numeral) -> Numeral:
    """Add ``point five``, ``and a half`` and the scale behind it (two and a half million; a million and a half)."""
    here, value, scaled = found.end, found.value, found.scaled
    unit = next((float(_SCALES[t.word]) for t in reversed(tokens[:here]) if t.word in _SCALES), 1.0) if scaled else 1.0
    if _word(tokens, here) == "point" and _word(tokens, here + 1) in _SMALL:
        digits = ""
        here += 1
        while _word(tokens, here) in _SMALL and _SMALL[tokens[here].word] < 10:
            digits += str(_SMALL[tokens[here].word])
            here += 1
        value += float(f"0.{digits}") if digits else 0.0
    elif [_word(tokens, here + step) for step in range(2)] == ["and", "a"] and _word(tokens, here + 2) in {
        "half",
        "quarter",
    }:
        value, here = value + _SHARES[tokens[here + 2].word] * unit, here + 3
    if here > found.end and not scaled and _word(tokens, here) in _SCALES and len(tokens[here].word) > 1:
        value, here, scaled = value * _SCALES[tokens[here].word], here + 1, True
    return Numeral(
        value,
        here,
        scaled,
        found.share,
        found.unclear or not math.isfinite(value) or value > _GREATEST,
        found.month_suffix,
    )
