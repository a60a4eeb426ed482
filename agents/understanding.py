"""Understanding a line: the deterministic reader; where it finds nothing, a model that picks among fixed sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.models import Seat
from agents.prompts import prompt
from tools.dialogue import Memory, Turn, read_turn
from tools.records import Usage

# What a model may take a line for. Each is read by the reader as if the user had said it, so a model adds no figure, no
# name and no limit; what makes a mandate bolder is not among them.
SENTENCES = (
    "why?",
    "why these?",
    "less risk",
    "what changed since last week?",
    "what does each limit cost me?",
    "when would you drop a pool?",
    "what would change your mind?",
    "why not the second one?",
    "no impermanent loss",
    "start over",
)
NOTHING_ASKED = Usage(model="policy", calls=0, input_tokens=0, output_tokens=0, seconds=0.0, fallback=[])
SHAPE = {
    "type": "object",
    "properties": {"sentence": {"type": ["string", "null"], "enum": [*SENTENCES, None]}},
    "required": ["sentence"],
    "additionalProperties": False,
}


def understood(line: str, memory: Memory, open_seat: Callable[[], Seat]) -> tuple[Turn, Usage]:
    """Read a line; where the reader finds nothing in it, ask the seat which of ``SENTENCES`` it means.

    Raises MandateError as ``read_turn``, and ModelError when a required model fails.
    """
    turn = read_turn(line, memory)
    if turn.kind != "unclear" or memory.mandate is None:
        return turn, NOTHING_ASKED
    seat = open_seat()

    def check(answer: dict[str, Any]) -> str | None:
        sentence = answer.get("sentence")
        if sentence is not None and sentence not in SENTENCES:
            raise ValueError("sentence must be one of sentences, or null")
        return sentence

    sentence = seat.ask("line", prompt("line.md.j2"), {"line": line, "sentences": list(SENTENCES)}, check, shape=SHAPE)
    return (turn if sentence is None else read_turn(sentence, memory)), seat.usage()
