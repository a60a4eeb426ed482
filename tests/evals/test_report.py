"""The report is one file that asks for nothing and in which nobody's names do anything."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from evals.comparison import compare
from evals.plots import svg
from evals.records import SCHEMA_VERSION, CaseResult, Score, Spent, SuiteResult
from evals.regret import tables
from evals.report import page, view
from evals.suite import Bar, Plot, Table

NOW = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}</svg>' https://evil.example"


def case(name: str, passed: bool, **details: object) -> CaseResult:
    return CaseResult(
        suite="refusal", case=name, case_sha256="a", program_sha256="p", subject=HOSTILE, tags=[HOSTILE],
        scores={HOSTILE: Score(value=1.0, passed=passed, explanation=HOSTILE)}, error=None if passed else HOSTILE,
        spent=Spent(calls=2, input_tokens=3, output_tokens=4), seconds=0.5, details=details,
    )  # fmt: skip


def result(*passed: bool) -> SuiteResult:
    cases = [case(f"{HOSTILE} {number}", one) for number, one in enumerate(passed)]
    return SuiteResult(
        schema_version=SCHEMA_VERSION, suite="refusal", words=HOSTILE, subject=HOSTILE, fast=True, cases=cases
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_names_are_text_and_nothing_is_asked_for() -> None:
    text = page([result(True, False)], NOW, [compare(result(False, True), result(True, False))])
    tags = Tags()
    tags.feed(text)
    assert not {tag for tag, _ in tags.found} & {"script", "img", "link", "iframe", "object", "form", "a", "base"}
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    assert not [name for _, attributes in tags.found for name in attributes if name in {"src", "href", "xlink:href"}]
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    assert "{{ 7 * 7 }}" in text
    assert "&lt;script&gt;" in text


def test_it_says_how_many_passed_and_what_that_cost() -> None:
    text = page([result(True, True, False, True)], NOW)
    assert "3 of 4 cases passed" in text
    assert "8 calls of the seat, 28 tokens" in text
    assert "0.50 s a case" in text
    assert "fast subset" in text


def test_a_comparison_stands_beside_the_results() -> None:
    text = page([result(False)], NOW, [compare(result(False), result(True))])
    assert "No longer passed:" in text
    assert "No case that passed fails now." in page([result(True)], NOW, [compare(result(True), result(True))])


def test_no_cases_are_a_report_too() -> None:
    assert "0 of 0" not in page([result()], NOW)
    assert view(result()).rate is None


def test_plots_are_linear_or_logarithmic_and_refuse_what_is_not_finite() -> None:
    near = svg(Plot("t", "u", (Bar("a", 1.0, 0.5, 2.0), Bar("our_b", 3.0, 2.0, 4.0))))
    far = svg(Plot("t", "u", (Bar("a", 0.001, 0.0, 0.01), Bar("b", 900.0, 500.0, 1000.0))))
    assert near.count("<circle") == far.count("<circle") == 2
    assert 'class="own"' in near
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"', far)]
    assert 220.0 <= places[0] < places[1] <= 740.0
    assert svg(Plot("t", "u", (Bar("a", 0.0, 0.0, 0.0),))).count("<circle") == 1
    assert svg(Plot("t", "u", ())).count("<circle") == 0
    with pytest.raises(ValueError, match="not finite"):
        svg(Plot("t", "u", (Bar("a", float("nan"), 0.0, 0.0),)))
    assert "<script" not in svg(Plot(HOSTILE, HOSTILE, (Bar(HOSTILE, 1.0, 0.0, 2.0),)))


def regret_case(number: int, ours: float, rule: float) -> CaseResult:
    found = {"gap_bps": 1e-7, "kkt_bps": None, "branches": 3, "method": "branch_and_bound"}
    details = {"asset": "USD", "amount_usd": 1e6, "servable": True, "optimum": found, "idle": {}}
    scores = {"regret.ours": ours, "regret.rule": rule, "limits.ours": 0.0, "limits.rule": 1.0}
    return case(f"c{number}", True, **details).model_copy(
        update={
            "scores": {name: Score(value=value, passed=None, explanation="") for name, value in scores.items()},
            "error": None,
        }
    )


def test_the_regret_tables_say_who_loses_what_and_by_how_much_less_we_do() -> None:
    results = [regret_case(number, 0.1 * number, 2.0 * number) for number in range(10)]
    sections = tables.sections(results, ("rule",), ("ours",), ())
    found = [section for section in sections if isinstance(section, Table)]
    by_size = next(table for table in found if table.title.startswith("Regret at $1 M, all markets"))
    ours, rule = (next(row for row in by_size.rows if row[0] == name) for name in ("ours", "rule"))
    assert ours[1] == "10"
    assert ours[2].startswith(f"{np.mean([0.1 * n for n in range(10)]):.2f} (")
    assert ours[4].startswith("0.85")  # a p95 between 0.8 and 0.9
    assert (ours[5], rule[5], ours[6], rule[6]) == ("0.90", "18", "0", "10")
    margins = next(table for table in found if table.title.startswith("Ours less the best simple rule, all"))
    assert margins.rows[0][:4] == ("$1 M", "ours", "rule", "9.00")
    assert margins.rows[0][4].startswith("-8.55 (")
    assert margins.rows[0][5] == "0 of 10"
    assert any(isinstance(section, Plot) for section in sections)
    certificates = next(table for table in found if table.title.startswith("Certificates"))
    assert certificates.rows == (("branch_and_bound", "10", "1.0e-07", "1.0e-07", "-", "3", "3"),)
    assert tables.sections([], ("rule",), ("ours",), ()) == ()


def test_who_was_asked_about_fewer_cases_stands_in_no_table_with_the_others() -> None:
    results = [regret_case(number, 0.1, 2.0) for number in range(3)]
    fewer = {name: score for name, score in results[0].scores.items() if not name.endswith("ours")}
    results[0] = results[0].model_copy(update={"scores": fewer})
    found = [s for s in tables.sections(results, ("rule",), ("ours",), ()) if isinstance(s, Table)]
    assert {row[0] for table in found if table.title.startswith("Regret") for row in table.rows} == {"rule"}
