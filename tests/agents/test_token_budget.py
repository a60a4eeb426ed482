"""The budget of tokens holds whatever the server reports, and every prompt leaves room for its answer."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from small_market import NOW

from agents.calls import Call, CallFailed, Reply, estimated_tokens
from agents.choosing import prompt_of_choice, seen_by_models, shape_of_choice
from agents.decision import SHORTLIST_LENGTH
from agents.models import TOKENS_SPENT, Budget, RecordedSeat, Seat
from agents.state import Settings
from agents.workflow import advise
from tools.market.sources import open_source
from tools.records import Candidate, Recommendation
from tools.strategies.selection import MAX_POOLS

PROMPT_TOKENS = 6_000  # of a context of 8,192
BUDGET = Budget(calls=100, tokens_per_call=1_000, tokens_per_run=10_000)
UNABLE = "; the embedded policy took over"


def same(answer: dict[str, Any]) -> dict[str, Any]:
    return answer


def estimate(call: Call) -> int:
    return estimated_tokens(*(str(message.content) for message in call.messages))


class Meter:
    """A model that notes what it was allowed, and takes all of it."""

    def __init__(self, reports: bool, input_factor: float = 1.0) -> None:
        self.calls: list[Call] = []
        self.reports = reports
        self.input_factor = input_factor

    def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        text = json.dumps({"filler": "x" * (4 * (call.tokens - 8) - 14)})
        used = (int(estimate(call) * self.input_factor), call.tokens) if self.reports else (0, 0)
        return Reply(text, *used)

    @property
    def spent(self) -> float:
        return sum(estimate(call) * self.input_factor + call.tokens for call in self.calls)


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("prompt", [10, 1_000, 8_000, 20_000, 36_000])
def test_no_run_takes_more_tokens_than_it_may(prompt: int, reports: bool) -> None:
    meter = Meter(reports)
    seat = Seat("scripted", meter, budget=BUDGET)
    for number in range(20):
        seat.ask("count", "Count.", {"n": number, "filler": "y" * prompt}, same)
    assert meter.spent <= BUDGET.tokens_per_run
    assert meter.spent > BUDGET.tokens_per_run - 1_100 - prompt / 4  # and not for lack of trying
    assert seat.usage().fallback[-1] == f"count: {TOKENS_SPENT}{UNABLE}"
    assert seat.calls == len(meter.calls)


def test_a_call_whose_prompt_alone_would_break_it_is_not_made() -> None:
    meter = Meter(True)
    seat = Seat("scripted", meter, budget=BUDGET)
    seat.ask("count", "Count.", {"filler": "y" * 40_000}, same)
    assert (meter.calls, seat.calls) == ([], 0)
    assert seat.fallback == [f"count: {TOKENS_SPENT}{UNABLE}"]
    recorded = RecordedSeat.of("scripted", seat.transcript)
    recorded.ask("count", "Count.", {"filler": "y" * 40_000}, same)
    assert recorded.usage() == seat.usage()


def test_what_is_left_caps_the_answer() -> None:
    meter = Meter(True)
    seat = Seat("scripted", meter, budget=BUDGET._replace(tokens_per_run=1_500))
    for _ in range(3):
        seat.ask("count", "Count.", {}, same)
    allowed = [call.tokens for call in meter.calls]
    assert allowed[0] == 1_000
    assert 64 <= allowed[1] < 500
    assert len(allowed) == 2


def test_a_prompt_that_costs_more_than_estimated_is_estimated_higher_from_then_on() -> None:
    meter = Meter(True, input_factor=2.0)
    seat = Seat("scripted", meter, budget=BUDGET._replace(tokens_per_run=11_000))
    for _ in range(20):
        seat.ask("count", "Count.", {"filler": "y" * 4_000}, same)
    assert meter.spent <= 11_000
    assert len(meter.calls) == 3


def test_a_call_that_failed_is_taken_to_have_cost_its_prompt() -> None:
    def fails(call: Call) -> Reply:
        raise CallFailed("no answer within its time")

    seat = Seat("scripted", fails, budget=BUDGET)
    for _ in range(20):
        seat.ask("count", "Count.", {"filler": "y" * 8_000}, same)
    assert seat.calls == 4
    assert (seat.input_tokens, seat.output_tokens) == (0, 0)


def test_prompt_and_answer_fit_into_the_context() -> None:
    meter = Meter(True)
    seat = Seat("scripted", meter, budget=Budget(tokens_per_call=4_000))
    seat.ask("count", "Count.", {"filler": "y" * 4 * 6_000}, same)
    seat.ask("count", "Count.", {}, same)
    assert [call.tokens for call in meter.calls][1] == 4_000
    assert 8_000 < estimate(meter.calls[0]) + meter.calls[0].tokens <= 8_192


def test_an_answer_that_is_sent_back_is_sent_back_in_part() -> None:
    sizes = []

    def rambles(call: Call) -> Reply:
        sizes.append(estimate(call))
        return Reply("word " * 9_000)

    Seat("scripted", rambles, budget=Budget(tokens_per_run=10**6)).ask("count", "Count.", {}, same)
    assert len(sizes) == 2
    assert sizes[1] < 1_000


@pytest.mark.parametrize(
    ("texts", "tokens"), [([], 0), ([""], 8), (["abcde"], 10), (["abcd", "abcd"], 18), (["é" * 4], 10)]
)
def test_tokens_are_estimated_from_bytes(texts: list[str], tokens: int) -> None:
    assert estimated_tokens(*texts) == tokens


LARGE = (
    "Put 25 million dollars of stablecoins to work for nine months, {risk} risk, at most 20 pools, at most 40% in one "
    "pool, not on Arbitrum, Polygon or Avalanche, without Curve, Convex and Yearn, no DAI, no impermanent loss, at "
    "least 3 million dollars in each pool. "
)


@pytest.fixture(scope="module", params=["low", "medium", "high"])
def large(request: pytest.FixtureRequest, market_folder: Path) -> tuple[Recommendation, dict[str, int]]:
    """A large question on the recorded market, and the estimated tokens of each prompt that it led to."""
    sizes: dict[str, int] = {}

    def measure(call: Call) -> Reply:
        task = json.loads(str(call.messages[1].content))["task"]
        shape = [] if call.shape is None else [json.dumps(call.shape)]
        sizes[task] = max(sizes.get(task, 0), estimate(call) + estimated_tokens(*shape))
        return Reply("no")

    source = open_source(str(market_folder), store=None, now=lambda: NOW)
    question = LARGE.format(risk=request.param) + "Please keep in mind what I said before. " * 20
    seat = Seat("scripted", measure, budget=Budget(tokens_per_run=10**6))
    settings = Settings(as_of=dt.date(2025, 2, 28), paths=500)
    return advise(question, source, seat=seat, settings=settings, now=NOW)[0], sizes


def test_every_prompt_of_a_large_question_leaves_room_for_its_answer(large: Any, published: list[str]) -> None:
    found, sizes = large
    assert {"read", "plan", "decide"} <= sizes.keys()
    published.append(f"tokens of a large question's prompts, estimated, {found.mandate.risk} risk: {sizes}")
    assert max(sizes.values()) <= PROMPT_TOKENS


def test_the_largest_shortlist_that_there_can_be_leaves_room_for_its_answer(large: Any, published: list[str]) -> None:
    found, _ = large
    shortlist = [_with_pools(candidate, number) for number, candidate in enumerate(found.candidates[:SHORTLIST_LENGTH])]
    system = prompt_of_choice()
    payload = json.dumps(seen_by_models(shortlist, found.mandate))
    tokens = estimated_tokens(system, payload, json.dumps(shape_of_choice(shortlist)))
    published.append(f"tokens of the largest prompt there can be, estimated, {found.mandate.risk} risk: {tokens}")
    assert len(shortlist) == SHORTLIST_LENGTH
    assert len(json.loads(payload)["pools"]) == SHORTLIST_LENGTH * MAX_POOLS
    assert tokens <= PROMPT_TOKENS


def _with_pools(candidate: Candidate, number: int) -> Candidate:
    """As many pools as a candidate can have, none of them in another."""
    pools = itertools.islice(itertools.cycle(candidate.pools), MAX_POOLS)
    others = [
        pool.model_copy(update={"pool_id": f"{number}-{place}", "weight": 0.0123}) for place, pool in enumerate(pools)
    ]
    return candidate.model_copy(update={"pools": others})
