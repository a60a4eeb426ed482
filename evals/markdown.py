"""Results as Markdown, for a page of the documentation: what passed, what did not, and the tables of the suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evals.records import CaseResult, SuiteResult
from evals.registry import suite_named
from evals.suite import Cells, Table
from tools.units import safe_label

LONGEST = 160  # characters of a reason


def lines(results: Sequence[SuiteResult]) -> Iterator[str]:
    """Yield the lines: a table of all suites, the cases that failed, each suite's own tables but the finest ones."""
    yield from table(*overview(results))
    for result in results:
        failed = [case for case in result.cases if not case.passed]
        if failed:
            yield f"**{result.suite}: not passed.**"
            yield ""
            yield from (f"- `{safe_label(case.case)}`: {_why(case)}" for case in failed)
            yield ""
        for section in suite_named(result.suite).sections(result.cases):
            if isinstance(section, Table) and section.rows and section.in_documents:
                yield f"**{section.title}**"
                yield ""
                yield from table(section.columns, section.rows)


def overview(results: Sequence[SuiteResult]) -> tuple[Cells, list[Cells]]:
    """Return columns and rows of a table of all suites."""
    columns = ("suite", "subject", "cases", "passed", "seconds a case", "calls of the seat")
    return columns, [
        (
            result.suite,
            safe_label(result.subject),
            str(len(result.cases)),
            str(sum(case.passed for case in result.cases)),
            f"{sum(case.seconds for case in result.cases) / max(1, len(result.cases)):.1f}",
            str(sum(case.spent.calls for case in result.cases)),
        )
        for result in results
    ]


def _why(case: CaseResult) -> str:
    if case.error:
        return safe_label(case.error, LONGEST)
    failed = {name: score for name, score in case.scores.items() if score.passed is False}
    return "; ".join(f"`{name}` {safe_label(score.explanation, LONGEST)}" for name, score in failed.items())


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, and an empty one."""
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
