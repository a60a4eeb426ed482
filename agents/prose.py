"""The passages of a rationale that a model composes: which sentences, in which order, and not a word of its own.

A model names sentences that the program writes. Those with a figure are slots of the ledger; the others are true under
a condition on the figures of the candidate (``tools.statements``), and stand in the text as claims, so that the
independent checker holds every one of them against the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tools.figures import Ledger
from tools.records import Candidate
from tools.statements import STATEMENTS, holds

WITH_FIGURES = {
    "choice_apy": "what the candidate you choose pays at the rates of the day, before events and costs",
    "income": "the income it is expected to leave over the horizon, after events and costs",
    "doing_nothing": "what doing nothing pays",
    "pool_count": "how many pools it holds",
    "score": "its score",
    "runner_up": "what the runner-up pays at the rates of the day",
    "largest_protocol": "the protocol that has the largest part of the money, with its share",
    "weakest_protocol": "its weakest party, a protocol, with its risk",
    "apy_range": "the range that its averages over a month moved in",
}
"""Sentences with a figure, and what they say; ``agents.rationale`` writes them."""
FOR_CAUTION = ("largest_protocol", "weakest_protocol", "apy_range")
"""Those of them that may stand in ``caution`` too; the others would be no caution."""
PASSAGES = ("why", "caution")
MOST_SENTENCES = 6  # of a passage

Prose = Mapping[str, list[str]]
"""The names of the sentences of each passage."""


def allowed_in(passage: str) -> list[str]:
    """Return the names that a passage may be made of."""
    figures = FOR_CAUTION if passage == "caution" else WITH_FIGURES
    return [*figures, *(name for name, one in STATEMENTS.items() if one.passage == passage)]


def check_prose(answer: Mapping[str, object], chosen: Candidate) -> dict[str, list[str]]:
    """Return a model's passages if they can be used; raise ValueError with sentences for the model otherwise."""
    passages = {passage: answer.get(passage) or [] for passage in PASSAGES}
    faults = [f"{passage} {fault}" for passage, names in passages.items() for fault in _faults(passage, names, chosen)]
    if faults:
        raise ValueError("; ".join(faults))
    named = {passage: [*names] for passage, names in passages.items() if isinstance(names, list) and names}
    if {*named.get("why", ())} & {*named.get("caution", ())}:
        raise ValueError("caution repeats what why says")
    return named


def _faults(passage: str, names: object, chosen: Candidate) -> Iterator[str]:
    if not isinstance(names, list) or len(names) > MOST_SENTENCES:
        yield f"must be a list of at most {MOST_SENTENCES} names of sentences"
        return
    allowed = allowed_in(passage)
    known = [name for name in names if isinstance(name, str) and name in allowed]
    if len(known) < len(names):
        yield "holds what is no name of a sentence for it"
    if len(set(known)) < len(known):
        yield "repeats itself"
    false = [name for name in known if name in STATEMENTS and not holds(STATEMENTS[name], chosen)]
    if false:
        yield f"says what is not true of the candidate: {', '.join(false)}"


def composed(names: list[str], ledger: Ledger, candidate: str, with_figures: Mapping[str, str]) -> str | None:
    """Write the sentences of a passage one after the other; None for none.

    ``candidate`` is the pointer to the chosen one, ``with_figures`` the finished sentences that show a figure. Raises
    UntrueClaim for a sentence whose condition does not hold.
    """
    return " ".join(with_figures.get(name) or _stated(name, ledger, candidate) for name in names) or None


def _stated(name: str, ledger: Ledger, candidate: str) -> str:
    said = STATEMENTS[name].sentence.removesuffix(".")
    for number, condition in enumerate(STATEMENTS[name].conditions):
        inputs = [] if condition.right is None else [candidate + condition.right]
        right = ledger.derive(f"bound_of_{name}_{number}", condition.formula, *inputs)
        said = ledger.claim(said, candidate + condition.left, condition.order, right)
    return said + "."
