"""What a run tells as it happens: JSON lines for programs, a line for each agent on a person's terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.terminal import echo

Event = Mapping[str, Any]
Listener = Callable[[dict[str, Any]], None]


class JsonLines:
    """Writes each event as a line of JSON to the standard output, with the seconds since the first."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, event: dict[str, Any]) -> None:
        """Write an event."""
        at = round(time.monotonic() - self._started, 3)
        echo(json.dumps({"at": at, **event}, ensure_ascii=False, allow_nan=False))


def on_terminal(event: dict[str, Any]) -> None:
    """Say on stderr what an agent has done."""
    sentence = _sentence(event)
    if sentence:
        echo(f"  {event.get('agent', ''):<9}{sentence}", error=True)


def listener(events: bool) -> Listener | None:
    """Return who listens: a program where it asked to, a person where stderr is a terminal, else nobody."""
    if events:
        return JsonLines()
    return on_terminal if sys.stderr.isatty() else None


def _mandate(said: Mapping[str, Any]) -> str:
    """Return what was understood of a question, field by field."""
    plain = {name: value for name, value in said.items() if name not in {"intent", "notes"}}
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in plain.items()) or "no limits"


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,.12g}" if isinstance(value, float) else str(value)


def _sentence(event: Event) -> str | None:
    """Return what to tell of an event; most of them are too small for a person."""
    match event.get("event"), event.get("step"):
        case "understood", _:
            return f"understood: {_mandate(event['mandate']) if 'mandate' in event else event['kind']}"
        case "run", _:
            return f"solving: {str(event['run']).replace('_', ' ')}"
        case "search", _:
            return "searching for the rate at which it changes sides"
        case "model", _:
            return f"asking the model to {event['task']}"
        case "agent_done", "intake":
            return f"{event.get('asset') or 'nothing within scope'}, {event.get('risk', '')} risk"
        case "agent_done", "data":
            return f"{event['pools']} pools on {event['day']}, {event['eligible']} eligible"
        case "agent_done", "quant":
            return f"candidates built, round {event['round']}"
        case "agent_done", "risk":
            sent = event.get("sent_back", 0)
            return f"held against every limit{f'; {sent} pools sent back' if sent else ''}"
        case "agent_done", "decision":
            return f"{event['passed']} of {event['candidates']} candidates pass every limit"
        case "agent_done", "report":
            return "every figure of the text resolves"
    return None
