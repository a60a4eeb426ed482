"""The stand that the promises are tested on: one small market, one scripted server, whole runs over HTTP.

What was solved for a mandate and a plan is known to the next run of the same ones: the tools are deterministic, and
what differs between the cases is what a model says. Suites whose cases change the market share nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import scripted_model as scripted
from scripted_model import Asked, Handler, Mode, ScriptedModel, completion, replies
from small_market import NOW, PATHS, market

from agents.calls import Budget
from agents.decision import SHORTLIST_LENGTH, SHORTLIST_MARGIN
from agents.endpoint import model_seat, open_endpoint
from agents.models import Seat
from agents.state import Context, Settings, Workspace
from agents.workflow import advise, build_workflow
from tools.reasons import REASONS
from tools.records import Candidate, Recommendation
from tools.statements import STATEMENTS

CAREFUL = "Put 2 million dollars to work, medium risk, at most 30% per pool"
SHORT_PLAN = {"methods": ["equal", "min_loss"], "confidence": 0.95}
"""Two weight methods instead of five: as many profiles, gates and figures in less than half of the time."""
BUDGET = Budget(seconds_per_call=20.0, seconds_per_run=60.0)
SETTINGS = Settings(paths=PATHS)

_SOLVED: dict[Any, dict[Any, Any]] = {}


class Remembering(Workspace):
    """A workspace whose weight methods know what an earlier run of the same mandate and plan has solved."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "weighing" and value is not None:
            known = (
                id(self.universe),
                value.objective.model_dump_json(),
                value.methods,
                value.amount_usd,
                value.horizon_days,
                value.risk_free_rate,
            )
            object.__setattr__(value, "known", _SOLVED.setdefault(known, value.known))
        super().__setattr__(name, value)


class Stand:
    """A market that was read once, for many runs on it."""

    def __init__(self, source: Any = None, question: str = CAREFUL, settings: Settings = SETTINGS) -> None:
        self.settings = settings
        self.policy, context = advise(question, source or market(), settings=settings, now=NOW)
        self.evidence, self._shared = context.source, context.workspace.shared()

    def workspace(self) -> Workspace:
        """Return what does not depend on the mandate, with the memory of what was solved."""
        return Remembering(**{one.name: getattr(self._shared, one.name) for one in dataclasses.fields(Workspace)})

    def advise(self, question: str, seat: Seat | None = None, **options: Any) -> tuple[Recommendation, Context]:
        """Run the whole workflow on the market."""
        options = {"settings": self.settings, "workspace": self.workspace(), "now": NOW} | options
        return advise(question, self.evidence, seat=seat, **options)

    def run(self, question: str, seat: Seat | None = None, **options: Any) -> Recommendation:
        """Run the whole workflow on the market and return the record."""
        return self.advise(question, seat, **options)[0]


@functools.cache
def small_stand() -> Stand:
    """Return the stand on the small market, the same for all suites of a process."""
    return Stand()


class Server:
    """A scripted server that is kept for many runs, each with its own mode."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model

    def seat(self, mode: Mode, budget: Budget = BUDGET, **options: Any) -> Seat:
        """Let the server do what ``mode`` says from now on, and return a seat with it."""
        self.model.script[:] = [mode]
        self.model.asked.clear()
        return self.another(budget, **options)

    def another(self, budget: Budget = BUDGET, **options: Any) -> Seat:
        """Return one more seat with what the server does already."""
        return model_seat("scripted", base_url=self.model.url, api_key=None, budget=budget, **options)

    @property
    def bodies(self) -> list[bytes]:
        """Return the requests since the seat was opened, byte for byte."""
        return [asked.body for asked in self.model.asked]


@contextmanager
def open_server() -> Iterator[Server]:
    """Run a scripted server until the block ends; its client and the graph are made once, not for every run."""
    with (
        scripted.serve() as model,
        patch("agents.endpoint.open_endpoint", functools.cache(open_endpoint)),
        patch("agents.workflow.build_workflow", functools.cache(build_workflow)),
    ):
        yield Server(model)


# What a scripted model says.


def says_json(handler: Handler, answer: str) -> None:
    """Send an answer as a chat completion."""
    handler.send(200, completion(answer))


def reasons_for(payload: Mapping[str, Any], place: int) -> list[dict[str, Any]]:
    """Return up to two reasons that hold for a candidate by the payload's figures, and one that compares nothing."""
    shortlist = payload["shortlist"]
    mine = shortlist[place]
    ahead = [
        {"figure": name, "over": other["id"]}
        for name, kind in REASONS.items()
        for other in shortlist
        if other is not mine and None not in (mine[name], other[name])
        if (mine[name] > other[name] if kind.better == ">" else mine[name] < other[name])
    ]
    return [*ahead[:2], {"figure": "net_apy", "over": None}]


def chooses(place: int = 0, plan: object = SHORT_PLAN, **answer: object) -> Mode:
    """Take a candidate of the shortlist for reasons that hold, with the fields of ``answer``."""

    def decide(payload: dict[str, Any]) -> dict[str, Any]:
        at = place % len(payload["shortlist"])
        return {"candidate": payload["shortlist"][at]["id"], "reasons": reasons_for(payload, at), **answer}

    return answering(replies(plan=plan, decide=decide))


def words_of_the_model(given: Any, ledger: Any, candidate: str, with_figures: Mapping[str, str]) -> str | None:
    """Stand in for ``agents.prose.composed`` where a model may write: a sentence of the list, or its own words."""
    said = given if isinstance(given, list) else [given]
    return " ".join(with_figures.get(one) or sentence_of(one) for one in map(str, said)) or None


def sentence_of(name: str) -> str:
    return STATEMENTS[name].sentence if name in STATEMENTS else name


def answering(mode: Mode) -> Mode:
    """Let a mode that knows the tasks of a run take a line of a conversation for nothing."""

    def with_lines(handler: Handler, asked: Asked) -> None:
        if asked.task == "line":
            says_json(handler, '{"sentence": null}')
        else:
            mode(handler, asked)

    return with_lines


# What is looked at in a record.


def allowed(record: Recommendation, margin: float = SHORTLIST_MARGIN, most: int = SHORTLIST_LENGTH) -> set[str]:
    """Return the candidates that may be chosen: reckoned here, from the gates and the scores of the record."""
    passed = [one for one in record.candidates if all(gate.passed for gate in one.gates)]
    best = max((one.score.total for one in passed), default=0.0)
    near = [one.id for one in passed if one.score.total >= best - margin]
    ties = sorted((one.score.total for one in passed if one.id in near), reverse=True)[most - 1 : most]
    return {one.id for one in passed if one.id in near and (not ties or one.score.total >= ties[0])}


def chosen(record: Recommendation) -> Candidate | None:
    """Return the candidate that was chosen."""
    wanted = record.choice.candidate_id if record.choice else None
    return next((one for one in record.candidates if one.id == wanted), None)


def decision_of(record: Recommendation) -> Any:
    """Return all of a decision that a user acts on: the outcome, and pools with weights and amounts."""
    if record.choice is None:
        return record.outcome, [conflict.model_dump(mode="json") for conflict in record.conflicts]
    held = sorted((pool.pool_id, pool.weight, pool.amount) for pool in record.choice.pools)
    return record.outcome, record.choice.candidate_id, held, record.choice.expected.model_dump(mode="json")


def stable(value: Any) -> Any:
    """Return plain data without the seconds that everything took."""
    if isinstance(value, dict):
        return {key: stable(item) for key, item in value.items() if key != "seconds"}
    return [stable(item) for item in value] if isinstance(value, list) else value


def keep_record(folder: Path, recommendation: Recommendation, context: Context, *, pictures: bool) -> Path:
    """Keep a run of a conversation without its pictures: only what the next turn reads."""
    folder.mkdir(parents=True)
    (folder / "recommendation.json").write_text(recommendation.model_dump_json(), encoding="utf-8")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return folder


def prompts(bodies: Sequence[bytes]) -> bytes:
    """Return requests as one text, to be searched."""
    return b"\n".join(bodies)
