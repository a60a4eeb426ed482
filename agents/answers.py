"""The text of an answer: templates over its runs and findings, every figure a slot that points into one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.inquiry import Inquiry
from agents.prompts import environment
from agents.rationale import RISK_FREE, Figures
from tools.dialogue import Turn, load_concepts
from tools.errors import VerificationError
from tools.figures import BoundText, Ledger
from tools.records import Claim, Derived, Figure, Recommendation
from tools.verify import check_text

_SECTION = re.compile(r"^\*\*Why this choice\.\*\*", re.MULTILINE)
_NEXT_SECTION = re.compile(r"^\*\*Yield alone", re.MULTILINE)


class Told(NamedTuple):
    """A finished text and the derived figures that it shows."""

    text: BoundText
    derived: dict[str, Derived]


class RunView:
    """A run as the templates see it: its record, where its parts stand, and a way to show its figures."""

    def __init__(self, name: str, record: Mapping[str, Any], ledger: Ledger) -> None:
        self.name = name
        self.record = record
        self._ledger = ledger
        self.p = f"/runs/{name}"
        self.mandate = record["mandate"]
        self.market = record["market"]
        self.choice = record["choice"]
        self.outcome = record["outcome"]
        self.asset = record["mandate"]["asset"]
        self.f = Figures(ledger, self.asset)
        self.kept = f"{self.p}/choice/expected/net_apy"
        place = next((i for i, c in enumerate(record["candidates"]) if self._is_chosen(c)), None)
        self.c = None if place is None else f"{self.p}/candidates/{place}"
        self.chosen = None if place is None else record["candidates"][place]
        self.risk_free = RISK_FREE.get(self.asset)

    def _is_chosen(self, candidate: Mapping[str, Any]) -> bool:
        return bool(self.choice) and candidate["id"] == self.choice["candidate_id"]

    def candidate(self, candidate_id: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return the pointer and the data of a candidate; None when the run has none of that id."""
        for place, candidate in enumerate(self.record["candidates"]):
            if candidate["id"] == candidate_id:
                return f"{self.p}/candidates/{place}", candidate
        return None

    def pool(self, pool_id: str) -> str | None:
        """Return the pointer to a pool of the chosen candidate; None where it does not hold it."""
        for place, pool in enumerate(self.chosen["pools"] if self.chosen else []):
            if pool["pool_id"] == pool_id:
                return f"{self.c}/pools/{place}"
        return None

    def shows(self, pointer: str) -> bool:
        """Tell whether a figure stands at a pointer: something is there, and it is not null."""
        try:
            return self._ledger.value(pointer) is not None
        except KeyError:
            return False


def tell(turn: Turn, inquiry: Inquiry, runs: Mapping[str, Recommendation]) -> Told:
    """Write the answer to a turn.

    A recommendation's text is that of its run. Raises ``VerificationError`` when a figure would not resolve: then
    nothing is shown.
    """
    records = {name: record.model_dump(mode="json") for name, record in runs.items()}
    document = _document(turn, inquiry, records)
    if turn.kind == "recommend":
        told = Told(quoted(records["choice"], "choice"), {})
    elif "after" in records and records["after"]["choice"] is None:
        told = _after_nothing(document, records)
    else:
        told = _written(turn, inquiry, document, records)
    faults = check_text(_with_text(document, told))
    if faults:
        raise VerificationError(f"the answer does not resolve, so it is not shown: {faults[0]}")
    return told


def _document(turn: Turn, inquiry: Inquiry, records: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the pointers of an answer's text point into."""
    return {
        "reason": turn.reason or inquiry.reason,
        "runs": records,
        "subjects": [subject.model_dump(mode="json") for subject in inquiry.subjects],
        "findings": inquiry.findings,
        "derived": {},
    }


def _written(turn: Turn, inquiry: Inquiry, document: Mapping[str, Any], records: Mapping[str, Any]) -> Told:
    ledger = Ledger(document)
    views = {name: RunView(name, record, ledger) for name, record in records.items()}
    base = views.get("policy") or views.get("before")
    name = "nothing" if inquiry.reason else turn.kind
    marked = (
        environment()
        .get_template(f"answer_{name}.md.j2")
        .render(
            r=document,
            turn=turn,
            runs=views,
            base=base,
            f=Figures(ledger, base.asset if base else None),
            ledger=ledger,
            concept=load_concepts().get(turn.concept or ""),
            names=_names(views, document),
        )
    )
    text = ledger.bind(re.sub(r"\n{3,}", "\n\n", marked).strip() + "\n")
    if turn.kind == "why" and name == "why" and base is not None:
        text = joined(text, _why_section(base.record, base.name))
    return Told(text, ledger.derived)


def _after_nothing(document: Mapping[str, Any], records: Mapping[str, Any]) -> Told:
    """Quote the page of a run that found nothing: it says what is in the way."""
    return Told(quoted(records["after"], "after"), {})


def _names(views: Mapping[str, RunView], document: Mapping[str, Any]) -> dict[str, str]:
    """Return where the name of each pool stands, by pool id: in a run, or among the subjects."""
    found: dict[str, str] = {}
    for place, subject in enumerate(document["subjects"]):
        found[subject["pool_id"]] = f"/subjects/{place}/name"
    for view in views.values():
        for place, assumed in enumerate(view.record["assumptions"]):
            found.setdefault(assumed["pool_id"], f"{view.p}/assumptions/{place}/name")
        for number, candidate in enumerate(view.record["candidates"]):
            for place, pool in enumerate(candidate["pools"]):
                found[pool["pool_id"]] = f"{view.p}/candidates/{number}/pools/{place}/name"
    return found


def quoted(record: Mapping[str, Any], name: str, start: int = 0, end: int | None = None) -> BoundText:
    """Quote (part of) the text of a run, its figures and claims pointing into the run."""
    rationale = record["rationale"]
    markdown = rationale["markdown"]
    stop = len(markdown) if end is None else end

    def within(entry: Mapping[str, Any]) -> bool:
        return bool(start <= entry["start"] and entry["end"] <= stop)

    into = f"/runs/{name}"
    figures = [
        Figure.model_validate(_shifted(entry, start) | {"pointer": into + entry["pointer"]})
        for entry in rationale["figures"]
        if within(entry)
    ]
    claims = [
        Claim.model_validate(_shifted(entry, start) | {"left": into + entry["left"], "right": into + entry["right"]})
        for entry in rationale["claims"]
        if within(entry)
    ]
    return BoundText(markdown[start:stop], figures, claims)


def _shifted(entry: Mapping[str, Any], start: int) -> dict[str, Any]:
    return {**entry, "start": entry["start"] - start, "end": entry["end"] - start}


def _why_section(record: Mapping[str, Any], name: str) -> BoundText:
    """Quote what a run's page says of why its choice was made."""
    markdown = record["rationale"]["markdown"]
    start = _SECTION.search(markdown)
    if start is None:
        return BoundText("", [], [])
    end = _NEXT_SECTION.search(markdown, start.end())
    return quoted(record, name, start.start(), end.start() if end else None)


def joined(first: BoundText, then: BoundText) -> BoundText:
    """Put one text behind another."""
    lead = first.markdown.rstrip("\n") + "\n\n" if first.markdown.strip() else ""
    by = len(lead)
    return BoundText(
        (lead + then.markdown).rstrip("\n") + "\n",
        [*first.figures, *(entry.model_copy(update=_moved(entry, by)) for entry in then.figures)],
        [*first.claims, *(entry.model_copy(update=_moved(entry, by)) for entry in then.claims)],
    )


def _moved(entry: Figure | Claim, by: int) -> dict[str, int]:
    return {"start": entry.start + by, "end": entry.end + by}


def _with_text(document: Mapping[str, Any], told: Told) -> dict[str, Any]:
    return {
        **document,
        "derived": {name: entry.model_dump() for name, entry in told.derived.items()},
        "rationale": {
            "markdown": told.text.markdown,
            "figures": [figure.model_dump() for figure in told.text.figures],
            "claims": [claim.model_dump() for claim in told.text.claims],
        },
    }
