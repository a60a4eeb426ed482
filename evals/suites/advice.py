"""What the suites that ask the whole workflow share: the made market, one question, what came of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from agents.state import Settings
from agents.workflow import advise
from evals.made_source import Listed, MadeSource
from evals.records import Spent, Subject
from tools.records import Recommendation

PATHS = 20_000  # of the simulation: enough for the limits on loss, a fifth of what a user gets

NO_RATES: Mapping[str, float] = {}


class Chosen(NamedTuple):
    """What a scorer may look at: the outcome, the weights by pool id (none without a choice), and the whole record.

    ``record`` None stands in tests, and for an adviser of another make.
    """

    outcome: str
    weights: Mapping[str, float]
    record: Recommendation | None = None

    @property
    def spent(self) -> Spent:
        """Return what the run cost."""
        if self.record is None:
            return Spent()
        usage = self.record.usage
        return Spent(calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def ask(
    question: str, pools: Sequence[Listed], subject: Subject, hazard_rates: Mapping[str, float] = NO_RATES
) -> Chosen:
    """Ask the whole workflow on a market of these pools; raises what ``advise`` raises.

    ``hazard_rates`` are failures a year by node, as a user may set them.
    """
    seat = None if subject.seat is None else subject.seat()
    settings = Settings(paths=PATHS, hazard_rates=hazard_rates)
    record, _ = advise(question, MadeSource(pools), seat=seat, settings=settings)
    choice = record.choice
    return Chosen(record.outcome, {} if choice is None else {p.pool_id: p.weight for p in choice.pools}, record)


@functools.cache
def market() -> tuple[Listed, ...]:
    """Return the pools of ``cases/market.jsonl``: dollars, ether and bitcoin, as an ordinary day might list them."""
    return tuple(Listed(**row) for row in lines("market.jsonl"))


def lines(name: str) -> list[dict[str, Any]]:
    """Read a case file: one JSON object a line."""
    text = (resources.files("evals") / "cases" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def moved(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the share of the money that lies elsewhere: ½ Σ |Δ weight|."""
    return sum(abs(after.get(pool, 0.0) - before.get(pool, 0.0)) for pool in {*before, *after}) / 2.0


def total(parts: Sequence[Spent]) -> Spent:
    """Add up what several runs cost."""
    return Spent(
        calls=sum(part.calls for part in parts),
        input_tokens=sum(part.input_tokens for part in parts),
        output_tokens=sum(part.output_tokens for part in parts),
    )
