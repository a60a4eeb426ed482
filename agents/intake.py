"""Intake: the question becomes a mandate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from langgraph.runtime import Runtime
from pydantic import ValidationError

from agents.choosing import seen_of_mandate
from agents.prompts import prompt
from agents.state import Context, State, Steps, Switch
from tools.errors import MandateError
from tools.market.names import canonical_chain, chain_aliases, family_aliases
from tools.question import check_mandate, read
from tools.records import Mandate
from tools.strategies.tokens import known_symbols

# What a model may fill in when the question's own words do not say it: never a number, and besides the asset nothing
# that makes the mandate bolder. (Naming the protocols or tokens to use accepts their concentration: no model may.)
_OPEN_TO_MODELS = (
    "asset",
    "risk",
    "chains_include",
    "chains_exclude",
    "protocols_exclude",
    "tokens_exclude",
    "allow_il",
)
_CAREFUL: dict[str, Any] = {"risk": "low", "allow_il": False}
_SPELLED: dict[str, Callable[[str], str]] = {
    "chains_include": canonical_chain,
    "chains_exclude": canonical_chain,
    "protocols_exclude": lambda name: family_aliases()[name.lower()],
    "tokens_exclude": str.upper,
}

ASK_FOR_ASSET = (
    "The question does not say what you hold. Name ETH, BTC or dollars, for example: 'Put 250 ETH to work, low risk'."
)


def intake(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Read the question with the deterministic reader, and let the model fill in only what it left unsaid.

    Raises
    ------
    MandateError
        When the question cannot be read, contradicts itself, or names no asset.
    """
    steps = Steps("intake", state, runtime)
    question = state["question"]
    given = runtime.context.given
    if given is not None:
        return {"mandate": _usable(given), "round": 0}
    reading = steps.call(
        "read_question", {"question": question}, lambda: read(question), lambda r: r.mandate.model_dump()
    )
    mandate = reading.mandate
    if mandate.intent != "out_of_scope":
        mandate = _usable(_completed(mandate, reading.stated, question, runtime.context))
        return {"mandate": mandate, "round": 0, "trace": steps.taken}
    reason = mandate.notes[0] if mandate.notes else "what was asked is not about earning yield on ETH, BTC or dollars"
    return {"mandate": mandate, "outcome": "out_of_scope", "reason": reason, "trace": steps.taken}


def _usable(mandate: Mandate) -> Mandate:
    check_mandate(mandate)
    if mandate.asset is None:
        raise MandateError(ASK_FOR_ASSET)
    return mandate


def _completed(mandate: Mandate, stated: frozenset[str], question: str, context: Context) -> Mandate:
    unsaid = [field for field in _OPEN_TO_MODELS if field not in stated]
    if Switch.INTAKE_MODEL in context.settings.off or not unsaid:
        return mandate

    def check(answer: dict[str, Any]) -> Mandate:
        additions = {field: answer[field] for field in unsaid if answer.get(field) not in (None, [], "")}
        for field, value in additions.items():
            _check_addition(field, value, question)
        return _merged(mandate, additions)

    system = prompt("intake.md.j2", fields=unsaid)
    payload = {"question": question, "read_so_far": seen_of_mandate(mandate), "unsaid": unsaid}
    return context.seat.ask("read", system, payload, check, shape=_shape(unsaid))


def _shape(unsaid: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of the answer: null, or an empty list, for what the question does not say."""
    kinds: dict[str, Any] = {"asset": {"type": "string", "enum": ["ETH", "BTC", "USD"]}}
    kinds |= {"risk": {"type": "string", "enum": ["low"]}, "allow_il": {"type": "boolean", "enum": [False]}}
    names = {"type": "array", "items": {"type": "string"}}
    fields = {field: names if field in _SPELLED else {"anyOf": [kinds[field], {"type": "null"}]} for field in unsaid}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _merged(mandate: Mandate, additions: dict[str, Any]) -> Mandate:
    """Add what a model read; raise ValueError, in words for the model, where the mandate would contradict itself."""
    changes = {
        field: sorted({_SPELLED[field](name) for name in value}) if field in _SPELLED else value
        for field, value in additions.items()
    }
    try:
        merged = Mandate.model_validate({**mandate.model_dump(), **changes})
        check_mandate(merged)
    except (ValidationError, MandateError) as error:
        raise ValueError(f"the mandate would be wrong: {str(error).splitlines()[0]}") from None
    return merged


def _check_addition(field: str, value: Any, question: str) -> None:
    """Raise ValueError for what a model may not add: a name must be one of the user's own words."""
    if field in _CAREFUL:
        if value != _CAREFUL[field]:
            raise ValueError(f"{field} may only be {json.dumps(_CAREFUL[field])}")
    elif field in _SPELLED and not (
        isinstance(value, list) and all(isinstance(name, str) and _is_in(question, field, name) for name in value)
    ):
        raise ValueError(f"{field} must be a list of known names that stand in the question")


def _is_in(question: str, field: str, name: str) -> bool:
    """Tell whether a known name stands in the question, under any of its spellings."""
    if field.startswith("tokens"):
        spellings = {name.upper()} & known_symbols()
    else:
        aliases = chain_aliases() if field.startswith("chains") else family_aliases()
        meant = aliases.get(name.lower())
        spellings = {alias for alias, canonical in aliases.items() if canonical == meant}
    text = question.lower()
    return any(re.search(rf"(?<!\w){re.escape(spelling.lower())}(?!\w)", text) for spelling in spellings)
