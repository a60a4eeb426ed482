"""What a scripted model says when it decides: a candidate with reasons that hold, found in what it was shown."""

from __future__ import annotations

from typing import Any

from scripted_model import Mode, replies

from tools.reasons import REASONS


def reasons_for(payload: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """Return up to two reasons that hold for a candidate by the payload's figures, and one that compares nothing."""
    shortlist = payload["shortlist"]
    mine = shortlist[place]
    ahead = [
        {"figure": name, "over": other["id"]}
        for name, kind in REASONS.items()
        for other in shortlist
        if other is not mine and None not in (mine[name], other[name])
        if (mine[name] > other[name] if kind.better == ">" else mine[name] < other[name])
    ]
    return [*ahead[:2], {"figure": "net_apy", "over": None}]


def chooses(place: int = 0, **answer: object) -> Mode:
    """Take the candidate at a place of the shortlist for reasons that hold; ``answer`` adds fields or replaces them."""

    def decide(payload: dict[str, Any]) -> dict[str, Any]:
        at = place % len(payload["shortlist"])
        return {"candidate": payload["shortlist"][at]["id"], "reasons": reasons_for(payload, at), **answer}

    return replies(decide=decide)


def honest(place: int = 0) -> Mode:
    """Choose from the shortlist and name reasons and sentences."""
    return chooses(
        place,
        why=["choice_apy", "doing_nothing"],
        caution=["rates_move", "apy_range"],
    )
