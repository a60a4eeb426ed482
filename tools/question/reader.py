"""The deterministic reader: question → mandate, with the names of the fields that the words determine."""

from __future__ import annotations

from dataclasses import dataclass

from tools.question.amounts import read_amounts, read_parts
from tools.question.attitude import read_attitude, read_impermanent_loss
from tools.question.checks import check_mandate
from tools.question.horizon import read_horizon, set_periods_aside
from tools.question.intent import foreign_assets, foreign_reason, intent_of, refusal
from tools.question.limits import read_limits
from tools.question.line import Draft, Line
from tools.question.names import Names, read_names
from tools.question.notes import read_notes
from tools.question.text import clean
from tools.records import Mandate


@dataclass(frozen=True, slots=True)
class Reading:
    """``stated`` names the fields that the words determine; a model may fill in only the others."""

    mandate: Mandate
    stated: frozenset[str]


def read(question: str, *, before: Mandate | None = None) -> Reading:
    """Read a question; what it does not say keeps the mandate's default, what fits no field stands in ``notes``.

    ``before`` is the mandate that a line of a conversation goes on from: numbers then count its asset, and caps in
    money are shares of its amount. Nothing else of it shows in what is read.

    Raises MandateError for a question that cannot be read, a negative or zero amount, and limits that contradict each
    other. An asset that is missing is no error here.
    """
    line, draft = Line(clean(question)), Draft()
    refused = refusal(line)
    reason = refused.reason if refused else None
    intent = "out_of_scope" if reason else intent_of(line)
    if intent == "explain" and before is None:
        read_amounts(line, draft, Names(), intent, (), ())
    else:
        _read_fields(line, draft, intent or "recommend", before)
    foreign = foreign_assets(line)
    if reason is None and foreign and "asset" not in draft.values:
        reason, intent = foreign_reason(foreign[0]), "out_of_scope"
    return _reading(line, draft, intent, reason)


def _read_fields(line: Line, draft: Draft, intent: str, before: Mandate | None) -> None:
    """Take each field in turn; what one has understood the next ones leave alone."""
    set_periods_aside(line, draft)
    parts = read_parts(line)
    caps = read_limits(line, draft, before.asset if before else None)
    read_horizon(line, draft)
    names = read_names(line, draft, intent)
    read_amounts(line, draft, names, intent, parts, caps, before)
    read_impermanent_loss(line, draft)
    read_attitude(line, draft, intent)
    read_notes(line, draft, intent)


def _reading(line: Line, draft: Draft, intent: str | None, reason: str | None) -> Reading:
    if intent:
        draft.values["intent"] = intent
    notes = [draft.notes[start] for start in sorted(draft.notes)]
    if reason:
        notes = [reason]
    mandate = Mandate(**draft.values, notes=notes)
    check_mandate(mandate)
    return Reading(mandate, frozenset(draft.values))
