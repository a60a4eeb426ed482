"""Questions of many wordings become the mandates that a careful person would write down."""

from __future__ import annotations

from collections import defaultdict

from evals.intake import Case, load_cases, run, score
from tools.question import read
from tools.records import Mandate


def test_at_least_95_percent_of_the_questions_are_read_right_in_every_field(published: list[str]) -> None:
    outcomes = run(load_cases())
    assert len(outcomes) >= 150
    for held_out in (False, True):
        of = [outcome for outcome in outcomes if outcome.case.held_out is held_out]
        right = sum(not outcome.wrong for outcome in of)
        published.append(
            f"questions read right in every field: {right} of {len(of)} {'held out' if held_out else 'in use'}"
        )
        assert right >= 0.95 * len(of), [(o.case.question, o.wrong) for o in of if o.wrong]


def test_wordings_of_the_same_wish_give_the_same_mandate() -> None:
    groups = defaultdict(set)
    wordings: dict[str, int] = defaultdict(int)
    for case in load_cases():
        for tag in case.tags:
            if tag.startswith("group:"):
                mandate = read(case.question).mandate.model_copy(update={"notes": []})
                groups[tag].add(mandate.model_dump_json())
                wordings[tag] += 1
    assert len(groups) >= 10
    assert min(wordings.values()) >= 20
    assert {tag: len(mandates) for tag, mandates in groups.items() if len(mandates) > 1} == {}


def test_the_scorer_fails_a_reader_that_reads_nothing() -> None:
    outcomes = run(load_cases(), lambda question: Mandate())
    assert sum(not outcome.wrong for outcome in outcomes) < 0.05 * len(outcomes)


def test_an_expected_error_must_come_and_be_the_right_one() -> None:
    case = Case("x", "?", None, "negative", False, ())
    assert not score(case, None, "the amount is negative").wrong
    assert score(case, None, "something else").wrong
    assert score(case, Mandate(), None).wrong
