"""What a conversation remembers, and what a line in it asks for. Plain data: both round-trip as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from tools.records import Mandate, OutcomeKind, ProfileId, Record, WeightMethod

TurnKind = Literal[
    "recommend", "what_if", "why", "why_not", "explain", "changed", "prices", "flips", "mind", "compare",
    "out_of_scope", "unclear",
]  # fmt: skip
Value = float | int | bool | str | list[str] | None


class NamedPool(Record):
    """A pool of the last choice, with the names by which a line may speak of it."""

    pool_id: str
    name: str
    family: str
    tokens: Annotated[tuple[str, ...], Field(strict=False)]
    chain: str


class Subject(Record):
    """What a line is about, as far as its words say: ``words`` are the user's own, every other field may be empty.

    ``pool_ids`` are pools of the last choice that the names fit; a name that fits none leaves them empty.
    """

    words: str
    pool_ids: list[str] = Field(default_factory=list)
    candidate: str | None = None
    profile: ProfileId | None = None
    families: list[str] = Field(default_factory=list)
    tokens: list[str] = Field(default_factory=list)
    chains: list[str] = Field(default_factory=list)
    method: WeightMethod | None = None

    @property
    def is_named(self) -> bool:
        """Tell whether anything but the words is filled."""
        return any(value for name, value in self if name != "words")


class Memory(Record):
    """What was said before; an empty one has nothing but defaults.

    ``mandate`` is that of the last solved turn, or what is known so far of one whose asset is still missing;
    ``earlier`` are those that were solved before it, the last one last, for a line that takes the last change back.
    ``as_of`` is the market's day of the last run, ``pools`` those of the last choice in the order of its table,
    ``ranked`` the candidates' ids, the choice first and then by score. ``subject`` is what the last turn was about.
    """

    mandate: Mandate | None = None
    earlier: Annotated[tuple[Mandate, ...], Field(strict=False)] = ()
    as_of: Annotated[dt.date | None, Field(strict=False)] = None
    outcome: OutcomeKind | None = None
    pools: Annotated[tuple[NamedPool, ...], Field(strict=False)] = ()
    ranked: Annotated[tuple[str, ...], Field(strict=False)] = ()
    subject: Subject | None = None


class Change(Record):
    """A field of the mandate that a line changes; None where there is no limit, before or after."""

    field: str
    before: Value
    after: Value


class Turn(Record):
    """What a line asks for.

    ``mandate`` is whole: the one before with the ``changes`` merged in, in the order of its fields. It is None where
    nothing is solved anew, save that ``unclear`` keeps what is known of a mandate whose asset is still missing.
    ``limits`` names the fields whose price is asked, none for all. ``forget``: what was said before counts no more.
    ``notes`` hold what was understood and could not be acted on, ``reason`` one sentence where nothing can be done.
    """

    kind: TurnKind
    mandate: Mandate | None = None
    changes: list[Change] = Field(default_factory=list)
    subject: Subject | None = None
    concept: str | None = None
    since: str | None = None
    limits: list[str] = Field(default_factory=list)
    forget: bool = False
    notes: list[str] = Field(default_factory=list)
    reason: str | None = None
