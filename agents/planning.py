"""The plan: the one question that may start a tool, asked before any row of the market is read.

The seat sees the mandate and a catalogue of the tools, both independent of any market. It may name other weight methods
(quant's ``optimise``), a stricter screen (data), another table of comparison (quant) and what to stress (risk). Each
request is an enum and bounded numbers; each is carried out by its agent, whatever comes in later. After this the seat
is asked one thing more, its choice, whose answer starts nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from agents.choosing import seen_of_mandate
from agents.prompts import prompt
from agents.state import Context, State, Switch
from tools.records import Mandate, Planned, RequestAgent, RequestTool, ToolRequest, WeightMethod
from tools.requests import (
    EXCLUSIONS,
    KINDS,
    LEAST_DAYS,
    LEAST_TVL_USD,
    MEASURES,
    MOST_DAYS,
    MOST_REQUESTS,
    MOST_TVL_USD,
    Asked,
    Screen,
    Stress,
    arguments_of,
)
from tools.strategies.objectives import CONFIDENCES, METHOD_WORDS, Objective, allowed_methods, load_objectives
from tools.stress import Event, events_known, load_events

MOST_METHODS = 6
_AGENT_OF: dict[RequestTool, RequestAgent] = {
    "screen": "data",
    "optimise": "quant",
    "compare": "quant",
    "stress": "risk",
}


class _Wanted(NamedTuple):
    """What the seat asks for: weight methods and tail level (None: as planned), and requests to other tools."""

    methods: list[WeightMethod] | None
    confidence: float
    requests: list[Asked]


def make_plan(mandate: Mandate, context: Context) -> Planned:
    """Choose the weight methods by the mandate's objective; a model in the seat may ask for others within limits."""
    objective = load_objectives()[mandate.risk]
    off = context.settings.off
    wanted = _Wanted(None, objective.confidence, [])
    if Switch.PLAN_MODEL not in off:
        wanted = _asked(mandate, objective, context)
    if Switch.QUANT in off:
        objective = objective.model_copy(update={"methods": ["equal"]})
        wanted = wanted._replace(methods=None, confidence=objective.confidence)
    own = wanted.methods is None
    methods = objective.methods if wanted.methods is None else _with_the_simple_rule(wanted.methods, objective)
    return Planned(
        objective=objective.words,
        methods=methods,
        confidence=wanted.confidence,
        loss_aversion=objective.loss_aversion,
        author="policy" if own else context.seat.name,
        why=f"the objective of {mandate.risk} risk" if own else "asked for by the model in quant's seat",
        unsolved=[],
        prefers=objective.prefers if context.settings.edition > 1 else None,
        requests=_recorded(wanted, methods, context.seat.name),
    )


def requests_of(state: State, agent: RequestAgent, tool: RequestTool) -> list[ToolRequest]:
    """Return what the plan asks of a tool; nothing where the plan was not made by the seat."""
    plan = state.get("plan")
    asked = plan.requests if isinstance(plan, Planned) else []
    return [one for one in asked if (one.agent, one.tool) == (agent, tool)]


def parsed(request: ToolRequest) -> Asked:
    """Return a request as its tool takes it."""
    given = {name: int(value) if name == "min_history_days" else value for name, value in request.arguments.items()}  # type: ignore[arg-type]
    return KINDS[request.tool].model_validate({"tool": request.tool, **given})


def _recorded(wanted: _Wanted, methods: list[WeightMethod], author: str) -> list[ToolRequest]:
    """Write the requests down, without results: the weight methods first, where they are the seat's own."""
    asked: list[tuple[RequestTool, dict[str, Any]]] = [(one.tool, arguments_of(one)) for one in wanted.requests]
    if wanted.methods is not None:
        asked.insert(0, ("optimise", {"methods": list(methods), "confidence": wanted.confidence}))
    return [
        ToolRequest(agent=_AGENT_OF[tool], tool=tool, arguments=arguments, author=author, results={}, no_effect=None)
        for tool, arguments in asked
    ]


def _with_the_simple_rule(methods: list[WeightMethod], objective: Objective) -> list[WeightMethod]:
    """Keep the simple rule whatever a model asks for: it has weights wherever the caps leave room for any."""
    return list(dict.fromkeys([objective.methods[0], *methods]))


def _asked(mandate: Mandate, objective: Objective, context: Context) -> _Wanted:
    """Ask the seat for its plan; an empty answer keeps what the objective plans."""
    events = _events(context.settings.as_of)

    def check(answer: dict[str, Any]) -> _Wanted:
        requests = _requests(answer.get("requests", []), events)
        if not answer or set(answer) == {"requests"}:
            return _Wanted(None, objective.confidence, requests)
        methods, confidence = _optimisation(answer, mandate, objective)
        if len(requests) + 1 > MOST_REQUESTS:
            raise ValueError(f"a plan makes at most {MOST_REQUESTS} requests, the methods among them")
        planned = methods == objective.methods and confidence == objective.confidence
        return _Wanted(None if planned else methods, confidence, requests)

    allowed = allowed_methods(mandate.risk)
    system = prompt("plan.md.j2", most=MOST_METHODS, most_requests=MOST_REQUESTS)
    return context.seat.ask("plan", system, catalogue(mandate, events), check, shape=shape_of_plan(allowed, events))


def _events(as_of: dt.date | None) -> Sequence[Event]:
    """Return the events that may be asked for: those known on the day that the user named, else all on file."""
    return load_events() if as_of is None else events_known(as_of)


def catalogue(mandate: Mandate, events: Sequence[Event]) -> dict[str, Any]:
    """Return what the seat sees when it plans: the mandate, and what may be asked of each agent's tools."""
    objective = load_objectives()[mandate.risk]
    return {
        "mandate": seen_of_mandate(mandate),
        "objective": objective.words,
        "methods": {method: METHOD_WORDS[method] for method in allowed_methods(mandate.risk)},
        "planned": objective.methods,
        "planned_confidence": objective.confidence,
        "confidences": CONFIDENCES,
        "tools": {
            "screen": {
                "min_tvl_usd": [LEAST_TVL_USD, MOST_TVL_USD],
                "min_history_days": [LEAST_DAYS, MOST_DAYS],
                "exclude": EXCLUSIONS,
            },
            "compare": {"measures": MEASURES},
            "stress": {"events": {event.id: event.title for event in events}, "hazard": ["high"]},
        },
    }


def _optimisation(answer: dict[str, Any], mandate: Mandate, objective: Objective) -> tuple[list[WeightMethod], float]:
    """Read which weight methods are asked for, and at which tail level."""
    methods, confidence = answer.get("methods"), answer.get("confidence", objective.confidence)
    allowed = allowed_methods(mandate.risk)
    if (
        not isinstance(methods, list)
        or not 0 < len(methods) <= MOST_METHODS
        or len(set(map(str, methods))) < len(methods)
    ):
        raise ValueError(f"methods must be a list of one to {MOST_METHODS} different ids")
    if any(not isinstance(method, str) or method not in allowed for method in methods):
        raise ValueError("every method must be one of the ids in methods")
    if isinstance(confidence, bool) or confidence not in CONFIDENCES:
        raise ValueError("confidence must be one of confidences")
    return cast(list[WeightMethod], methods), float(confidence)


def _requests(given: object, events: Sequence[Event]) -> list[Asked]:
    """Read the requests to the other tools; raise ValueError, in words for the model, for one that is not offered."""
    if not isinstance(given, list) or len(given) > MOST_REQUESTS:
        raise ValueError(f"requests must be a list of at most {MOST_REQUESTS}")
    found = [_request(entry, number, events) for number, entry in enumerate(given, start=1)]
    if any(one in found[:place] for place, one in enumerate(found)):
        raise ValueError("requests must differ")
    return found


def _request(entry: object, number: int, events: Sequence[Event]) -> Asked:
    tool = entry.get("tool") if isinstance(entry, dict) else None
    kind = next((kind for name, kind in KINDS.items() if name == tool), None)
    if kind is None:
        raise ValueError(f"request {number}: tool must be one of those in tools")
    try:
        asked = kind.model_validate(entry)
    except ValidationError:
        raise ValueError(f"request {number}: it may hold only what tools lists for it, within its bounds") from None
    if isinstance(asked, Stress) and not set(asked.events) <= {event.id for event in events}:
        raise ValueError(f"request {number}: events must be ids of the list")
    return asked


def screens(state: State) -> list[Screen]:
    """Return the screens that the plan asks for, in their order."""
    return [one for one in map(parsed, requests_of(state, "data", "screen")) if isinstance(one, Screen)]


def shape_of_plan(methods: Sequence[str], events: Sequence[Event]) -> dict[str, Any]:
    """Return the JSON Schema of the answer."""

    def record(**fields: Any) -> dict[str, Any]:
        return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}

    def some(names: Sequence[str]) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "enum": list(names)}}

    def maybe(kind: str) -> dict[str, Any]:
        return {"anyOf": [{"type": kind}, {"type": "null"}]}

    screen = record(
        tool={"type": "string", "enum": ["screen"]},
        min_tvl_usd=maybe("number"),
        min_history_days=maybe("integer"),
        exclude=some(list(EXCLUSIONS)),
    )
    compare = record(tool={"type": "string", "enum": ["compare"]}, measures=some(MEASURES))
    stress = record(
        tool={"type": "string", "enum": ["stress"]},
        events=some([event.id for event in events]),
        hazard={"anyOf": [{"type": "string", "enum": ["high"]}, {"type": "null"}]},
    )
    return record(
        methods=some(methods),
        confidence={"type": "number", "enum": list(CONFIDENCES)},
        requests={"type": "array", "items": {"anyOf": [screen, compare, stress]}},
    )
