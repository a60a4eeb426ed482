"""From a cleaned text to lexemes: names are recognised, numbers get their units, misspelt words are put right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tools.question.lexeme import Lexeme
from tools.question.lexicon import Lexicon, Readings, Words, lexicon
from tools.question.numerals import Numeral, numeral_at
from tools.question.spelling import correct
from tools.question.text import Token, tokenize

_UNITS = {
    **dict.fromkeys(("day", "days", "d"), 1),
    **dict.fromkeys(("week", "weeks", "wk", "wks", "w"), 7),
    **dict.fromkeys(("fortnight", "fortnights"), 14),
    **dict.fromkeys(("month", "months", "mo", "mos", "mth", "mths"), 30),
    **dict.fromkeys(("quarter", "quarters", "qtr"), 90),
    **dict.fromkeys(("year", "years", "yr", "yrs", "y"), 365),
    **dict.fromkeys(("decade", "decades"), 3650),
}
_OTHER_UNITS = frozenset({"hour", "hours", "h", "hrs", "minutes", "minute", "seconds", "x", "th", "st", "nd", "rd", "blocks", "people", "times"})
_MOST_DAYS = 36_500
_DOLLARS = frozenset({"$", "usd", "dollar", "dollars", "bucks", "us$", "usd$"})
_CENTS = frozenset({"sats", "sat", "satoshi", "satoshis"})
_SATS = 100_000_000
_SAME = {"@": "on", "w/o": "without", "w/out": "without", "w/": "with", "&": "and", "n": "and", "≈": "about", "~": "about", "ur": "your", "u": "you"}
_BEFORE_NAME = frozenset(
    "on via through using use with without no not avoid avoiding exclude excluding except skip only from into in at nor neither than ban drop hate like never "
    "trust and or , / & + : besides either touch dont stick ( = = just about".split()
) | {"without"}
_AFTER_NAME = frozenset("only pools pool vault vaults protocol finance chain network mainnet lending is are vs versus v2 v3 v4 excluded too out".split())
_STRONG_AFTER = frozenset({"chain", "network", "protocol", "finance", "mainnet"})
_NOT_AFTER = frozenset({"interest", "annual", "returns", "growth", "asset", "rate", "currency", "case", "my", "the", "it"})
_STARTS = frozenset({"", ".", "?", "!", ";", "\n"})
_INSIDE = frozenset({",", "and", "or", "/", "&", "nor", "+"})


def read_lexemes(text: str) -> list[Lexeme]:
    """Turn a cleaned text into lexemes, in order."""
    words = lexicon()
    tokens = _without_hyphens(tokenize(text, (*words.special, "w/o", "w/out", "w/", "us$", "usd$")))
    tokens = [_put_right(token, text, words) for token in tokens]
    return [_with_stems(lexeme, words.grammar.stems) for lexeme in _ranges(_Lexer(tokens, words).run())]


def _with_stems(lexeme: Lexeme, stems: Sequence[str]) -> Lexeme:
    begins = frozenset(stem + "*" for stem in stems if lexeme.word.startswith(stem))
    return replace(lexeme, stems=begins) if begins else lexeme


def _without_hyphens(tokens: list[Token]) -> list[Token]:
    """Drop hyphens and underscores that join words (``ultra-safe``, ``12-month``), not those between digits or in front of them."""
    kept = []
    for place, token in enumerate(tokens):
        joins = token.text in "-_" and 0 < place < len(tokens) - 1
        if joins and tokens[place - 1].end == token.start and tokens[place + 1].start == token.end and tokens[place + 1].is_word:
            continue
        if joins and token.text == "_" or (joins and tokens[place - 1].end == token.start and tokens[place - 1].is_word and tokens[place + 1].start == token.end):
            continue
        kept.append(token)
    return kept


def _put_right(token: Token, text: str, words: Lexicon) -> Token:
    """Correct a misspelt word; short words in capitals are tickers and stay as they are."""
    word = _SAME.get(token.word, token.word)
    base = word[:-1] if token.text.lower().endswith("'s") else word
    if (base,) in words.names:
        word = base
    ticker = token.text.isupper() and len(token.text) <= 6 and not text.isupper()
    begun = any(word.startswith(stem) for stem in words.grammar.stems if len(stem) > 3)
    if not begun and token.is_word and len(word) >= 4 and word.isalpha() and word.isascii() and word not in words.known_words and not ticker:
        word = correct(word, words.correctable) or word
    return replace(token, word=word)


class _Lexer:
    """Walks over the tokens once; at each place a name comes before a number, a number before a word."""

    def __init__(self, tokens: Sequence[Token], words: Lexicon) -> None:
        self._tokens, self._words = tokens, words
        written = [token for token in tokens if token.is_word]
        titled = sum(token.text[0].isupper() and not token.text.isupper() for token in written)
        self._capitals_count = titled <= max(2, len(written) // 2) and not all(token.text.isupper() for token in written)
        self._lexemes: list[Lexeme] = []

    def run(self) -> list[Lexeme]:
        at = 0
        readers: tuple[Callable[[int], tuple[Lexeme, int] | None], ...] = (self._quantity, self._name, self._duration)
        while at < len(self._tokens):
            found = next((result for reader in readers if (result := reader(at))), None)
            lexeme, at = found or (self._plain(at), at + 1)
            self._lexemes.append(lexeme)
        return self._lexemes

    def _plain(self, at: int) -> Lexeme:
        token = self._tokens[at]
        flags = frozenset({"capital"}) if self._is_capital(at) else frozenset()
        unit = _UNITS.get(token.word) if len(token.word) > 1 else None
        return Lexeme(token.word, token.start, token.end, {"unit": unit} if unit else {}, flags)

    def _word(self, at: int) -> str:
        return self._tokens[at].word if 0 <= at < len(self._tokens) else ""

    def _lexeme(self, word: str, start: int, end: int, readings: Readings, *flags: str) -> Lexeme:
        """Make a lexeme of the tokens [start, end)."""
        capital = ("capital",) if self._is_capital(start) else ()
        upper = ("upper",) if self._tokens[start].text.isupper() and self._capitals_count else ()
        return Lexeme(word, self._tokens[start].start, self._tokens[end - 1].end, readings, frozenset((*flags, *capital, *upper)))

    # -- numbers

    def _quantity(self, at: int) -> tuple[Lexeme, int] | None:
        """Read a number with its currency before or behind it, its percent sign or its unit of time."""
        touches = at + 2 < len(self._tokens) and self._tokens[at].end == self._tokens[at + 1].start
        sign = self._word(at) == "-" and self._word(at + 1) == "$" and touches
        start = at + sign
        prefix = self._currency(start)
        numeral = numeral_at(self._tokens, start + prefix) if start + prefix < len(self._tokens) else None
        if numeral is None or (prefix and numeral.share):
            return None
        numeral = replace(numeral, value=-numeral.value) if sign else numeral
        return self._fraction(at) or self._with_unit(at, start, prefix, numeral)

    def _currency(self, at: int) -> int:
        """Return how many tokens of a currency stand in front of a number: ``$``, ``US $``, ``USD``, ``€``."""
        if self._word(at) in {"us", "usd"} and self._word(at + 1) == "$":
            return 2
        currency = self._word(at) in {"$", "usd", "us$", "usd$", "€", "£", "¥", "eur", "gbp", "chf"}
        return int(currency and at + 1 < len(self._tokens) and (self._tokens[at + 1].is_digits or self._word(at) in "$€£¥"))

    def _fraction(self, at: int) -> tuple[Lexeme, int] | None:
        """Read ``1/4``: two small whole numbers, the sign touching both."""
        if at + 2 >= len(self._tokens) or self._word(at + 1) != "/":
            return None
        over, under = self._word(at), self._word(at + 2)
        touching = self._tokens[at].end + 1 == self._tokens[at + 2].start
        if not (touching and re.fullmatch(r"\d", over) and re.fullmatch(r"\d|10", under) and 0 < int(over) < int(under)):
            return None
        return self._lexeme(f"{over}/{under}", at, at + 3, {"share": int(over) / int(under)}), at + 3

    def _with_unit(self, at: int, start: int, prefix: int, numeral: Numeral) -> tuple[Lexeme, int]:
        end, value = self._said_twice(numeral), numeral.value
        unit = self._word(end)
        word = self._tokens[end - 1].word if end - start == 1 else " ".join(token.word for token in self._tokens[at:end])
        flags = ("scaled",) if numeral.scaled else ()
        if prefix and self._word(start) not in _DOLLARS and self._word(start) != "us":
            return self._lexeme(word, at, end, {"foreign": self._word(start), "unclear": value}), end
        percent = self._percent(end)
        if percent and not prefix:
            scale = 10_000 if unit in {"bps", "bp", "basis"} else 100
            return self._lexeme(word, at, end + percent, {"pct": round(value / scale, 12)}), end + percent
        if numeral.share:
            days = {"days": round(360 * value)} if "quarter" in word else {}
            return self._period(at, end, value) or (self._lexeme(word, at, end, {"share": value, **days}), end)
        if numeral.unclear:
            dollars = 1 if unit in _DOLLARS else 0
            return self._lexeme(word, at, end + dollars, {"unclear": value, **({"usd_unclear": value} if prefix or dollars else {})}), end + dollars
        return self._measured(at, end, value, word, bool(prefix), flags, numeral)

    def _said_twice(self, numeral: Numeral) -> int:
        """Skip the digits of ``six (6) months``."""
        end = numeral.end
        if self._word(end) == "(" and self._word(end + 2) == ")" and self._tokens[end + 1].is_digits:
            again = numeral_at(self._tokens, end + 1)
            return end + 3 if again and again.value == numeral.value else end
        return end

    def _measured(self, at: int, end: int, value: float, word: str, dollars: bool, flags: tuple[str, ...], numeral: Numeral) -> tuple[Lexeme, int]:
        unit = self._word(end)
        if not dollars and unit in _CENTS:
            return self._lexeme(word, at, end + 1, {"num": value / _SATS, "coin": "BTC"}, "sats"), end + 1
        if not dollars and unit in {"€", "£", "¥", "eur", "euro", "euros", "gbp", "chf", "yen", "quid", "inr", "rupees", "jpy"}:
            return self._lexeme(word, at, end + 1, {"foreign": unit, "unclear": value}), end + 1
        period = None if dollars or numeral.scaled else self._period(at, end, value)
        if period:
            return period
        if not dollars and not numeral.scaled and unit in _OTHER_UNITS and (unit not in {"x", "h"} or self._tokens[end].start == self._tokens[end - 1].end):
            kind: Readings = {"num": value} if unit == "x" else {"unclear": value}
            return self._lexeme(word, at, end, kind, "other_unit"), end
        suffix = self._dollar_suffix(end)
        if dollars or suffix:
            return self._lexeme(word, at, end + suffix, {"usd": value}, *flags), end + suffix
        months = {"months": int(value / 1_000_000)} if numeral.month_suffix and value % 1_000_000 == 0 else {}
        return self._lexeme(word, at, end, {"num": value, **months}, *flags), end

    def _percent(self, at: int) -> int:
        """Return how many tokens of a percent sign or word stand behind a number."""
        if self._word(at) in {"%", "percent", "percents", "pct", "prct", "procent", "bps", "bp"}:
            return 0 if self._word(at + 1) in {"point", "points"} else 1
        if [self._word(at), self._word(at + 1)] in (["per", "cent"], ["basis", "points"], ["basis", "point"]):
            return 2
        return 0

    def _dollar_suffix(self, at: int) -> int:
        if self._word(at) in {"us", "usd"} and self._word(at + 1) in {"$", "dollars", "dollar"}:
            return 2
        return int(self._word(at) in _DOLLARS)

    # -- time

    def _duration(self, at: int) -> tuple[Lexeme, int] | None:
        """Read ``a week``, ``a year and a half``; without an article a unit stays a word."""
        if self._word(at) not in {"a", "an", "one"} or self._word(at + 1) not in _UNITS or len(self._word(at + 1)) < 2:
            return None
        if "quarter" in self._word(at + 1):
            return None
        half = [self._word(at + step) for step in (2, 3, 4)] == ["and", "a", "half"]
        return self._period(at, at + 1, 1.5 if half else 1.0, skip=3 if half else 0)

    def _period(self, at: int, end: int, count: float, skip: int = 0) -> tuple[Lexeme, int] | None:
        """Make a period of ``count`` units when a unit stands at ``end`` (after ``a``, ``of`` or a hyphen)."""
        here = end
        while self._word(here) in {"a", "of", "-"} and here < end + 2:
            here += 1
        unit = _UNITS.get(self._word(here))
        single = len(self._word(here)) == 1
        touches = unit is not None and here == end and self._tokens[end].start == self._tokens[end - 1].end
        if unit is None or (single and not touches):
            return None
        days = _days(count, unit)
        if not 1 <= days <= _MOST_DAYS:
            return None
        after = here + 1 + skip
        return self._lexeme(f"{count:g} {self._word(here)}", at, after, {"days": days}), after

    # -- names

    def _name(self, at: int) -> tuple[Lexeme, int] | None:
        """Read the longest name that starts here and is meant as one."""
        words: list[str] = []
        found: tuple[Words, int] | None = None
        for end in range(at, min(at + self._words.longest_name, len(self._tokens))):
            words.append(self._tokens[end].word)
            key = tuple(words)
            if key in self._words.names and self._is_meant(key, at, end + 1):
                found = key, end + 1
        if found is None:
            return None
        key, end = found
        readings = self._sift(dict(self._words.names[key]), at)
        if "plain" in readings:
            return self._lexeme(" ".join(key), at, end, {}), end
        if "protocol" in readings and re.fullmatch(r"v\d", self._word(end)):
            end += 1
        return self._lexeme(" ".join(key), at, end, readings), end

    def _is_meant(self, key: Words, at: int, end: int) -> bool:
        """Tell a name from the English word that it is spelt like (see ``names.toml``)."""
        upper = key[0].upper()
        if upper in self._words.as_written:
            return self._tokens[at].text == upper or (self._tokens[at].text.lower() == "usde" and self._tokens[at].word == "usde")
        ordinary = key in self._words.ordinary
        if not ordinary and key not in self._words.common:
            return True
        after, capital = self._word(end), self._is_capital(at)
        if after in _NOT_AFTER or (self._word(at - 1) in {"the", "a", "my"} and after not in _STRONG_AFTER and not capital):
            return False
        if self._after_number(at) and "foreign" in self._words.names[key]:
            return True
        beside = self._beside(at, end)
        if ordinary:
            return after in _STRONG_AFTER or (capital and beside) or (self._word(at - 1) == "on" and after in {"", ".", ",", "?", "only", "or", "and"})
        return capital or beside

    def _beside(self, at: int, end: int) -> bool:
        """Tell whether a word that goes with names stands before or behind; ``and`` and commas only after or before another name."""
        before, after = self._word(at - 1), self._word(end)
        if before in _INSIDE:
            before_is_name = bool(self._lexemes[:-1]) and not self._lexemes[-2].keys.isdisjoint({"{chain}", "{protocol}"})
            if before_is_name:
                return True
        elif before in _BEFORE_NAME or (before in _STARTS and after in {"only", "or"}):
            return True
        if after in _INSIDE and (self._word(end + 1),) in self._words.names and (self._word(end + 1),) not in self._words.common | self._words.ordinary:
            return bool({"chain", "protocol"} & self._words.names[self._word(end + 1),].keys())
        return after in _AFTER_NAME and (after not in {"is", "are"} or self._word(end + 1) in {"out", "excluded", "banned", "forbidden", "off"})

    def _after_number(self, at: int) -> bool:
        return bool(self._lexemes) and "{num}" in self._lexemes[-1].keys

    def _is_capital(self, at: int) -> bool:
        """Tell whether a word has a capital that means something: not at the start of a sentence, not where most words have one."""
        if not self._capitals_count or not self._tokens[at].text[0].isupper():
            return False
        return at > 0 and self._word(at - 1) not in {".", "!", "?", "\n", ";", ":", "(", '"', "-"}

    def _sift(self, readings: Readings, at: int) -> Readings:
        """Keep the readings that fit: FRAX or 10 frax is the token, Frax the protocol; 10 sol is a coin, on sol a chain."""
        number, text = self._after_number(at), self._tokens[at].text
        if "protocol" in readings and "token" in readings:
            readings.pop("protocol" if number or text.isupper() and self._capitals_count else "token")
        if "chain" in readings and "token" in readings:
            readings.pop("token" if self._word(at - 1) == "on" else "chain")
        if "chain" in readings and "foreign" in readings:
            place = self._word(at - 1) in {"on", "no", "only", "not", "but", "except", "avoid", "without", "or", "and", ",", "than", "exclude", "chain", "chains", "network", ":", "="} or self._word(at + 1) in {"chain", "network"}
            readings.pop("foreign" if place and not number else "chain")
        if number and ("coin" in readings or "token" in readings):
            readings.pop("chain", None)
        return readings


def _days(count: float, unit: int) -> int:
    """Return days: a month is 30, a quarter 90, but 12 months, 4 quarters or a year 365, and half a year 180."""
    if unit in {30, 90} and (count * unit) % 360 == 0:
        return round(count * unit / 360 * 365)
    if unit == 365 and count == 0.5:
        return 180
    return round(count * unit)


def _ranges(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Join ``3-5``, ``between 3 and 5``, ``three to six`` to one lexeme."""
    joined: list[Lexeme] = []
    at = 0
    while at < len(lexemes):
        found = _range_at(lexemes, at)
        joined.append(found[0] if found else lexemes[at])
        at = found[1] if found else at + 1
    return joined


def _range_at(lexemes: list[Lexeme], at: int) -> tuple[Lexeme, int] | None:
    opened = lexemes[at].word in {"between", "from"}
    first = at + opened
    if first + 2 >= len(lexemes):
        return None
    low, sign, high = lexemes[first : first + 3]
    joins = {"-", "to"} | ({"and"} if lexemes[at].word == "between" else set()) | ({"or"} if _next_to(low, high) else set())
    kind = next((kind for kind in ("num", "usd", "pct", "days") if kind in high.readings), None)
    if kind is None or sign.word not in joins or not ("num" in low.readings or kind in low.readings) or "sats" in high.flags:
        return None
    bottom, top = low.get(kind) if kind in low.readings else low.get("num"), high.get(kind)
    if kind == "num" and not bottom < top:
        return None
    flags = frozenset({kind}) | low.flags | high.flags
    return Lexeme("range", lexemes[at].start, high.end, {"range": (bottom, top)}, flags), first + 3


def _next_to(low: Lexeme, high: Lexeme) -> bool:
    return low.get("num") is not None and high.get("num") == low.get("num") + 1
