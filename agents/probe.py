"""What an endpoint offers: each rung of the ladder tried once, with a prompt that only the form of output overrules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, NamedTuple

from langchain_core.messages import HumanMessage, SystemMessage

from agents.calls import Call, CallFailed, Refused, Reply
from agents.ladder import RUNGS, TEXT, Rung
from agents.models import Seat, json_object, traced

Found = Literal["offered", "ignored", "refused", "failed"]

READY = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}
# Plain words unless the form demands an object: a server that ignores the form is found out.
_FREE = 'Say in plain words that you are ready. Only where the form of output demands JSON, answer {"ready": true}.'
_TEXT = 'Answer with the JSON object {"ready": true} and nothing else.'
_TOKENS = 400


class Probe(NamedTuple):
    """One rung: whether the endpoint offers it, in words of our own, and whether it reported what the call cost."""

    rung: Rung
    found: Found
    detail: str
    counts_tokens: bool = False


def probe(seat: Seat) -> Iterator[Probe]:
    """Try each rung once, the strictest first, and remember the first that is offered; stop where nobody answers.

    The calls are not the run's: they are not counted in the seat's usage.
    """
    best: Rung | None = None
    for rung in RUNGS:
        found = _tried(seat, rung)
        if found.found == "offered" and best is None:
            best = rung
        yield found
        if found.found == "failed":
            return
    if best is not None and seat.rungs is not None:
        seat.rungs.keep(best)


def _tried(seat: Seat, rung: Rung) -> Probe:
    messages = [SystemMessage(_TEXT if rung == TEXT else _FREE), HumanMessage(json.dumps({"task": "probe"}))]
    call = Call(messages, seat.budget.seconds_per_call, _TOKENS, rung, None if rung == TEXT else READY)
    try:
        with traced(seat.allow_tracing):
            reply = seat.voice(call)
    except Refused as error:
        return Probe(rung, "refused", str(error))
    except CallFailed as error:
        return Probe(rung, "failed", str(error))
    return _judged(rung, reply)


def _judged(rung: Rung, reply: Reply) -> Probe:
    """Tell from an answer whether the form was kept to."""
    counts = reply.input_tokens > 0
    if not reply.text.strip():
        return Probe(rung, "refused", "answers with nothing", counts)
    try:
        json_object(reply.text)
    except ValueError:
        return Probe(rung, "ignored", "answers, and keeps to no form", counts)
    return Probe(rung, "offered", "answers with an object", counts)
