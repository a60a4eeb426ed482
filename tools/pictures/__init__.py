"""What may be lost, in pictures drawn from the record: losses, drawdown, stress, exposure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pictures.drawdown import drawdown
from tools.pictures.exposure import exposure
from tools.pictures.losses import losses
from tools.pictures.sheet import SET_BY_USER, Subject, write
from tools.pictures.stress import stress

__all__ = ["PICTURES", "SET_BY_USER", "draw"]

# File stem → what draws it, or returns None where the record does not hold what it would show.
PICTURES = {"losses": losses, "drawdown": drawdown, "stress": stress, "exposure": exposure}


def draw(record: Mapping[str, Any]) -> dict[str, str]:
    """Draw the chosen candidate of a recommendation (plain data): file stem → SVG document.

    Everything comes from the record, so that no picture can disagree with the text, and nothing from what differs
    between equal runs: equal runs give equal bytes. Without a choice there is no picture; ``drawdown`` is left out
    where the record has no curve, ``stress`` where no event was known on the day. Every text is reduced to the
    characters of the shipped face and escaped, whatever it says. Raises KeyError when a field of the record is missing,
    StopIteration when the candidate chosen is not among the candidates.
    """
    if record["outcome"] != "choice":
        return {}
    subject = Subject.of(record)
    pages = {stem: page(subject) for stem, page in PICTURES.items()}
    return {stem: write(subject, page) for stem, page in pages.items() if page is not None}
