"""Plan, then execute: what may be asked of the tools is asked before the market is read, and nothing after it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import reasoned_model
import scripted_model as scripted
from langgraph.checkpoint.memory import InMemorySaver
from made_market import MadeSource
from scripted_model import Mode, replies, serve
from small_market import NOW, PATHS, QUESTION, market, run
from test_seam import hostile_and_neutral, plain, seat_at, stable

from agents.calls import estimated_tokens
from agents.ladder import is_strict
from agents.models import Call, Reply, Seat, policy_seat
from agents.planning import _events, catalogue, make_plan, shape_of_plan
from agents.state import Context, Settings
from agents.workflow import advise, build_workflow
from plimsoll import runs
from tools.errors import MarketError
from tools.market.evidence import Evidence
from tools.records import Asset, Mandate, Planned, Recommendation
from tools.requests import MOST_REQUESTS, Screen, arguments_of, screened
from tools.strategies.profiles import RISK_ORDER
from tools.stress import load_events
from tools.verify import check_text, verify

MANDATE = Mandate(asset="USD", amount=2e6, risk="medium")
BIG = {"tool": "screen", "min_tvl_usd": 50e6, "min_history_days": None, "exclude": []}
REQUESTS = [
    BIG,
    {"tool": "screen", "min_tvl_usd": None, "min_history_days": 100, "exclude": ["several_tokens"]},
    {"tool": "compare", "measures": ["max_drawdown", "beta", "sortino"]},
    {"tool": "stress", "events": ["usdc-2023", "terra-2022"], "hazard": "high"},
]


def planning(requests: Sequence[object], **answer: object) -> Mode:
    """Ask for these requests and take the best candidate for reasons that hold."""
    plan = {"requests": list(requests), **answer}
    return replies(
        plan=plan,
        decide=lambda payload: {
            "candidate": payload["shortlist"][0]["id"],
            "reasons": reasoned_model.reasons_for(payload, 0),
        },
    )


def planned_by(answer: object, mandate: Mandate = MANDATE, settings: Settings | None = None) -> tuple[Planned, Seat]:
    seat = Seat("scripted", lambda call: Reply(json.dumps(answer)))
    return make_plan(mandate, Context(Evidence(market()), seat, settings or Settings())), seat


@pytest.fixture(scope="module")
def by_policy() -> Recommendation:
    return run(None)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommendation, Path]:
    """A run whose model asked for something of every agent, saved."""
    with serve(planning(REQUESTS, methods=["equal", "net_yield"], confidence=0.99)) as server:
        found, context = advise(QUESTION, market(), seat=seat_at(server), now=NOW)
    return found, runs.save(tmp_path_factory.mktemp("asked") / "run", found, context)


# Nothing read from the market can start a tool.


class Watched(MadeSource):
    """A market that notes when it is first read."""

    def __init__(self, source: MadeSource, noted: list[str]) -> None:
        self.__dict__.update(source.__dict__)
        self._noted = noted

    def day(self, as_of: dt.date | None) -> dt.date:
        self._noted.append("market")
        return super().day(as_of)


def test_the_plan_is_asked_before_the_market_is_read_and_only_the_choice_after() -> None:
    noted: list[str] = []

    def voice(call: Call) -> Reply:
        payload = json.loads(str(call.messages[1].content))
        noted.append(payload["task"])
        return Reply(json.dumps({"candidate": payload["shortlist"][0]["id"]} if "shortlist" in payload else {}))

    run(Seat("scripted", voice), source=Watched(market(), noted))
    assert noted == ["read", "plan", "market", "decide"]


def poorer(left: int) -> MadeSource:
    source = market()
    source.rows = source.rows[:left]
    return source


def test_the_plans_prompt_is_the_same_whatever_the_market_holds() -> None:
    """Byte for byte: on hostile names, on none, on half a market, on an empty one that ends the run."""
    bodies = []
    for source in (*hostile_and_neutral(), market(), poorer(5), poorer(0)):
        with serve(scripted.obedient) as server, contextlib.suppress(MarketError):
            run(seat_at(server), source=source)
        bodies.append(server.bodies("plan"))
    assert all(body == bodies[0] for body in bodies)
    assert len(bodies[0]) == 1


WISHES = {
    "requests": REQUESTS,
    "methods": ["equal"],
    "confidence": 0.99,
    "tool": "screen",
    "tools": [{"tool": "stress", "hazard": "high"}],
    "tool_calls": [{"function": {"name": "screen", "arguments": "{}"}}],
}


def test_no_answer_after_the_market_was_read_starts_a_tool(by_policy: Recommendation) -> None:
    def decide(payload: dict[str, Any]) -> dict[str, Any]:
        reasons = reasoned_model.reasons_for(payload, 0)
        return {"candidate": payload["shortlist"][0]["id"], "reasons": reasons, **WISHES}

    with serve(replies(decide=decide)) as server:
        found = run(seat_at(server))
    assert (found.usage.fallback, found.requests) == ([], [])
    assert found.plan == by_policy.plan
    calls = [[(one.agent, one.tool, one.arguments_sha256) for one in r.trace] for r in (found, by_policy)]
    assert calls[0] == calls[1]


def test_a_run_that_goes_on_elsewhere_keeps_its_plan_and_asks_nobody() -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    source = Evidence(market())

    def context(seat: Seat) -> Context:
        return Context(source=source, seat=seat, settings=Settings(paths=PATHS), now=lambda: NOW)

    def voice(call: Call) -> Reply:
        payload = json.loads(str(call.messages[1].content))
        return Reply(json.dumps({"requests": REQUESTS} if payload["task"] == "plan" else {}))

    with_plan = context(Seat("scripted", voice))
    build_workflow(saver).invoke({"question": QUESTION}, config, context=with_plan, interrupt_before=["decision"])
    final = build_workflow(saver).invoke(None, config, context=context(policy_seat()))["recommendation"]
    whole = build_workflow().invoke({"question": QUESTION}, context=context(Seat("scripted", voice)))["recommendation"]
    assert final.requests == whole.requests
    assert len(final.requests) == len(REQUESTS)
    assert stable(plain(final)["candidates"]) == stable(plain(whole)["candidates"])


# What may be asked for, and what comes of it.


def test_every_request_is_carried_out_by_its_agent_and_recorded(asked: tuple[Recommendation, Path]) -> None:
    found, _ = asked
    assert found.usage.fallback == []
    assert [(one.agent, one.tool, one.author) for one in found.requests] == [
        ("data", "screen", "scripted"),
        ("data", "screen", "scripted"),
        ("quant", "optimise", "scripted"),
        ("quant", "compare", "scripted"),
        ("risk", "stress", "scripted"),
    ]
    big, old, optimise, compare, stress = found.requests
    assert (big.results, big.no_effect) == ({"pools_before": 12.0, "pools_after": 8.0}, None)
    assert old.no_effect == "it would leave too few pools to choose from"
    assert optimise.arguments == {"methods": ["equal", "net_yield"], "confidence": 0.99}
    assert compare.results["candidates"] == len(found.candidates)
    assert {"usdc-2023", "terra-2022", "expected_loss_high", "net_apy_low"} == set(stress.results)
    assert min(pool.tvl_usd for candidate in found.candidates for pool in candidate.pools) >= 50e6
    tools = {(one.agent, one.tool) for one in found.trace}
    assert {("data", "screen"), ("quant", "compare"), ("risk", "stress")} <= tools


def test_such_a_run_is_verified_and_replayed(asked: tuple[Recommendation, Path]) -> None:
    found, folder = asked
    assert check_text(plain(found)) == ()
    assert "Asked for before the market was read" in found.rationale.markdown
    assert "| candidate | drawdown | beta | Sortino ratio |" in found.rationale.markdown
    assert verify(folder).differences == ()
    assert runs.replay(folder).differences == ()


def test_no_limit_is_moved_and_no_pool_brought_in(
    asked: tuple[Recommendation, Path], by_policy: Recommendation
) -> None:
    def gates(record: Recommendation) -> set[tuple[str, object]]:
        return {(gate.rule, gate.limit) for candidate in record.candidates for gate in candidate.gates}

    found, _ = asked
    assert gates(found) == gates(by_policy)
    assert found.mandate == by_policy.mandate
    assert found.market is not None
    assert by_policy.market is not None
    assert found.market.benchmark_pools == by_policy.market.benchmark_pools


@pytest.mark.parametrize("least", [2e6, 5e7, 9e7, 1e9])
@pytest.mark.parametrize("max_weight", [0.5, 0.1])
def test_a_screen_takes_away_or_does_nothing(least: float, max_weight: float, by_policy: Recommendation) -> None:
    context = Context(Evidence(market()), policy_seat(), Settings(paths=PATHS))
    build_workflow().invoke({"question": QUESTION}, context=context)
    universe = context.workspace.universe
    assert universe is not None
    left, done = screened(universe, Screen(tool="screen", min_tvl_usd=least), max_weight)
    large = [pool.id for pool in universe.pools if pool.row.tvl_usd >= least]
    applied = done.no_effect is None
    assert {pool.id for pool in left.pools} == (set(large) if applied else {pool.id for pool in universe.pools})
    assert applied == (12 > len(large) >= max(6, 2 / max_weight))
    assert left.benchmark is universe.benchmark


def test_an_event_of_later_days_is_not_offered_and_does_nothing() -> None:
    settings = Settings(as_of=dt.date(2023, 1, 1))
    ids = {event.id for event in _events(settings.as_of)}
    assert ids == {event.id for event in load_events() if event.last_day <= dt.date(2023, 1, 1)}
    plan, seat = planned_by({"requests": [{"tool": "stress", "events": ["usdc-2023"]}]}, settings=settings)
    assert plan.requests == []
    assert len(seat.fallback) == 2
    with serve(planning([{"tool": "stress", "events": ["stream-2025"]}])) as server:
        found = run(seat_at(server))
    assert [one.no_effect for one in found.requests] == ["the events had not happened by the day of the decision"]
    assert check_text(plain(found)) == ()


# Beyond what may be asked for.

TOOL = "request 1: tool must be one of those in tools"
HOLDS = "request 1: it may hold only what tools lists for it, within its bounds"
LIST = f"requests must be a list of at most {MOST_REQUESTS}"
REFUSED: dict[str, tuple[Any, str]] = {
    "another tool": ([{"tool": "trade"}], TOOL),
    "a tool of another agent's": ([{"tool": "score_candidates"}], TOOL),
    "optimise as a request": ([{"tool": "optimise", "methods": ["net_yield"]}], TOOL),
    "no tool": ([{"min_tvl_usd": 5e7}], TOOL),
    "a word": (["screen"], TOOL),
    "a smaller size": ([{**BIG, "min_tvl_usd": 1_000.0}], HOLDS),
    "a size beyond measure": ([{**BIG, "min_tvl_usd": 1e12}], HOLDS),
    "a size in words": ([{**BIG, "min_tvl_usd": "50m"}], HOLDS),
    "a size that is true": ([{**BIG, "min_tvl_usd": True}], HOLDS),
    "a shorter history": ([{**BIG, "min_history_days": 1}], HOLDS),
    "a broken day": ([{**BIG, "min_history_days": 100.5}], HOLDS),
    "a limit lifted": ([{**BIG, "max_weight": 1.0}], HOLDS),
    "pools brought in": ([{**BIG, "include": ["rewards"]}], HOLDS),
    "an unknown kind": ([{"tool": "screen", "exclude": ["aave"]}], HOLDS),
    "nothing": ([{"tool": "screen"}], HOLDS),
    "no measures": ([{"tool": "compare", "measures": []}], HOLDS),
    "another measure": ([{"tool": "compare", "measures": ["net_worth"]}], HOLDS),
    "too many measures": ([{"tool": "compare", "measures": ["beta"] * 7}], HOLDS),
    "a hazard that is low": ([{"tool": "stress", "hazard": "low"}], HOLDS),
    "no stress": ([{"tool": "stress", "events": [], "hazard": None}], HOLDS),
    "another event": ([{"tool": "stress", "events": ["moon-2030"]}], "request 1: events must be ids of the list"),
    "the same twice": ([BIG, BIG], "requests must differ"),
    "too many": ([{**BIG, "min_tvl_usd": 1e7 + n} for n in range(7)], LIST),
    "an object": ({"tool": "screen"}, LIST),
    "null": (None, LIST),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_out_of_bounds_throws_the_plan_away(name: str) -> None:
    given, sentence = REFUSED[name]
    plan, seat = planned_by({"requests": given})
    unusable = f"plan: unusable answer: {sentence}; "
    assert seat.fallback == [unusable + "asked again", unusable + "the embedded policy took over"]
    assert (plan.requests, plan.author) == ([], "policy")


def test_the_methods_count_as_a_request() -> None:
    six = [{**BIG, "min_tvl_usd": 1e7 + n} for n in range(6)]
    assert len(planned_by({"requests": six})[0].requests) == 6
    plan, seat = planned_by({"requests": six, "methods": ["equal"], "confidence": 0.9})
    assert plan.requests == []
    assert "at most 6 requests" in seat.fallback[-1]


def test_what_was_asked_reads_as_it_was_written() -> None:
    for entry in REQUESTS[:2]:
        asked = Screen.model_validate(entry)
        assert Screen.model_validate({"tool": "screen", **entry}) == asked
        assert None not in arguments_of(asked).values()


def test_the_policy_asks_for_nothing(by_policy: Recommendation) -> None:
    assert by_policy.requests == []


# Short enough, and in a form that servers take.


@pytest.mark.parametrize("risk", RISK_ORDER)
def test_the_plans_prompt_is_short(risk: Any, published: list[str]) -> None:
    mandate = MANDATE.model_copy(update={"risk": risk})
    text = json.dumps({"task": "plan", **catalogue(mandate, load_events())})
    with serve(scripted.says("{}")) as server:
        run(seat_at(server), QUESTION.replace("high", risk))
    system = next(one for one in server.asked if one.task == "plan").request["messages"][0]["content"]
    tokens = estimated_tokens(text), estimated_tokens(system)
    published.append("tokens of the plan's prompt at {} risk: payload {}, system {}".format(risk, *tokens))
    assert sum(tokens) < 2_000


def test_the_shape_is_strict() -> None:
    assert is_strict(shape_of_plan(["equal", "net_yield"], load_events()))


@pytest.mark.parametrize("asset", ["USD", "ETH", "BTC"])
def test_the_plan_of_the_policy_depends_on_the_level_of_risk_alone(asset: Asset) -> None:
    plan, seat = planned_by({}, Mandate(asset=asset, risk="low"))
    assert plan == planned_by({}, Mandate(asset="USD", amount=5.0, risk="low"))[0]
    assert seat.fallback == []


def test_a_plain_question_takes_three_calls_and_its_prompts_are_short(published: list[str]) -> None:
    """Every message of a whole run, with the shapes that are sent beside them, fits a context of 8,192 tokens."""
    with serve(reasoned_model.honest()) as server:
        found = run(seat_at(server))
    assert (found.usage.calls, found.usage.fallback) == (3, [])
    sizes = {}
    for asked in server.asked:
        request = asked.request
        shape = json.dumps(request["response_format"]["json_schema"]["schema"])
        assert is_strict(json.loads(shape))
        sizes[asked.task] = estimated_tokens(*(message["content"] for message in request["messages"]), shape)
    published.append(f"tokens of a plain question's prompts, with their shapes: {sizes}")
    assert list(sizes) == ["read", "plan", "decide"]
    assert max(sizes.values()) < 4_000


def test_an_answer_in_the_shape_of_every_task_adds_nothing_where_it_says_nothing(by_policy: Recommendation) -> None:
    """What a strict form makes a model write: every field, with null or an empty list for what it does not say."""
    plan = by_policy.plan
    assert plan is not None
    nothing = {"chains_include": [], "chains_exclude": [], "protocols_exclude": [], "tokens_exclude": []}
    kept = {"methods": plan.methods, "confidence": plan.confidence, "requests": []}
    decide = reasoned_model.chooses(0, why=[], caution=[])
    whole = replies(read={**nothing, "allow_il": None}, plan=kept)
    with serve(lambda handler, asked: (decide if asked.task == "decide" else whole)(handler, asked)) as server:
        found = run(seat_at(server))
    assert found.usage.fallback == []
    assert (found.mandate, found.plan, found.requests) == (by_policy.mandate, plan, [])
