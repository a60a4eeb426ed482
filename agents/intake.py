"""Intake: the question becomes a mandate."""

from __future__ import annotations

from typing import Any, get_args

from langgraph.runtime import Runtime
from pydantic import ValidationError

from agents.prompts import prompt
from agents.state import Context, State, Steps
from tools.errors import MandateError
from tools.market.names import canonical_chain, chain_aliases, family_aliases
from tools.question import check_mandate, read
from tools.records import Asset, Mandate, RiskLevel
from tools.strategies.tokens import known_symbols

# What a model may fill in when the question's own words do not say it: never a number.
_OPEN_TO_MODELS = (
    "asset",
    "risk",
    "chains_include",
    "chains_exclude",
    "protocols_include",
    "protocols_exclude",
    "tokens_include",
    "tokens_exclude",
    "allow_il",
)

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
    steps = Steps("intake", state)
    question = state["question"]
    reading = steps.call(
        "read_question", {"question": question}, lambda: read(question), lambda r: r.mandate.model_dump()
    )
    mandate = reading.mandate
    if mandate.intent != "out_of_scope":
        mandate = _completed(mandate, reading.stated, question, runtime.context)
        check_mandate(mandate)
        if mandate.asset is None:
            raise MandateError(ASK_FOR_ASSET)
        return {"mandate": mandate, "round": 0, "trace": steps.taken}
    reason = mandate.notes[0] if mandate.notes else "what was asked is not about earning yield on ETH, BTC or dollars"
    return {"mandate": mandate, "outcome": "out_of_scope", "reason": reason, "trace": steps.taken}


def _completed(mandate: Mandate, stated: frozenset[str], question: str, context: Context) -> Mandate:
    unsaid = [field for field in _OPEN_TO_MODELS if field not in stated]
    if "intake" in context.settings.off or not unsaid:
        return mandate

    def check(answer: dict[str, Any]) -> Mandate:
        return _merged(mandate, {field: answer[field] for field in unsaid if answer.get(field) not in (None, [], "")})

    system = prompt("intake.md.j2", fields=unsaid)
    return context.seat.ask(
        "read", system, {"question": question, "read_so_far": mandate.model_dump(mode="json"), "unsaid": unsaid}, check
    )


def _merged(mandate: Mandate, additions: dict[str, Any]) -> Mandate:
    """Add what a model read; raise ValueError, in words for the model, for anything that is not a known name."""
    for field, value in additions.items():
        _check_addition(field, value)
    changes = dict(additions)
    for field in ("chains_include", "chains_exclude"):
        if field in changes:
            changes[field] = sorted({canonical_chain(name) for name in changes[field]})
    for field in ("protocols_include", "protocols_exclude"):
        if field in changes:
            changes[field] = sorted({family_aliases()[name.lower()] for name in changes[field]})
    try:
        merged = Mandate.model_validate({**mandate.model_dump(), **changes})
        check_mandate(merged)
    except (ValidationError, MandateError) as error:
        raise ValueError(f"the mandate would be wrong: {str(error).splitlines()[0]}") from None
    return merged


def _check_addition(field: str, value: Any) -> None:
    if field in {"asset", "risk"}:
        known = set(get_args(Asset)) if field == "asset" else set(get_args(RiskLevel))
        if value not in known:
            raise ValueError(f"{field} must be one of {', '.join(sorted(known))}")
    elif field == "allow_il":
        if not isinstance(value, bool):
            raise ValueError("allow_il must be true or false")
    elif not isinstance(value, list) or not all(isinstance(name, str) and _is_known(field, name) for name in value):
        raise ValueError(f"{field} must be a list of known names")


def _is_known(field: str, name: str) -> bool:
    if field.startswith("chains"):
        return name.lower() in chain_aliases()
    if field.startswith("protocols"):
        return name.lower() in family_aliases()
    return name in known_symbols()
