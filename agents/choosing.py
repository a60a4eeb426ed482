"""Decision's question to the seat: which candidate of the shortlist, and which of its figures are the reasons.

What a model sees are ids, numbers and enums, rounded, as few as will do: names from the market are anybody's text. What
it answers is an id of the shortlist and references to figures; a comparison that does not hold is no reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agents.models import Seat
from agents.prompts import prompt
from agents.prose import FOR_CAUTION, MOST_SENTENCES, PASSAGES, WITH_FIGURES, allowed_in, check_prose
from tools.reasons import MOST_REASONS, REASONS, figure_of, leads, reason, rounded
from tools.records import Candidate, Mandate, Reason
from tools.statements import STATEMENTS, true_of

_OF_A_POOL = ("apy", "apy_reward", "tvl_usd", "protocol_risk", "trend")
_NOT_SHOWN = {"notes", "intent"}  # of the mandate: the user's words, and what is the same in every question


class Decision(NamedTuple):
    """What the seat decided: a candidate, its reasons (none: those of the score), and passages by sentence."""

    candidate_id: str
    reasons: list[Reason]
    prose: dict[str, list[str]]


def ask_for_choice(
    seat: Seat, shortlist: Sequence[Candidate], candidates: Sequence[Candidate], mandate: Mandate, *, prose: bool = True
) -> Decision:
    """Ask the seat for its choice from the shortlist; the embedded policy takes the first.

    ``candidates`` are those of the record in their order, which the reasons point into.
    """
    known = {candidate.id: candidate for candidate in shortlist}

    def check(answer: dict[str, Any]) -> Decision:
        candidate_id = answer.get("candidate")
        if not isinstance(candidate_id, str) or candidate_id not in known:
            raise ValueError("candidate must be one of the ids in the shortlist")
        passages = check_prose(answer, known[candidate_id]) if prose else {}
        if answer == {"candidate": shortlist[0].id}:  # what the policy says: the best score, for the score's reasons
            return Decision(candidate_id, [], {})
        return Decision(candidate_id, _checked(answer.get("reasons"), candidate_id, known, candidates), passages)

    payload = seen_by_models(shortlist, mandate, prose=prose)
    shape = shape_of_choice(shortlist, prose=prose)
    return seat.ask("decide", prompt_of_choice(prose=prose), payload, check, shape=shape)


def _checked(
    given: object, chosen: str, known: Mapping[str, Candidate], candidates: Sequence[Candidate]
) -> list[Reason]:
    """Read a model's reasons; raise ValueError, in words for the model, for one that cannot be used."""
    if not isinstance(given, list) or not 0 < len(given) <= MOST_REASONS:
        raise ValueError(f"reasons must be a list of one to {MOST_REASONS} objects with figure and over")
    found = [_reason(entry, f"reason {n}", chosen, known, candidates) for n, entry in enumerate(given, start=1)]
    if len({(one.figure, one.over) for one in found}) < len(found):
        raise ValueError("reasons must differ")
    return found


def _reason(
    entry: object, which: str, chosen: str, known: Mapping[str, Candidate], candidates: Sequence[Candidate]
) -> Reason:
    asked, over = (entry.get("figure"), entry.get("over")) if isinstance(entry, dict) else (None, None)
    name = next((name for name in REASONS if name == asked), None)
    if name is None:
        raise ValueError(f"{which}: figure must be one of the names listed")
    if over is not None and (not isinstance(over, str) or over not in known or over == chosen):
        raise ValueError(f"{which}: over must be null or the id of another candidate of the shortlist")
    if figure_of(known[chosen], name) is None:
        raise ValueError(f"{which}: that figure is not known of the candidate")
    if over is not None and not leads(known[chosen], known[over], name):
        better = "higher" if REASONS[name].better == ">" else "lower"
        raise ValueError(f"{which}: the figure of the candidate is not {better} than that of the other")
    return reason(name, chosen, over, candidates)


def prompt_of_choice(*, prose: bool = True) -> str:
    """Return the instructions; with ``prose`` they list the sentences that the passages may be composed of."""
    return prompt(
        "decision.md.j2",
        with_figures=WITH_FIGURES if prose else {},
        statements=STATEMENTS,
        passages=PASSAGES,
        for_caution=FOR_CAUTION,
        figures=REASONS,
        most=MOST_REASONS,
        most_sentences=MOST_SENTENCES,
    )


def seen_by_models(shortlist: Sequence[Candidate], mandate: Mandate, *, prose: bool = True) -> dict[str, Any]:
    """Return what a model may see: ids, numbers and enums; pools are numbered, as their names are anybody's text.

    With ``prose`` each candidate carries the names of the sentences that are true of it.
    """
    pools = {pool.pool_id: pool for candidate in shortlist for pool in candidate.pools}
    number = {pool_id: f"pool_{position:02d}" for position, pool_id in enumerate(sorted(pools), start=1)}
    return {
        "mandate": seen_of_mandate(mandate),
        "shortlist": [
            {
                "id": candidate.id,
                **{name: rounded(figure_of(candidate, name)) for name in REASONS},
                "weights": {number[pool.pool_id]: rounded(pool.weight) for pool in candidate.pools},
                **({"true": true_of(candidate)} if prose else {}),
            }
            for candidate in shortlist
        ],
        "pools": {
            number[pool_id]: {
                name: rounded(value) if isinstance(value, float) else value
                for name in _OF_A_POOL
                if (value := getattr(pool, name)) is not None
            }
            for pool_id, pool in pools.items()
        },
    }


def seen_of_mandate(mandate: Mandate) -> dict[str, Any]:
    """Return what the user asked for, without the user's own words and without what was not said."""
    said = mandate.model_dump(mode="json", exclude=_NOT_SHOWN)
    return {name: value for name, value in said.items() if value not in (None, [])}


def shape_of_choice(shortlist: Sequence[Candidate], *, prose: bool = True) -> dict[str, Any]:
    """Return the JSON Schema of the answer for this shortlist."""
    ids = [candidate.id for candidate in shortlist]
    one = {
        "type": "object",
        "properties": {
            "figure": {"type": "string", "enum": list(REASONS)},
            "over": {"anyOf": [{"type": "string", "enum": ids}, {"type": "null"}]},
        },
        "required": ["figure", "over"],
        "additionalProperties": False,
    }
    fields: dict[str, Any] = {
        "candidate": {"type": "string", "enum": ids},
        "reasons": {"type": "array", "items": one},
    }
    if prose:
        fields |= {
            passage: {"type": "array", "items": {"type": "string", "enum": allowed_in(passage)}} for passage in PASSAGES
        }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
