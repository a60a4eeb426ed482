"""The cases and scorers of this package as tasks of inspect-ai, whose model takes the test.

    inspect eval evals/inspect_tasks.py@refusal --model PROVIDER/MODEL

``intake`` and ``regret`` ask the model bare: to write down a mandate, to name weights. The others ask the whole program
with the model in its seat: it may read, plan, choose and write, and what it says is checked as ever. Needs the extra
``inspect``; nothing else imports this module.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import json
from collections.abc import Mapping
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.scorer import Score, Scorer, Target, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver
from pydantic import ValidationError

from agents.calls import Call, CallFailed, Reply
from agents.models import Seat
from evals import intake as reading
from evals.records import Subject
from evals.registry import suite_named
from evals.regret.judging import judge, regret_bps
from evals.regret.markets import RegretCase, cases_of, load_markets
from evals.regret.oracle import optimum
from evals.regret.raw_model import INSTRUCTION, read_weights, table_of
from evals.suites.intake import fields_right
from tools.errors import PlimsollError
from tools.records import Mandate

READ = (
    "Read a question about earning yield on crypto-assets and write down the mandate that a careful person would: only "
    "what the question says. Answer with one JSON object and nothing else, with those fields that differ from their "
    "defaults, rates and shares as fractions, names as their owners spell them, protocols as DefiLlama's slugs. Put "
    "into notes what the question asks and no field can hold. Where the question cannot be used at all (it is empty, "
    'contradicts itself, or names what no field allows), answer {"error": "why"}. The schema of the mandate: '
)
_SCORES = "scores"


@task
def intake(fast: bool = False) -> Task:
    """Have questions read into mandates by the model itself; ``fast`` takes the fast subset."""
    suite = suite_named("intake")
    cases = {case.id: case for case in suite.load() if not fast or suite.fast(case)}
    samples = [Sample(input=json.dumps({"question": case.question}), id=case.id) for case in cases.values()]
    instruction = READ + json.dumps(Mandate.model_json_schema()["properties"])
    return Task(
        dataset=MemoryDataset(samples, name="intake"),
        # Braces are the schema's own: nothing is to be filled into the message.
        solver=[_told(instruction), generate()],
        scorer=mandate_right(cases),
        config=GenerateConfig(temperature=0.0),
    )


@task
def regret(fast: bool = False) -> Task:
    """Measure the model's own weights in basis points below the optimum; it is told every curve."""
    suite = suite_named("regret")
    cases = {case.id: case for case in cases_of(load_markets()) if not fast or suite.fast(case)}
    samples = [
        Sample(input=json.dumps(table_of(case), ensure_ascii=False), id=name, metadata={"amount_usd": case.amount_usd})
        for name, case in cases.items()
    ]
    return Task(
        dataset=MemoryDataset(samples, name="regret"),
        solver=[_told(INSTRUCTION), generate()],
        scorer=regret_in_bps(cases),
        config=GenerateConfig(temperature=0.0),
    )


@task
def refusal(fast: bool = False) -> Task:
    """See that what is out of scope is refused, and nothing else, with the model in the seat."""
    return _seated("refusal", fast)


@task
def constraints(fast: bool = False) -> Task:
    """See that the choice keeps every limit, with the model in the seat."""
    return _seated("constraints", fast)


@task
def stability(fast: bool = False) -> Task:
    """See that the choice stays when only words, order, names or units change, with the model in the seat."""
    return _seated("stability", fast)


@task
def explanation(fast: bool = False) -> Task:
    """See that the stated reason drives the choice, with the model in the seat."""
    return _seated("explanation", fast)


@task
def grounding(fast: bool = False) -> Task:
    """See that the checker catches what is forged in the runs of the model in the seat, and nothing else."""
    return _seated("grounding", fast)


@task
def injection(fast: bool = False) -> Task:
    """See that a text that gives orders moves nothing, with the model in the seat."""
    return _seated("injection", fast)


@task
def conversation(fast: bool = False) -> Task:
    """See that lines are understood, answered in kind and kept, with the model in the seat."""
    return _seated("conversation", fast)


def _seated(name: str, fast: bool) -> Task:
    suite = suite_named(name)
    cases = {suite.identify(case).id: case for case in suite.load() if not fast or suite.fast(case)}
    samples = [
        Sample(
            input=json.dumps(identity.content, ensure_ascii=False, default=str),
            id=identity.id,
            metadata={"tags": list(identity.tags)},
        )
        for identity in map(suite.identify, cases.values())
    ]
    return Task(dataset=MemoryDataset(samples, name=name), solver=whole_program(name, cases), scorer=suite_passed())


@solver
def whole_program(name: str, cases: Mapping[str, Any]) -> Solver:
    """Solve a case of a suite with the model of the evaluation in the program's seat, and keep the suite's scores."""
    suite = suite_named(name)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        case, model = cases[str(state.sample_id)], get_model()
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        subject = Subject(str(model), lambda: seat_of(model, loop, context))
        try:
            answer = await asyncio.to_thread(suite.solve, case, subject)
        except PlimsollError as error:  # a foreseen failure is a result, as in evals.runner
            state.metadata[_SCORES] = {"error": {"passed": False, "explanation": f"{type(error).__name__}: {error}"}}
            return state
        scores = suite.scored(case, answer)
        state.metadata[_SCORES] = {key: found.model_dump(mode="json") for key, found in scores.items()}
        state.metadata["details"] = dict(suite.details(case, answer))
        state.metadata["spent"] = suite.spent(answer).model_dump(mode="json")
        return state

    return solve


def seat_of(model: Model, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> Seat:
    """Return a seat of the workflow in which inspect's model sits.

    The workflow runs in a thread and waits; the calls are made on the loop of the evaluation, in its context, so that
    they are counted and logged with the sample. The model is asked for plain text and may answer with JSON in it.
    """

    def voice(call: Call) -> Reply:
        asked = model.generate(_messages(call), config=GenerateConfig(max_tokens=call.tokens, temperature=0.0))
        future = context.copy().run(asyncio.run_coroutine_threadsafe, asked, loop)
        try:
            output = future.result(call.seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise CallFailed("the model took too long", 0.0) from None
        usage = output.usage
        return Reply(output.completion, usage.input_tokens, usage.output_tokens) if usage else Reply(output.completion)

    return Seat(name=str(model), voice=voice, identity={"model": str(model)})


def _messages(call: Call) -> list[ChatMessage]:
    """Return the messages in inspect's form; the workflow sends words of its own and what the model said before."""
    kinds: dict[str, Any] = {"system": ChatMessageSystem, "human": ChatMessageUser}
    return [kinds.get(message.type, ChatMessageUser)(content=str(message.content)) for message in call.messages]


@solver
def _told(instruction: str) -> Solver:
    """Put an instruction first, word for word."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.messages.insert(0, ChatMessageSystem(content=instruction))
        return state

    return solve


@scorer(metrics=[accuracy(), stderr()])
def suite_passed() -> Scorer:
    """Pass a case whose scorers all do, as the suite counts it."""

    async def score(state: TaskState, target: Target) -> Score:
        scores: Mapping[str, Mapping[str, Any]] = state.metadata[_SCORES]
        failed = {name: found for name, found in scores.items() if found["passed"] is False}
        words = "; ".join(f"{name}: {found['explanation']}" for name, found in (failed or scores).items())
        return Score(value=float(not failed), explanation=words, metadata={"scores": dict(scores)})

    return score


@scorer(metrics=[accuracy(), stderr()])
def mandate_right(cases: Mapping[str, reading.Case]) -> Scorer:
    """Demand every field of the mandate. A model need not find our words for an error, only that there is one."""

    async def score(state: TaskState, target: Target) -> Score:
        case = cases[str(state.sample_id)]
        mandate, error = read_mandate(state.output.completion)
        if error is not None and case.error is not None:
            error = case.error
        found = fields_right(case, reading.score(case, mandate, error))
        return Score(value=float(bool(found.passed)), answer=state.output.completion, explanation=found.explanation)

    return score


def read_mandate(text: str) -> tuple[Mandate | None, str | None]:
    """Return the mandate in an answer, or the error that it reports; neither where it holds no mandate."""
    first, last = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[first : last + 1]) if first >= 0 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return None, None
    if isinstance(found.get("error"), str):
        return None, found["error"]
    try:
        return Mandate.model_validate(found), None
    except ValidationError:
        return None, None


@scorer(metrics=[mean(), stderr()])
def regret_in_bps(cases: Mapping[str, RegretCase]) -> Scorer:
    """Measure basis points a year below the proven optimum; without weights the money lies idle. Less is better."""

    async def score(state: TaskState, target: Target) -> Score:
        case = cases[str(state.sample_id)]
        weights, reason = read_weights(state.output.completion)
        judged = judge(case, weights)
        value = regret_bps(case, optimum(case).income_usd, judged.income_usd)
        words = reason or "; ".join(judged.violations) or "no limit broken"
        return Score(value=value, answer=json.dumps(weights), explanation=words)

    return score
