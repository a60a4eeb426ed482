"""The glossary: what a term is called, what it means in plain words, and which figure of a record shows it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import Field, ValidationError

from tools.errors import UsageError
from tools.records import Record, Unit


class Concept(Record):
    """A term of the answers.

    ``pointer`` is a JSON pointer into a recommendation, in which ``{choice}`` stands for the pointer of the chosen
    candidate; None where no single figure shows the term. ``unit`` and ``digits`` say how that figure is written.
    """

    aliases: Annotated[list[str], Field(min_length=1)]
    text: str
    pointer: str | None = None
    unit: Unit | None = None
    digits: Annotated[int, Field(ge=0, le=4)] | None = None


@cache
def load_concepts() -> Mapping[str, Concept]:
    """Read the glossary by concept id; raises UsageError naming the entry that is wrong."""
    text = (resources.files(__package__) / "data" / "concepts.toml").read_text(encoding="utf-8")
    loaded = {}
    for name, entry in tomllib.loads(text).items():
        try:
            loaded[name] = Concept.model_validate(entry)
        except ValidationError as error:
            raise UsageError(f"concepts.toml: [{name}] {error.errors()[0]['msg']}") from error
    return loaded
