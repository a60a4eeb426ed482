"""What is said where nothing can be solved: one sentence that says what to say instead."""

from __future__ import annotations

from tools.dialogue.merging import Wishes
from tools.dialogue.records import Memory
from tools.dialogue.subjects import is_by_place, subject_or_none
from tools.question.line import Line

ASK_FOR_ASSET = (
    "Say first what you hold: ETH, BTC or dollars, for example 'Put 250 ETH to work, low risk'; "
    "everything else can be asked about the answer."
)
NOT_UNDERSTOOD = (
    "That was not understood. Change a limit ('less risk', 'without Curve', 'at most 20% per pool'), ask 'why not' of "
    "a pool, protocol or profile, what each limit costs, when a pool would be left, or what a term means."
)
CANNOT_EXECUTE = (
    "Plimsoll advises and cannot move money: it holds no keys and sends no transactions; the answer lists what to "
    "deposit where."
)
NAME_SOMETHING = "Name what you mean: a pool, a protocol, a token, a chain, a profile or a place in the order."
NOTHING_TO_UNDO = "There is nothing to go back to: nothing was changed before this answer."
EVENTS = (
    "What can go wrong stands in the answer's risks and in `plimsoll risk stress`; here a what-if changes what you "
    "hold or a limit, for example 'what if I leave out Aave?'."
)
SAY_WHAT = "Say what to do about it: 'no {0}', 'only {0}' or 'why not {0}?'."


def sentence(reason: str) -> str:
    """Return a reason as a sentence."""
    return f"{reason[:1].upper()}{reason[1:]}."


_MISSING = {
    "yield": "say how much it should pay at least, for example 'at least 8%', or ask for more risk",
    "days": "say for how long, for example 'for 6 months'",
    "cap": "say how much, for example 'at most 20% per pool'",
    "size": "say how large a pool must be, for example 'TVL over $50m'",
    "amount": "say how much, for example 'what if I had 500k?'",
}


def missing_numbers(line: Line) -> list[str]:
    """Return, for each wish that needs a number and has none, what to say."""
    return [text for name, text in _MISSING.items() if line.has(f"talk.needs_{name}", line.whole)]


def why_unclear(line: Line, memory: Memory, wishes: Wishes) -> str:
    """Return what a line that changes nothing needs, in one sentence."""
    missing = missing_numbers(line)
    if wishes.end_of_scale:
        return sentence(wishes.end_of_scale)
    if missing:
        return sentence(missing[0])
    if not wishes.are_none:
        return _stands_already(wishes)
    if is_by_place(line):
        subject = subject_or_none(line, memory)
        if subject is not None and subject.candidate is not None:
            return "A candidate is not chosen by hand: name its profile, for example 'use Blue Chip'."
        return "A single pool cannot be kept out by itself: name its protocol, token or chain, for example 'no Curve'."
    if wishes.notes:
        return sentence(f"no limit can hold that: {wishes.notes[0]}")
    subject = subject_or_none(line, memory)
    if subject is not None and subject.is_named and subject is not memory.subject:
        return SAY_WHAT.format(subject.words)
    return NOT_UNDERSTOOD


def _stands_already(wishes: Wishes) -> str:
    names = sorted(name for names in wishes.allowed.values() for name in names)
    if names:
        return f"Nothing in your limits keeps {' or '.join(names)} out; ask 'why not?' to see what it would take."
    return "That changes nothing: your limits say so already."
