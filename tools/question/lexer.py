"""From a cleaned text to lexemes: names are recognised, numbers get their units, misspelt words are put right."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tools.question.lexeme import Lexeme
from tools.question.lexicon import Lexicon, Readings, Words, lexicon
from tools.question.numerals import TIME_UNITS
from tools.question.quantities import Quantity, article_period_at, join_ranges, quantity_at
from tools.question.spelling import correct
from tools.question.text import SHORTHAND, Token, tokenize, word_at

_LONGEST_TICKER = 6
_STARTS = frozenset({"", ".", "?", "!", ";", "\n"})
_AFTER_START = _STARTS | {":", "(", '"', "-"}
_INSIDE = frozenset({",", "and", "or", "/", "&", "nor", "+"})


def read_lexemes(text: str, words: Lexicon | None = None) -> list[Lexeme]:
    """Turn a cleaned text into lexemes, in order; ``words`` replaces the vocabulary of a question."""
    words = words or lexicon()
    tokens = [_put_right(token, text, words) for token in _without_hyphens(tokenize(text, words.special))]
    return [_with_stems(lexeme, words.grammar.stems) for lexeme in join_ranges(_Lexer(tokens, words).run())]


def _with_stems(lexeme: Lexeme, stems: Sequence[str]) -> Lexeme:
    begins = frozenset(stem + "*" for stem in stems if lexeme.word.startswith(stem))
    return replace(lexeme, stems=begins) if begins else lexeme


def _without_hyphens(tokens: list[Token]) -> list[Token]:
    """Drop hyphens and underscores that join words (``ultra-safe``, ``12-month``), not those between numbers."""
    return [token for place, token in enumerate(tokens) if not _is_joint(tokens, place)]


def _is_joint(tokens: list[Token], place: int) -> bool:
    if tokens[place].text not in {"-", "_"} or not 0 < place < len(tokens) - 1:
        return False
    before, after = tokens[place - 1], tokens[place + 1]
    touching = before.end == tokens[place].start and tokens[place].end == after.start
    return tokens[place].text == "_" or (touching and (after.is_word or before.is_word))


def _put_right(token: Token, text: str, words: Lexicon) -> Token:
    """Correct a misspelt word; short words in capitals are tickers and stay as they are."""
    word = SHORTHAND.get(token.word, token.word)
    if token.text.lower().endswith("'s") and (word[:-1],) in words.names:
        return replace(token, word=word[:-1])
    ticker = token.text.isupper() and len(token.text) <= _LONGEST_TICKER and not text.isupper()
    if ticker or not (word.isalpha() and word.isascii()) or _is_known(word, words):
        return replace(token, word=word)
    return replace(token, word=correct(word, words.correctable) or correct(word, words.plain) or word)


def _is_known(word: str, words: Lexicon) -> bool:
    return word in words.known_words or any(len(stem) > 3 and word.startswith(stem) for stem in words.grammar.stems)


class _Lexer:
    """Walks over the tokens once; at each place a number comes before a name, a name before a word."""

    def __init__(self, tokens: Sequence[Token], words: Lexicon) -> None:
        self._tokens, self._words = tokens, words
        written = [token for token in tokens if token.is_word]
        titled = sum(token.text[0].isupper() and not token.text.isupper() for token in written)
        mixed = not all(token.text.isupper() for token in written)
        self._capitals_count = mixed and titled <= max(2, len(written) // 2)
        self._lexemes: list[Lexeme] = []

    def run(self) -> list[Lexeme]:
        at = 0
        while at < len(self._tokens):
            found = self._quantity(at) or self._name(at) or self._article_period(at)
            lexeme, at = found or (self._plain(at), at + 1)
            self._lexemes.append(lexeme)
        return self._lexemes

    def _quantity(self, at: int) -> tuple[Lexeme, int] | None:
        return self._counted(quantity_at, at)

    def _article_period(self, at: int) -> tuple[Lexeme, int] | None:
        return self._counted(article_period_at, at)

    def _counted(self, reader: Callable[[Sequence[Token], int], Quantity | None], at: int) -> tuple[Lexeme, int] | None:
        found = reader(self._tokens, at)
        if found is None:
            return None
        word = " ".join(token.word for token in self._tokens[at : found.end])
        return self._lexeme(word, at, found.end, dict(found.readings), *found.flags), found.end

    def _plain(self, at: int) -> Lexeme:
        word = self._word(at)
        unit = TIME_UNITS.get(word) if len(word) > 1 else None
        return self._lexeme(word, at, at + 1, {"unit": unit} if unit else {})

    def _word(self, at: int) -> str:
        return word_at(self._tokens, at)

    def _lexeme(self, word: str, start: int, end: int, readings: Readings, *flags: str) -> Lexeme:
        """Make a lexeme of the tokens [start, end)."""
        capital = ("capital",) if self._is_capital(start) else ()
        first, last = self._tokens[start], self._tokens[end - 1]
        return Lexeme(word, first.start, last.end, readings, frozenset((*flags, *capital)))

    # -- names

    def _name(self, at: int) -> tuple[Lexeme, int] | None:
        """Read the longest name that starts here and is meant as one."""
        words = tuple(token.word for token in self._tokens[at : at + self._words.longest_name])
        keys = [words[:length] for length in range(len(words), 0, -1)]
        key = next((key for key in keys if key in self._words.names and self._is_meant(key, at, at + len(key))), None)
        if key is None:
            return None
        end = at + len(key)
        readings = self._sift(dict(self._words.names[key]), at)
        if "plain" in readings:
            return self._lexeme(" ".join(key), at, end, {}), end
        version = "protocol" in readings and re.fullmatch(r"v\d", self._word(end)) is not None
        return self._lexeme(" ".join(key), at, end + version, readings), end + version

    def _is_meant(self, key: Words, at: int, end: int) -> bool:
        """Tell a name from the English word that it is spelt like (see ``names.toml``)."""
        if key[0].upper() in self._words.as_written:
            return self._tokens[at].text == key[0].upper()
        if len(key) > 1 and key[0] == "eth" and (self._after_number(at) or self._word(at - 1) in {"of", "my", "our"}):
            return False  # 250 ETH mainnet only
        ordinary = key in self._words.ordinary
        if not ordinary and key not in self._words.common:
            return True
        if self._is_other_word(at, end):
            return False
        if self._after_number(at) and "foreign" in self._words.names[key]:
            return True
        if not ordinary:
            return self._is_capital(at) or self._beside(at, end)
        alone = self._word(at - 1) == "on" and self._word(end) in _STARTS | {",", "only", "or", "and"}
        strong = self._word(end) in self._words.beside["kind"]
        return strong or alone or (self._is_capital(at) and self._beside(at, end))

    def _is_other_word(self, at: int, end: int) -> bool:
        """Tell whether the words beside rule a name out: ``compound interest``, ``the curve``."""
        strong = self._word(end) in self._words.beside["kind"]
        determined = self._word(at - 1) in {"the", "a", "my"} and not strong and not self._is_capital(at)
        return determined or self._word(end) in self._words.beside["not_behind"]

    def _beside(self, at: int, end: int) -> bool:
        """Tell whether a word that goes with names stands beside; ``and`` and commas count beside another name."""
        before, after = self._word(at - 1), self._word(end)
        if before in _INSIDE and len(self._lexemes) > 1:
            if not self._lexemes[-2].keys.isdisjoint({"{chain}", "{protocol}"}):
                return True
        elif before in self._words.beside["before"] or (before in _STARTS and after in {"only", "or"}):
            return True
        if before in _STARTS | {","} and after in _STARTS | {","}:
            return True  # "4200 dai, optimism, low risk"
        if after in _INSIDE and self._is_sure_name(end + 1):
            return True
        excluded = after not in {"is", "are"} or self._word(end + 1) in self._words.beside["excluded"]
        return after in self._words.beside["behind"] and excluded

    def _is_sure_name(self, at: int) -> bool:
        key = (self._word(at),)
        if key in self._words.common | self._words.ordinary:
            return False
        return not {"chain", "protocol"}.isdisjoint(self._words.names.get(key, {}))

    def _after_number(self, at: int) -> bool:
        return at > 0 and bool(self._lexemes) and "{num}" in self._lexemes[-1].keys

    def _is_capital(self, at: int) -> bool:
        """Tell whether a capital means something: not at the start of a sentence, not where most words have one."""
        if not self._capitals_count or not self._tokens[at].text[0].isupper():
            return False
        return self._word(at - 1) not in _AFTER_START

    def _sift(self, readings: Readings, at: int) -> Readings:
        """Keep the readings that fit: FRAX is the token, Frax the protocol; 10 avax a coin, on avax a chain."""
        number, text, before = self._after_number(at), self._tokens[at].text, self._word(at - 1)
        if "protocol" in readings and "token" in readings:
            readings.pop("protocol" if number or (text.isupper() and self._capitals_count) else "token")
        if "chain" in readings and "token" in readings:
            readings.pop("token" if before == "on" else "chain")
        if "chain" in readings and "foreign" in readings:
            place = before in self._words.beside["before_chain"] or self._word(at + 1) in {"chain", "network"}
            readings.pop("foreign" if place and not number else "chain")
        if number and not {"coin", "token"}.isdisjoint(readings):
            readings.pop("chain", None)
        return readings
