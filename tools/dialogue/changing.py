"""Another answer: the mandate before with what a line changes."""

from __future__ import annotations

from tools.dialogue.merging import changes_between, merge
from tools.dialogue.records import Memory, Turn
from tools.dialogue.sentences import EVENTS, NOTHING_TO_UNDO, SAY_WHAT, missing_numbers, why_unclear
from tools.dialogue.subjects import subject_or_none
from tools.dialogue.wishes import read_wishes
from tools.question.line import Line
from tools.records import Mandate


def changed_mandate(line: Line, memory: Memory, before: Mandate) -> Turn | None:
    """Return the mandate with what the line changes, None when that is nothing.

    Raises MandateError when the result contradicts itself.
    """
    mandate, notes = merge(before, read_wishes(line, memory, before))
    changes = changes_between(before, mandate)
    if not changes:
        return None
    return Turn(kind="what_if", mandate=mandate, changes=changes, notes=[*notes, *missing_numbers(line)])


def change(line: Line, memory: Memory, before: Mandate) -> Turn:
    """Read a line as a change of the mandate; where it changes nothing, say what it needs."""
    if line.has("intent.what_if", line.whole) and line.has("talk.event", line.whole):
        return Turn(kind="unclear", reason=EVENTS)
    if _is_bare_name(line):
        subject = subject_or_none(line, memory)
        return Turn(kind="unclear", reason=SAY_WHAT.format(subject.words if subject else line.quote(line.whole)))
    turn = changed_mandate(line, memory, before)
    return turn or Turn(kind="unclear", reason=why_unclear(line, memory, read_wishes(line, memory, before)))


def undone(line: Line, memory: Memory, before: Mandate) -> Turn | None:
    """Return the mandate before the last change, where a line says nothing but to go back to it."""
    fillers = line.words.words("talk.filler") | line.words.words("talk.opens")
    said = {at for match in line.find("talk.undoes") for at in match.span}
    rest = (line.word(at) for at in line.whole if at not in said)
    if not said or any(word not in fillers and word.isalnum() for word in rest):
        return None
    if not memory.earlier:
        return Turn(kind="unclear", reason=NOTHING_TO_UNDO)
    mandate = memory.earlier[-1]
    return Turn(kind="what_if", mandate=mandate, changes=changes_between(before, mandate))


def _is_bare_name(line: Line) -> bool:
    """Tell whether a line is nothing but the name of a protocol, token or chain, which could mean anything."""
    fillers = line.words.words("talk.filler")
    rest = [at for at in line.whole if line.word(at) not in fillers]
    return bool(rest) and all(
        line.is_kind(at, "protocol", "token", "chain") and not line.is_kind(at, "coin") for at in rest
    )
