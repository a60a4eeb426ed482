"""Dated events and user scenarios: which nodes of the exposure graph lost how much, when, says who.

``data/events.toml`` holds the events; a user's file of scenarios has the same form. A node is ``kind:name`` as in
the exposure graph: ``token:USDC`` (upper case), ``protocol:aave`` (the family), ``issuer:Circle``, ``bridge:Axelar``,
``curator:Gauntlet``, ``chain:Ethereum``, ``oracle:Chainlink``. Losses are fractions of what depends on the node, for a
token of its peg: of a dollar for a dollar token, of an ether for a staking token.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from tools.errors import UsageError
from tools.market.names import is_family_name
from tools.records import Count, Fraction, NodeKind, Record

EVENTS = Path(__file__).parent / "data" / "events.toml"

Channel = Literal["price", "custody"]
Source = Annotated[str, Field(pattern=r"^https://[^\s/]+\.\S+$")]
Words = Annotated[str, Field(min_length=1, max_length=400)]

_PRICE_KINDS = {"token", "issuer", "bridge"}


class Shock(Record):
    """What one node lost: ``loss`` at the worst, ``loss_after`` still gone after the event's ``days_after`` days.

    ``loss_after`` None: not known. ``channel`` says how the loss reaches the holder: through what the token is worth
    (``price``: tokens, issuers, bridges unless the file says otherwise) or because the protocol no longer pays out what
    is in it (``custody``: everything else).
    """

    node: str
    loss: Fraction
    loss_after: Fraction | None = None
    channel: Channel | None = None
    source: Source | None = None
    note: Words | None = None

    @model_validator(mode="after")
    def _sound(self) -> Shock:
        _check_node(self.node)
        if self.loss_after is not None and self.loss_after > self.loss:
            raise ValueError(f"loss_after {self.loss_after} is more than the loss at the worst, {self.loss}")
        return self

    @property
    def reaches_by(self) -> Channel:
        """Return the channel of the file, else the one that the kind of node implies."""
        return self.channel or ("price" if self.node.partition(":")[0] in _PRICE_KINDS else "custody")


class Event(Record):
    """One event: from ``date`` on, the worst of it not after ``until``; ``days_after`` counts from ``date``."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    title: Annotated[str, Field(min_length=1, max_length=120)]
    date: dt.date
    until: dt.date | None = None
    days_after: Count = 0
    shocks: Annotated[list[Shock], Field(min_length=1)]
    sources: list[Source] = Field(default_factory=list)
    note: Words | None = None

    @model_validator(mode="after")
    def _sound(self) -> Event:
        twice = [node for node, count in Counter(shock.node for shock in self.shocks).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]} is struck twice")
        if self.last_day < self.date:
            raise ValueError(f"until {self.until} lies before the date {self.date}")
        return self

    @property
    def last_day(self) -> dt.date:
        """Return the day by which the worst of it was public."""
        return self.until or self.date

    @property
    def day_after(self) -> dt.date:
        """Return the day that ``loss_after`` speaks of."""
        return self.date + dt.timedelta(days=self.days_after)


@lru_cache(maxsize=8)
def load_events(path: Path | None = None) -> tuple[Event, ...]:
    """Read the dated events, in the order of their dates, ties by id; each shock must name its source.

    Raises UsageError naming the file, the event and the key that is wrong.
    """
    where = path or EVENTS
    events = load_scenarios(where)
    for event in events:
        for shock in event.shocks:
            if shock.source is None:
                raise UsageError(f"{where.name}: {event.id}: the shock of {shock.node} names no source")
    return events


def load_scenarios(path: Path) -> tuple[Event, ...]:
    """Read the user's scenarios: tables ``[[event]]`` in the form of ``data/events.toml``, sources optional.

    Raises UsageError naming the file and the event and key, or the line, that is wrong: text that is no TOML, an
    unknown key, a loss outside 0 to 1 or not finite, a node that is none, a node struck twice, two events of one id.
    """
    raw = _read(path)
    unknown = sorted(set(raw) - {"event"})
    if unknown:
        raise UsageError(f"{path.name}: unknown key {unknown[0]!r}; scenarios are tables [[event]]")
    entries = raw.get("event", [])
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path.name}: no scenario; write one as a table [[event]]")
    events = [_event(path.name, number, entry) for number, entry in enumerate(entries, start=1)]
    twice = [name for name, count in Counter(event.id for event in events).items() if count > 1]
    if twice:
        raise UsageError(f"{path.name}: two events are called {twice[0]!r}")
    return tuple(sorted(events, key=lambda event: (event.date, event.id)))


def events_known(as_of: dt.date, path: Path | None = None) -> tuple[Event, ...]:
    """Return the dated events whose worst had been seen by the day; a later ``loss_after`` is not known yet (None)."""
    return tuple(_as_known(event, as_of) for event in load_events(path) if event.last_day <= as_of)


def _as_known(event: Event, as_of: dt.date) -> Event:
    if event.day_after <= as_of:
        return event
    shocks = [shock.model_copy(update={"loss_after": None}) for shock in event.shocks]
    return event.model_copy(update={"shocks": shocks})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the scenarios {path.name}: {error}") from error


def _event(file: str, number: int, entry: Any) -> Event:
    try:
        return Event.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        found = f", not {first['input']!r}" if isinstance(first["input"], str | int | float) else ""
        raise UsageError(f"{file}: event {name}: {where or 'entry'}: {first['msg']}{found}") from error


def _check_node(node: str) -> None:
    kind, _, name = node.partition(":")
    if kind not in get_args(NodeKind) or not name or name != name.strip():
        raise ValueError(f"{node!r} is no node; write kind:name with a kind of {', '.join(get_args(NodeKind))}")
    if kind == "protocol" and not is_family_name(name):
        raise ValueError(f"{node!r}: a protocol is named by its family, lower case and hyphenated, as protocol:aave")
    if kind == "token" and re.search(r"[a-z\s]", name):
        raise ValueError(f"{node!r}: a token is named by its symbol in upper case, as token:USDC")
