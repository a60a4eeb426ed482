"""What a suite is: cases, the work that answers one, and pure functions that score the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from evals.records import CaseResult, Score, Spent, Subject

CaseT = TypeVar("CaseT")
AnswerT = TypeVar("AnswerT")
Cells = tuple[str, ...]


class Identity(NamedTuple):
    """A case's name, unique in its suite, its tags, and its data as JSON would have it (to notice a changed case)."""

    id: str
    tags: tuple[str, ...]
    content: Any


class Bar(NamedTuple):
    """A row of a plot: a figure with its interval."""

    label: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Plot:
    """Figures with intervals on one axis; ``unit`` names it. Values must be finite."""

    title: str
    unit: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Table:
    """A table of the report; every cell is text, which may hold anybody's names.

    ``in_documents`` False: too fine for a page of the documentation.
    """

    title: str
    columns: Cells
    rows: tuple[Cells, ...]
    note: str = ""
    in_documents: bool = True


Section = Plot | Table


def no_sections(results: Sequence[CaseResult]) -> tuple[Section, ...]:
    """Add nothing to the report."""
    return ()


@dataclass(frozen=True)
class Suite(Generic[CaseT, AnswerT]):
    """A suite: ``solve`` does the work and may take time; everything else is pure.

    A scorer returns None where it has nothing to say about a case. ``fast`` picks the cases of the fast subset;
    ``sections`` adds tables and plots to the report.
    """

    name: str
    words: str
    load: Callable[[], Sequence[CaseT]]
    identify: Callable[[CaseT], Identity]
    solve: Callable[[CaseT, Subject], AnswerT]
    scorers: Mapping[str, Callable[[CaseT, AnswerT], Score | None]]
    spent: Callable[[AnswerT], Spent] = field(default=lambda answer: Spent())
    details: Callable[[CaseT, AnswerT], Mapping[str, Any]] = field(default=lambda case, answer: {})
    fast: Callable[[CaseT], bool] = field(default=lambda case: True)
    sections: Callable[[Sequence[CaseResult]], Sequence[Section]] = no_sections

    def scored(self, case: CaseT, answer: AnswerT) -> dict[str, Score]:
        """Return the scores of an answer, by name."""
        scores = {name: scorer(case, answer) for name, scorer in self.scorers.items()}
        return {name: score for name, score in scores.items() if score is not None}
