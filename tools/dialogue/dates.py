"""The day that words such as ``since Monday`` mean, seen from the market's day of the last run."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from tools.question.spelling import correct

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {name[:3]: name for name in (*_MONTHS, *_DAYS)} | {
    "sept": "september", "tues": "tuesday", "thur": "thursday", "thurs": "thursday", "weds": "wednesday",
}  # fmt: skip
_KNOWN = {letter: tuple(n for n in (*_MONTHS, *_DAYS) if n[0] == letter) for letter in "abcdefghijklmnopqrstuvwxyz"}
_UNITS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "quarter": 90, "year": 365}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
}  # fmt: skip
_MONTH = "|".join((*_MONTHS, *(name[:3] for name in _MONTHS), "sept"))
_ISO = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})\b")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b\.?,?(?: (\d{{4}})\b)?")
_MONTH_DAY = re.compile(rf"\b({_MONTH})\b\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?")
_MONTH_ONLY = re.compile(rf"\b(?:since|from|in|of|early) ({_MONTH})\b(?: (\d{{4}})\b)?")
_DAY_ONLY = re.compile(r"\bthe (\d{1,2})(?:st|nd|rd|th)\b")
_WEEKDAY = re.compile(rf"\b({'|'.join(_DAYS)})\b")
_COUNTED = re.compile(r"\b(\d{1,3}|[a-z]+)(?: of)? (day|week|fortnight|month|quarter|year)s?\b")
_LAST_UNIT = re.compile(r"\b(?:last|past|previous) (day|week|fortnight|month|quarter|year)\b")
_THIS_UNIT = re.compile(r"\b(?:this|(?:start|beginning) of the) (week|month|year)\b|\bnew year|\byear to date|\bytd\b")


class UnreadableDay(ValueError):
    """Words that name a day which cannot be told: it does not exist, or could be two."""


def day_meant(text: str, as_of: dt.date | None) -> dt.date | None:
    """Return the day that the words name, None when they name none.

    A weekday, a day of a month or a day of the year is the last such day strictly before ``as_of``; a week is 7 days, a
    month 30. Raises UnreadableDay for a day that does not exist, could be two (03/04/2025), or needs an ``as_of`` that
    is missing.
    """
    words = _put_right(text.lower())
    for match in _ISO.finditer(words):
        return _day(int(match[1]), int(match[2]), int(match[3]), match[0])
    for match in _SLASHED.finditer(words):
        return _slashed(match)
    for day, month, year, said in _named_days(words):
        return _of_year(day, month, year, as_of, said)
    return _relative(words, as_of)


def _put_right(text: str) -> str:
    """Write names of months and weekdays in full, misspelt ones put right."""
    return re.sub(r"[a-z]{3,}", lambda match: _full(match[0]), text)


def _full(word: str) -> str:
    if word in {"may", "mar", "sun", "sat"} or word in _KNOWN.get(word[0], ()):
        return word
    return _SHORT.get(word) or (correct(word, _KNOWN) if len(word) > 5 else None) or word


def _named_days(words: str) -> Iterator[tuple[int, str, str | None, str]]:
    for match in _DAY_MONTH.finditer(words):
        yield int(match[1]), match[2], match[3], match[0]
    for match in _MONTH_DAY.finditer(words):
        yield int(match[2]), match[1], match[3], match[0]
    for match in _MONTH_ONLY.finditer(words):
        yield 1, match[1], match[2], match[0]


def _day(year: int, month: int, day: int, said: str) -> dt.date:
    try:
        return dt.date(year, month, day)
    except ValueError:
        raise UnreadableDay(f"there is no day {said}") from None


def _slashed(match: re.Match[str]) -> dt.date:
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    if first <= 12 and second <= 12 and first != second:
        raise UnreadableDay(f"{match[0]} could be two days; write it as YYYY-MM-DD")
    day, month = (first, second) if second <= 12 else (second, first)
    return _day(year, month, day, match[0])


def _of_year(day: int, month: str, year: str | None, as_of: dt.date | None, said: str) -> dt.date:
    number = next(at for at, name in enumerate(_MONTHS, start=1) if name.startswith(month[:3]))
    if year:
        return _day(int(year), number, day, said)
    today = _needed(as_of, said)
    this_year = _day(today.year if (number, day) != (2, 29) else 2024, number, day, said)
    if (number, day) == (2, 29):
        return this_year if this_year < today else _day(2020, 2, 29, said)
    return this_year if this_year < today else _day(today.year - 1, number, day, said)


def _needed(as_of: dt.date | None, said: str) -> dt.date:
    if as_of is None:
        raise UnreadableDay(f"{said!r} needs a run to count from, and there is none yet; write the day as YYYY-MM-DD")
    return as_of


def _relative(words: str, as_of: dt.date | None) -> dt.date | None:
    if match := _WEEKDAY.search(words):
        today = _needed(as_of, match[0])
        return today - dt.timedelta(days=(today.weekday() - _DAYS.index(match[1]) - 1) % 7 + 1)
    if match := _DAY_ONLY.search(words):
        return _day_of_month(int(match[1]), _needed(as_of, match[0]), match[0])
    if match := _LAST_UNIT.search(words):
        return _back(_needed(as_of, match[0]), _UNITS[match[1]])
    for match in _COUNTED.finditer(words):
        count = int(match[1]) if match[1].isdigit() else _NUMBERS.get(match[1], 0)
        if count:
            return _back(_needed(as_of, match[0]), count * _UNITS[match[2]])
    if match := _THIS_UNIT.search(words):
        return _start_of(match[1] or "year", _needed(as_of, match[0]))
    if match := re.search(r"\b(yesterday|overnight|today)\b", words):
        return _back(_needed(as_of, match[0]), 1)
    return None


def _back(day: dt.date, days: int) -> dt.date:
    """Go back, not past the first day there is."""
    return dt.date.fromordinal(max(day.toordinal() - days, 1))


def _day_of_month(day: int, today: dt.date, said: str) -> dt.date:
    if not 1 <= day <= 31:
        raise UnreadableDay(f"there is no day {said}")
    found = today - dt.timedelta(days=1)
    while found.day != day:
        found -= dt.timedelta(days=1)
    return found


def _start_of(unit: str, today: dt.date) -> dt.date:
    """Return the first day of the week, month or year that yesterday lies in, so that something can have changed."""
    yesterday = today - dt.timedelta(days=1)
    if unit == "week":
        return yesterday - dt.timedelta(days=yesterday.weekday())
    return yesterday.replace(day=1) if unit == "month" else yesterday.replace(month=1, day=1)
