"""The ladder of structured output: how an endpoint is asked for an object, from the strictest form to plain text.

    json_schema → tool_call → json_mode → text

A seat begins on the highest rung that is not known to be missing, steps down when the server refuses, and to plain text
when it answers with nothing. The prompt is the same on every rung, so a server that ignores the form still answers with
JSON in text. What was found is remembered for each address and model, so that only the first run pays for finding out.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agents.private_files import private_folder
from tools.market.store import default_home, write_atomically
from tools.records import digest

Rung = Literal["json_schema", "tool_call", "json_mode", "text"]

RUNGS: tuple[Rung, ...] = ("json_schema", "tool_call", "json_mode", "text")
TEXT: Rung = "text"
ANSWER = "answer"  # what the schema and the function are called
MOST_REMEMBERED = 1_000  # pairs of an address and a model; the oldest go first
_MOST_BYTES = 1 << 20


def below(rung: Rung) -> Rung:
    """Return the next rung down; below text there is none but itself."""
    return RUNGS[min(RUNGS.index(rung) + 1, len(RUNGS) - 1)]


class Form(NamedTuple):
    """What a rung adds to a request: the functions on offer, which one must be called, other fields of the body."""

    tools: list[dict[str, Any]]
    tool_choice: dict[str, Any] | None
    body: dict[str, Any]


def form(rung: Rung, shape: Mapping[str, Any] | None) -> Form:
    """Return what is sent to ask for an object of a shape (a JSON Schema) on a rung; without a shape, nothing."""
    if shape is None or rung == TEXT:
        return Form([], None, {})
    if rung == "json_mode":
        return Form([], None, {"response_format": {"type": "json_object"}})
    if rung == "json_schema":
        named = {"name": ANSWER, "schema": dict(shape), "strict": is_strict(shape)}
        return Form([], None, {"response_format": {"type": "json_schema", "json_schema": named}})
    function = {"name": ANSWER, "description": "Give the answer.", "parameters": dict(shape)}
    forced = {"type": "function", "function": {"name": ANSWER}}
    return Form([{"type": "function", "function": function}], forced, {})


def is_strict(schema: object) -> bool:
    """Tell whether a schema is one that OpenAI takes as strict: every object names all its fields and no others.

    A schema that is not is still sent, as advice: with ``strict`` it would be refused.
    """
    if isinstance(schema, list | tuple):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    names = schema.get("properties")
    if isinstance(names, Mapping):
        closed = schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(names)
        return closed and all(map(is_strict, names.values()))
    open_object = schema.get("type") == "object"
    return not open_object and all(is_strict(part) for key, part in schema.items() if key != "enum")


class RungMemory:
    """The rung that one model at one address was found on, in a file that all of them share.

    The address and the name are kept as one hash. A file that is no memory counts as empty, and one that cannot be
    written is left: what is forgotten is found out again.
    """

    def __init__(self, path: Path, address: str, model: str) -> None:
        self._path = path
        self._key = digest([address, model])

    @classmethod
    def at_home(cls, address: str, model: str) -> RungMemory:
        """Open the memory in the user's data folder."""
        return cls(default_home() / "model" / "rungs.json", address, model)

    def recall(self) -> Rung | None:
        """Return the rung that was found before; None when nothing is known."""
        return self._all().get(self._key)

    def keep(self, rung: Rung) -> None:
        """Remember a rung; does nothing where it is known already."""
        known = self._all()
        if known.pop(self._key, None) == rung:
            return
        known[self._key] = rung
        newest = dict(list(known.items())[-MOST_REMEMBERED:])
        with contextlib.suppress(OSError):
            private_folder(self._path.parent)
            write_atomically(self._path, json.dumps(newest, indent=1).encode())

    def _all(self) -> dict[str, Rung]:
        try:
            with self._path.open("rb") as file:
                known = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        entries = known.items() if isinstance(known, dict) else ()
        return {key: RUNGS[RUNGS.index(rung)] for key, rung in entries if rung in RUNGS}
