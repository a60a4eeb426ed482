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
TOO_FAR_BACK = "The conversation does not reach back so far: say 'undo' to go back a step, or what is to change."
SAME_AS_NOW = "That changes nothing: what was asked before is what stands now."
UNDO_ALONE = "Say 'undo' alone to go back, and then what is to change."
EVENTS = (
    "What can go wrong stands in the answer's risks and in 'plimsoll risk stress'; here a what-if changes what you "
    "hold or a limit, for example 'what if I leave out Aave?'."
)
INCOME = (
    "What is to be earned is no amount held: ask for a least yield in percent a year, or say what you hold as 'I have'."
)
LOSS_IN_MONEY = (
    "A loss is limited as a share: say the largest drawdown in percent; or say what you hold now as 'I have'."
)
OF_OTHERS = "What others hold is not counted: say what you hold yourself as 'I have', with its coin or currency."
ONLY_A_QUESTION = (
    "A question changes nothing by itself: begin it with 'what if', as in 'what if I leave out Aave?', say it as a "
    "wish, or ask why."
)
WITH_ITS_UNIT = (
    "That number could be many things and was not taken for an amount: say it with its unit, as in dollars, ETH or "
    "percent per pool."
)
CAP_OF_NAME = (
    "A share or cap for a single name is no limit here: cap every pool, or leave the name out, as in 'no Curve'."
)
LIST_LIMITS = "Ask 'what does each limit cost?' to see the limits of your mandate, each with its price."
RESETS = "Say which limit goes, as in 'without the cap', or say 'start over' to forget the whole conversation."
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
    if line.has("talk.limits_asked", line.whole) and wishes.are_none:
        return LIST_LIMITS
    if line.has("talk.resets", line.whole):
        return RESETS
    if wishes.end_of_scale:
        return sentence(wishes.end_of_scale)
    if missing:
        return sentence(missing[0])
    names_asset = wishes.values.keys() == {"asset"} and not (wishes.excluded or wishes.only or wishes.allowed)
    if line.has("talk.cap_of_name", line.whole) and (wishes.are_none or names_asset):
        return CAP_OF_NAME
    if not wishes.are_none and not (names_asset and _is_about_more(line, memory, wishes)):
        return _stands_already(wishes)
    if is_by_place(line):
        subject = subject_or_none(line, memory)
        if subject is not None and subject.candidate is not None:
            return "A candidate is not chosen by hand: name its profile, for example 'use Blue Chip'."
        if line.has("names.only", line.whole):
            return (
                "A single pool cannot be let in by itself: name its protocol, token or chain, for example 'only Aave'."
            )
        return "A single pool cannot be kept out by itself: name its protocol, token or chain, for example 'no Curve'."
    if wishes.notes:
        return sentence(f"no limit can hold that: {wishes.notes[0]}")
    subject = subject_or_none(line, memory)
    if subject is not None and subject.is_named and subject is not memory.subject:
        return SAY_WHAT.format(subject.words)
    return NOT_UNDERSTOOD


def _is_about_more(line: Line, memory: Memory, wishes: Wishes) -> bool:
    """Tell a line that says something of a token from one that names the asset and nothing else."""
    subject = subject_or_none(line, memory)
    return bool(wishes.notes) or (subject is not None and subject.is_named and subject is not memory.subject)


def _stands_already(wishes: Wishes) -> str:
    names = sorted(name for names in wishes.allowed.values() for name in names)
    if names:
        return f"Nothing in your limits keeps {' or '.join(names)} out; ask 'why not?' to see what it would take."
    return "That changes nothing: your limits say so already."
