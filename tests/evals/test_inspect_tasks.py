"""The tasks for inspect-ai, taken by its scripted model; skipped where inspect-ai is not installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

inspect_ai = pytest.importorskip("inspect_ai", reason="inspect-ai is not installed here: make inspect-test")

from inspect_ai.model import ModelOutput, ModelUsage, get_model  # noqa: E402

from evals import inspect_tasks  # noqa: E402
from evals.intake import load_cases  # noqa: E402
from evals.registry import SUITES, suite_named  # noqa: E402
from evals.regret.advisers import greedy_apy  # noqa: E402
from evals.regret.judging import judge, regret_bps  # noqa: E402
from evals.regret.markets import cases_of, load_markets  # noqa: E402
from evals.regret.oracle import optimum  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of another project's making


def taken(task: Any, tmp_path: Path, answers: Any, ids: list[str]) -> Any:
    """Run some samples of a task by the scripted model; returns the log."""
    model = get_model("mockllm/model", custom_outputs=answers, memoize=False)
    logs = inspect_ai.eval(
        task, model=model, sample_id=ids, log_dir=str(tmp_path), display="none", log_samples=True, max_samples=1
    )
    assert logs[0].status == "success", logs[0].error
    return logs[0]


def said(text: str) -> ModelOutput:
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15)  # else a vocabulary is downloaded
    return output


def values(log: Any) -> dict[str, float]:
    return {str(sample.id): float(next(iter(sample.scores.values())).value) for sample in log.samples}


def test_every_suite_has_a_task_with_all_of_its_cases() -> None:
    for name in SUITES:
        suite = suite_named(name)
        task = getattr(inspect_tasks, name)()
        assert sorted(str(sample.id) for sample in task.dataset) == sorted(suite.identify(c).id for c in suite.load())
        assert 0 < len(getattr(inspect_tasks, name)(fast=True).dataset) < len(task.dataset)


def test_a_mandate_is_scored_field_by_field(tmp_path: Path) -> None:
    cases = {case.id: case for case in load_cases()}
    right = json.dumps(dict(cases["q001"].expected or {}))
    wrong = json.dumps(dict(cases["q002"].expected or {}) | {"risk": "high"})
    answers = [said(f"Here: {right}"), said(wrong), said('{"error": "there is nothing to read"}'), said("No idea.")]
    log = taken(inspect_tasks.intake(), tmp_path, answers, ["q001", "q002", "q448", "q450"])
    assert values(log) == {"q001": 1.0, "q002": 0.0, "q448": 1.0, "q450": 0.0}
    assert "risk: read 'high', expected 'low'" in log.samples[1].scores["mandate_right"].explanation


def test_an_error_is_no_answer_to_a_question_that_can_be_read(tmp_path: Path) -> None:
    log = taken(inspect_tasks.intake(), tmp_path, [said('{"error": "too vague"}')], ["q001"])
    assert values(log) == {"q001": 0.0}


def test_weights_are_judged_in_basis_points(tmp_path: Path) -> None:
    case = next(case for case in cases_of(load_markets()) if case.id == "usd-mixed-1@1000000")
    advice = greedy_apy(case).weights
    log = taken(inspect_tasks.regret(), tmp_path, [said(json.dumps({"weights": dict(advice)}))], [case.id])
    known = regret_bps(case, optimum(case).income_usd, judge(case, advice).income_usd)
    assert values(log) == {case.id: pytest.approx(known)}
    idle = taken(inspect_tasks.regret(), tmp_path, [said("I would rather not.")], [case.id])
    assert values(idle)[case.id] > 100.0


def test_the_whole_program_asks_the_model_and_its_answers_are_counted(tmp_path: Path) -> None:
    # r01 must be refused, which the program does without asking; r02 is answered, and the model asked for a plan.
    suite = suite_named("refusal")
    answered = next(case for case in suite.load() if case.expected == ["answered"])
    refused = next(case for case in suite.load() if case.expected == ["refused"])
    asked: list[str] = []

    def useless(messages: Any, *rest: Any) -> ModelOutput:
        asked.append(messages[-1].text)
        return said("no JSON at all")

    log = taken(inspect_tasks.refusal(), tmp_path, useless, [refused.id, answered.id])
    assert values(log) == {refused.id: 1.0, answered.id: 1.0}  # useless answers are replaced by the embedded policy's
    assert any(json.loads(text)["task"] == "plan" for text in asked if text.startswith("{"))
    spent = {str(sample.id): sample.metadata["spent"]["calls"] for sample in log.samples}
    assert spent[refused.id] == 0
    assert spent[answered.id] == len(asked) > 0
    # The calls were made in the sample's own context: inspect has counted their tokens.
    assert log.stats.model_usage["mockllm/model"].input_tokens == 10 * len(asked)


def test_a_suite_that_fails_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = suite_named("refusal")
    refused = next(case for case in suite.load() if case.expected == ["refused"])
    planted = refused._replace(expected=["answered"])
    monkeypatch.setattr(inspect_tasks, "suite_named", lambda name: _with(suite, planted))
    assert values(taken(inspect_tasks.refusal(), tmp_path, [], [planted.id])) == {planted.id: 0.0}


def _with(suite: Any, case: Any) -> Any:
    import dataclasses

    return dataclasses.replace(suite, load=lambda: [case])
