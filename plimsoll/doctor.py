"""What works here and what does not."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.errors import PlimsollError

if TYPE_CHECKING:
    from agents.models import Seat
    from tools.market.snapshot import Source

HOUSE = Path(__file__).resolve().parent.parent
PACKAGES = (
    "langgraph",
    "langchain-core",
    "langchain-openai",
    "numpy",
    "scipy",
    "networkx",
    "pydantic",
    "jinja2",
    "httpx",
    "resvg-py",
)


class Finding(NamedTuple):
    """One thing that was looked at; ``needed`` when a run cannot do without it."""

    what: str
    works: bool
    needed: bool
    detail: str


def examine(
    open_source: Callable[[], Source], as_of: dt.date | None, open_seat: Callable[[], Seat] | None
) -> Iterator[Finding]:
    """Look at Python, the packages, the folders' names, the store, the source and, where one is named, the model.

    Of a model each form of output is tried, with a finding of its own; what a run begins with is remembered.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", sys.version_info >= (3, 11), True, version)
    for name in PACKAGES:
        yield _package(name)
    for name in ("agents", "tools", "prompts", "evals", "plimsoll"):
        yield _folder(name)
    yield _store()
    yield _source(open_source, as_of)
    if open_seat:
        yield from _model(open_seat)
    else:
        yield Finding("model", False, False, "none named; the embedded policy answers")


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, True, "not installed; run make demo")


def _folder(name: str) -> Finding:
    """The top-level folders have common names: another distribution may stand in front of them."""
    spec = importlib.util.find_spec(name)
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    ours = origin is not None and origin.is_relative_to(HOUSE)
    return Finding(f"package {name}", ours, True, "Plimsoll's own" if ours else f"another package shadows it: {origin}")


def _store() -> Finding:
    from tools.market.store import Store

    try:
        store = Store()
        path = store.status().path
        store.close()
    except PlimsollError as error:
        return Finding("store", False, True, str(error))
    return Finding("store", True, True, str(path))


def _source(open_source: Callable[[], Source], as_of: dt.date | None) -> Finding:
    try:
        source = open_source()
        day = source.day(as_of)
        count = len(source.pools(day))
    except PlimsollError as error:
        return Finding("source", False, True, str(error))
    return Finding("source", True, True, f"{source.label}: {count} pools on {day.isoformat()}")


def _model(open_seat: Callable[[], Seat]) -> Iterator[Finding]:
    """Try every form of output, then ask for the smallest possible answer as a run would."""
    from agents.probe import READY, probe

    try:
        seat = open_seat()
        seat.cache = None  # what was answered yesterday says nothing of today
        probes = []
        for found in probe(seat):
            probes.append(found)
            yield Finding(f"model, {found.rung}", found.found == "offered", False, f"{found.found}: {found.detail}")
        seat.ask("ping", 'Answer with the JSON object {"ready": true}.', {}, _ready, shape=READY)
    except PlimsollError as error:
        yield Finding("model", False, False, str(error))
        return
    tokens = any(found.counts_tokens for found in probes)
    yield Finding("model", True, False, f"{seat.name} answers with JSON in {seat.seconds:.1f} s, by {seat.rung}")
    yield Finding(
        "model, tokens", tokens, False, "reported with each answer" if tokens else "not reported; the budget estimates"
    )


def _ready(answer: dict[str, object]) -> bool:
    if answer.get("ready") is not True:
        raise ValueError("ready must be true")
    return True
