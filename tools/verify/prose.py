"""The text between the figures: no number outside them, nothing hidden."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tools.verify.folder import RATIONALE
from tools.verify.report import Findings, printable
from tools.verify.words import NUMBER_WORDS, VAGUE_BEFORE_A_FIGURE

_MASK = "\0"  # stands for each character of a figure, so that what is left of the text keeps its positions
MARKUP = "*_`~\\\\"
_WORD = re.compile(r"[^\W\d_]+(?:[*`~\\]+[^\W\d_]+)*|[<>]=?|[≤≥]")
_EMPHASIS = re.compile(r"[*`~\\]+")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_SUSPECT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f]")
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_HTML = re.compile(r"<[A-Za-z/!?]|&#?[A-Za-z0-9]{1,32};")
_LIST_NUMBER = re.compile(r"^(?P<indent>[ \t]*)(?P<number>[0-9]{1,3})[.)](?=[ \t])", re.MULTILINE)
_GAPS = re.compile(rf"[{MARKUP} \u00a0\u202f]*")


class Figure(NamedTuple):
    """One entry of ``figures[]`` whose span lies within the text."""

    start: int
    end: int
    text: str
    pointer: str
    unit: str


class Word(NamedTuple):
    """A word outside all figures, folded, with its place and the word after it."""

    start: int
    end: int
    text: str
    following: str


@dataclass(frozen=True)
class Prose:
    """The text with its figures masked, and what the checks look up in it."""

    markdown: str
    masked: str
    words: Sequence[Word]
    starts: Mapping[int, Figure]

    def figure_after(self, word: Word) -> Figure | None:
        """Return the figure that follows a word directly."""
        gap = _GAPS.match(self.masked, word.end)
        return self.starts.get(gap.end()) if gap else None


def mask_figures(markdown: str, figures: Sequence[Figure]) -> Prose:
    """Mask the figures, given in order of place, and find the words between them."""
    pieces, reached = [], 0
    for figure in figures:
        pieces.append(markdown[reached : figure.start])
        pieces.append(_MASK * (figure.end - max(reached, figure.start)))
        reached = max(reached, figure.end)
    masked = "".join(pieces) + markdown[reached:]
    found = [(match.start(), match.end(), _fold(match[0])) for match in _WORD.finditer(masked)]
    following = [text for _, _, text in found[1:]] + [""]
    words = [Word(*word, after) for word, after in zip(found, following, strict=False)]
    return Prose(markdown, masked, words, {figure.start: figure for figure in figures})


def _fold(word: str) -> str:
    plain = word if word.isascii() else unicodedata.normalize("NFKC", word)
    return _EMPHASIS.sub("", plain).casefold()


def check_prose(prose: Prose, findings: Findings) -> None:
    """See that there is no number, no guess, nothing invisible and no HTML outside the figures."""
    _check_numbers(prose, findings)
    for word in prose.words:
        if word.text in VAGUE_BEFORE_A_FIGURE and prose.figure_after(word):
            what = f"'{word.text}' at {word.start} makes the figure after it a guess"
            findings.add(RATIONALE, what, "a figure as it is", word.text)
    _check_invisible(prose.markdown, findings)
    for match in _HTML.finditer(prose.masked):
        what = f"has markup that could hide or make text, '{printable(match[0])}', at {match.start()}"
        findings.add(RATIONALE, what, "Markdown", match[0])


def _check_numbers(prose: Prose, findings: Findings) -> None:
    text = _without_list_numbers(prose.masked)
    for match in _DIGITS.finditer(text):
        _loose(match[0], match.start(), "number", prose, findings)
    for match in _NOT_ASCII.finditer(text):
        if match[0].isnumeric() and not match[0].isdecimal():
            _loose(match[0], match.start(), "number", prose, findings)
    for word in prose.words:
        if word.text in NUMBER_WORDS:
            _loose(word.text, word.start, "number in words", prose, findings)


def _loose(text: str, start: int, kind: str, prose: Prose, findings: Findings) -> None:
    around = printable(prose.markdown[max(0, start - 20) : start + 20])
    findings.add(
        RATIONALE, f"the {kind} '{printable(text, 40)}' at {start} belongs to no figure: '…{around}…'", "a figure", text
    )


def _without_list_numbers(text: str) -> str:
    """Blank the numbers of numbered lists, as long as they count up from 1 at their indentation."""
    last: dict[str, int] = {}

    def blank(match: re.Match[str]) -> str:
        number, indent = int(match["number"]), match["indent"]
        if number not in (1, last.get(indent, 0) + 1):
            return match[0]
        last[indent] = number
        return indent + " " * (len(match[0]) - len(indent))

    return _LIST_NUMBER.sub(blank, text)


def _check_invisible(markdown: str, findings: Findings) -> None:
    for match in _SUSPECT.finditer(markdown):
        if unicodedata.category(match[0]) in _INVISIBLE:
            findings.add(
                RATIONALE, f"has an invisible character, U+{ord(match[0]):04X}, at {match.start()}", "", match[0]
            )
