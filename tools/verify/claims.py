"""The comparisons of the text: each is a claim, and each claim holds."""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tools.verify import shape
from tools.verify.folder import RATIONALE
from tools.verify.prose import Prose, Word
from tools.verify.report import Findings, printable
from tools.verify.strict_json import PointerError, value_at
from tools.verify.words import (
    COMPARISON_WORDS,
    COMPARISONS_BEFORE_A_FIGURE,
    DOWN,
    EITHER,
    NEGATIONS,
    NOT_COMPARING,
    SUPERLATIVES,
    UP,
)

MAX_CLAIM = 500  # characters
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_AGREEING = {UP: {">", ">="}, DOWN: {"<", "<="}}


class Claims:
    """The spans of the claims, to ask whether one of them covers a word."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._reach: list[int] = []
        for start, end in sorted(spans):
            self._starts.append(start)
            self._reach.append(max(end, self._reach[-1] if self._reach else 0))

    def cover(self, word: Word) -> bool:
        """Return whether a claim begins at or before the word and ends at or after it."""
        before = bisect_right(self._starts, word.start)
        return before > 0 and self._reach[before - 1] >= word.end


def check_claims(entries: object, prose: Prose, document: dict[str, Any], findings: Findings) -> None:
    """Check every claim, and that every comparing word lies within one. The document is read with exact numbers."""
    claims = _claims(entries, prose, document, findings)
    for word in prose.words:
        if _comparison(word, prose) and not claims.cover(word):
            around = printable(prose.markdown[max(0, word.start - 20) : word.end + 20])
            what = f"the comparison '{word.text}' at {word.start} is no claim: '…{around}…'"
            findings.add(RATIONALE, what, "a claim", word.text)


def _claims(entries: object, prose: Prose, document: dict[str, Any], findings: Findings) -> Claims:
    spans = []
    for index, entry in enumerate(entries[: shape.MAX_CLAIMS] if isinstance(entries, list) else []):
        findings.claims += 1
        if not shape.CLAIM(entry, f"/rationale/claims/{index}", Findings()):
            continue
        start, end = entry["start"], entry["end"]
        if not start < end <= min(len(prose.markdown), start + MAX_CLAIM) or prose.markdown.find("\n", start, end) >= 0:
            findings.at(
                f"/rationale/claims/{index}", "does not lie within one line of the text", "a span", f"{start}–{end}"
            )
            continue
        said = prose.markdown[start:end]
        if said != said.strip() or _cuts_a_word(prose.markdown, start) or _cuts_a_word(prose.markdown, end):
            findings.at(f"/rationale/claims/{index}", "begins or ends beside its words", said.strip(), said)
        spans.append((start, end))
        _check_claim(entry, f"'{printable(said, 60)}' at {start}–{end}", document, findings)
        _check_direction(entry, prose, findings)
    return Claims(spans)


def _cuts_a_word(text: str, place: int) -> bool:
    pair = text[max(0, place - 1) : place + 1]
    return len(pair) == 2 and pair.isalnum()


def _check_claim(claim: Mapping[str, Any], place: str, document: dict[str, Any], findings: Findings) -> None:
    values = []
    for side in ("left", "right"):
        try:
            value = value_at(document, claim[side])
        except PointerError as error:
            findings.add(RATIONALE, f"the claim {place} points to {printable(claim[side])}, which {error}")
            return
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            findings.add(
                RATIONALE, f"the claim {place} compares {printable(claim[side])}, which is no number", "a number", value
            )
            return
        values.append(value)
    left, right = values
    if not _OPERATORS[claim["op"]](left, right):
        sides = f"{printable(claim['left'])} is {printable(left)} and {printable(claim['right'])} is {printable(right)}"
        findings.add(
            RATIONALE, f"the claim {place} does not hold: it says {claim['op']}, but {sides}", claim["op"], left
        )


def _check_direction(claim: Mapping[str, Any], prose: Prose, findings: Findings) -> None:
    """See that the words of a claim say what its operator says.

    Words of both directions in one claim decide nothing.
    """
    words = _words_between(claim["start"], claim["end"], prose)
    directed = list(_directions(words, prose))
    directions = {direction for _, direction in directed}
    superlative = any(word.text in SUPERLATIVES for word, _ in directed)
    if len(directions) != 1:
        return
    agreeing = _AGREEING[directions.pop()] | ({"=="} if superlative else set())
    if claim["op"] not in agreeing:
        said = printable(prose.markdown[claim["start"] : claim["end"]], 60)
        findings.add(
            RATIONALE,
            f"the claim '{said}' at {claim['start']}–{claim['end']} says the opposite of its operator {claim['op']}",
            "",
            claim["op"],
        )


def _words_between(start: int, end: int, prose: Prose) -> Sequence[Word]:
    first, last = (bisect_left(prose.words, place, key=lambda word: word.start) for place in (start, end))
    return [word for word in prose.words[first:last] if word.end <= end]


def _directions(words: Sequence[Word], prose: Prose) -> Iterator[tuple[Word, str]]:
    for index, word in enumerate(words):
        direction = _comparison(word, prose)
        if direction in (None, EITHER):
            continue
        before = [other.text for other in words[max(0, index - 2) : index]]
        # "at least" bounds from below, "at most" from above, unlike the superlatives they are made of.
        turns = (before[-1:] == ["at"] and word.text in ("least", "most")) ^ bool(NEGATIONS.intersection(before))
        yield word, {UP: DOWN, DOWN: UP}[direction or ""] if turns else direction or ""


def _comparison(word: Word, prose: Prose) -> str | None:
    """Return the direction of a comparing word, None when it compares nothing."""
    if (word.text, word.following) in NOT_COMPARING:
        return None
    if word.text not in COMPARISONS_BEFORE_A_FIGURE:
        return COMPARISON_WORDS.get(word.text)
    figure = prose.figure_after(word)
    span = word.text.isalpha() and figure is not None and figure.unit in ("days", "date", "name")
    return None if figure is None or span or _quotes(word, prose) else COMPARISONS_BEFORE_A_FIGURE[word.text]


def _quotes(word: Word, prose: Prose) -> bool:
    """Return whether a ``>`` is the sign of a quotation: only spaces and its like before it in its line."""
    before = prose.markdown[max(0, word.start - 80) : word.start].rpartition("\n")[2]
    return word.text == ">" and not before.strip(" >")
