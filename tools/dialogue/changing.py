"""Another answer: the mandate before with what a line changes."""

from __future__ import annotations

from tools.dialogue.holding import lacks_unit
from tools.dialogue.merging import changes_between, merge
from tools.dialogue.records import Memory, Turn
from tools.dialogue.sentences import (
    EVENTS,
    NOTHING_TO_UNDO,
    SAME_AS_NOW,
    SAY_WHAT,
    TOO_FAR_BACK,
    UNDO_ALONE,
    missing_numbers,
    why_unclear,
)
from tools.dialogue.subjects import subject_or_none
from tools.dialogue.vocabulary import line_of
from tools.dialogue.wishes import read_wishes
from tools.question.grammar import Match
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
    reason = lacks_unit(line, before, mandate)
    if reason is not None:
        return Turn(kind="unclear", reason=reason)
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
    """Return a mandate before this one, where a line says nothing but to go back to it.

    What stands behind ``undo that and`` is a change of the mandate gone back to.
    """
    steps, twice = line.find("talk.undoes_steps"), line.find("talk.undoes_twice")
    matches = steps or twice or line.find("talk.undoes")
    said = {at for match in matches for at in match.span}
    fillers = line.words.words("talk.filler") | line.words.words("talk.opens") | line.words.words("talk.undo_filler")
    rest = [at for at in line.whole if at not in said and line.word(at) not in fillers and _says(line, at)]
    count = int(line.lexemes[steps[0].captures["steps"]].get("num")) if steps else 2 if twice else 1
    if not said:
        return None
    if rest:
        return _undone_and(line, memory, before, matches[0]) if min(rest) >= matches[0].end else None
    if not 1 <= count <= len(memory.earlier):
        return Turn(kind="unclear", reason=TOO_FAR_BACK if memory.earlier else NOTHING_TO_UNDO)
    return _back_to(before, memory.earlier[-count])


def _says(line: Line, place: int) -> bool:
    return line.is_number(place) or line.word(place).isalnum()


def _back_to(before: Mandate, mandate: Mandate) -> Turn:
    changes = changes_between(before, mandate)
    if not changes:
        return Turn(kind="unclear", reason=SAME_AS_NOW)
    return Turn(kind="what_if", mandate=mandate, changes=changes)


def _undone_and(line: Line, memory: Memory, before: Mandate, undo: Match) -> Turn | None:
    """Read ``undo that and exclude Curve``: the mandate before, then the change."""
    sure = line.words.words("talk.undo_for_sure")
    if line.word(undo.end) not in line.words.words("talk.undo_joins") or not any(
        line.word(at) in sure for at in undo.span
    ):
        return None
    if not memory.earlier:
        return Turn(kind="unclear", reason=NOTHING_TO_UNDO)
    earlier = memory.earlier[-1]
    text = line.text[line.lexemes[undo.end].end :]
    turn = changed_mandate(line_of(text), memory.model_copy(update={"mandate": earlier}), earlier)
    if turn is None:
        return Turn(kind="unclear", reason=UNDO_ALONE)
    if turn.mandate is None:
        return turn
    back = _back_to(before, turn.mandate)
    return back.model_copy(update={"notes": turn.notes}) if back.mandate is not None else back


def _is_bare_name(line: Line) -> bool:
    """Tell whether a line is nothing but the name of a protocol, token or chain, which could mean anything."""
    fillers = line.words.words("talk.filler")
    rest = [at for at in line.whole if line.word(at) not in fillers]
    return bool(rest) and all(
        line.is_kind(at, "protocol", "token", "chain") and not line.is_kind(at, "coin") for at in rest
    )
