"""One HTML file that holds everything: figures, intervals, plots, every case. It asks nobody for anything.

Whatever stands in a case or an answer is text: the template escapes it, and the page's own policy forbids scripts and
requests, should a name ever get through.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

import jinja2
import numpy as np

from evals.comparison import Comparison
from evals.intervals import Interval, bootstrap
from evals.plots import svg
from evals.records import CaseResult, SuiteResult
from evals.registry import SUITES, suite_named
from evals.suite import Bar, Plot, Table


class ScoreLine(NamedTuple):
    """A score over the cases of a suite that have it; ``rate`` None where it demands nothing."""

    name: str
    cases: int
    mean: Interval | None
    passed: int
    demanded: int


class _Shown(NamedTuple):
    plot: Plot | None
    table: Table | None


class SuiteView(NamedTuple):
    """What the template shows of a suite."""

    result: SuiteResult
    rate: Interval | None
    scores: Sequence[ScoreLine]
    sections: Sequence[Any]
    seconds: Interval | None
    calls: int
    tokens: int
    comparison: Comparison | None


def page(
    results: Sequence[SuiteResult], made_at: dt.datetime, comparisons: Sequence[Comparison | None] | None = None
) -> str:
    """Return the report of some results as one HTML document; ``comparisons`` stand beside them, one each."""
    compared = comparisons or [None] * len(results)
    views = [view(result, comparison) for result, comparison in zip(results, compared, strict=True)]
    rates = tuple(Bar(f"{one.result.suite} ({one.result.subject})", *one.rate) for one in views if one.rate is not None)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (resources.files("evals") / "templates" / "report.html.j2").read_text(encoding="utf-8")
    )
    overview = svg(Plot("Cases passed", "share, 95% of resamples", rates)) if rates else ""
    return template.render(views=views, overview=overview, made_at=made_at.isoformat(timespec="seconds"), svg=svg)


def view(result: SuiteResult, comparison: Comparison | None = None) -> SuiteView:
    """Summarise a result."""
    cases = result.cases
    passed = np.array([float(case.passed) for case in cases])
    seconds = np.array([case.seconds for case in cases])
    sections = suite_named(result.suite).sections(cases) if result.suite in SUITES else ()
    return SuiteView(
        result,
        bootstrap(passed) if cases else None,
        score_lines(cases),
        [_Shown(s, None) if isinstance(s, Plot) else _Shown(None, s) for s in _shown(sections)],
        bootstrap(seconds) if cases else None,
        sum(case.spent.calls for case in cases),
        sum(case.spent.input_tokens + case.spent.output_tokens for case in cases),
        comparison,
    )


def _shown(sections: Sequence[Plot | Table]) -> Sequence[Plot | Table]:
    return [section for section in sections if (section.bars if isinstance(section, Plot) else section.rows)]


def score_lines(cases: Sequence[CaseResult]) -> list[ScoreLine]:
    """Return every score with its mean over the cases that have a value, and how many of the demanding ones passed."""
    names = dict.fromkeys(name for case in cases for name in case.scores)
    lines = []
    for name in names:
        found = [case.scores[name] for case in cases if name in case.scores]
        values = np.array([score.value for score in found if score.value is not None])
        demanded = [score.passed for score in found if score.passed is not None]
        mean = bootstrap(values) if values.size else None
        lines.append(ScoreLine(name, len(found), mean, sum(demanded), len(demanded)))
    return lines
