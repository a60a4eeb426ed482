"""What a run tells as it happens: one small object for each tool that starts and ends, and for each agent that is done.

Counts and ids of our own only: what the market calls its pools enters no event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tools.records import MarketSummary

Event = dict[str, Any]
"""``event`` is ``tool``, ``tool_done``, ``model``, ``model_done`` or ``agent_done``; the rest depends on it."""

Listener = Callable[[Event], None]

# The nodes that people know as one agent.
_AGENT = {"approval": "decision", "settle": "decision", "ways_out": "decision"}


def told(mode: str, part: Any) -> Iterator[Event]:
    """Yield the events in one part of the graph's stream; ``mode`` is LangGraph's name for its kind."""
    if mode == "custom":
        yield part
    elif mode == "updates":
        for node, update in part.items():
            yield {"event": "agent_done", "agent": _AGENT.get(node, node), "step": node, **_found(update or {})}


def _found(update: Mapping[str, Any]) -> Event:
    """Return what an agent found, in numbers."""
    found: Event = {}
    market = update.get("market")
    if isinstance(market, MarketSummary):
        found |= {"pools": market.pools_total, "eligible": market.pools_eligible, "day": market.snapshot_date}
    if "mandate" in update:
        mandate = update["mandate"]
        found |= {"asset": mandate.asset, "risk": mandate.risk}
    if "vetoed" in update:
        found["sent_back"] = sum(len(pools) for pools in update["vetoed"].values())
    if "candidates" in update:
        candidates = update["candidates"]
        found |= {"candidates": len(candidates), "passed": sum(candidate.passed for candidate in candidates)}
    for name in ("decided", "outcome", "round"):
        if update.get(name):
            found[name] = update[name]
    if "recommendation" in update:
        found["run_id"] = update["recommendation"].run_id
    return found
