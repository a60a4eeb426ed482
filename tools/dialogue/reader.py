"""The reader of a line in a conversation: words and what was said before → what is asked."""

from __future__ import annotations

from tools.dialogue.asking import about_answer, concept_of, explains
from tools.dialogue.changing import change, undone
from tools.dialogue.dates import UnreadableDay
from tools.dialogue.holding import held_back, is_income, only_asks
from tools.dialogue.merging import merge
from tools.dialogue.records import Memory, Turn, TurnKind
from tools.dialogue.rest import Rest
from tools.dialogue.sentences import ASK_FOR_ASSET, CANNOT_EXECUTE, INCOME, ONLY_A_QUESTION, sentence
from tools.dialogue.subjects import NoSuchPlace, subject_or_none
from tools.dialogue.vocabulary import line_of
from tools.dialogue.wishes import read_wishes, states_new_question
from tools.question import read
from tools.question.intent import foreign_assets, foreign_reason, refusal
from tools.question.line import Line
from tools.question.text import clean
from tools.records import Mandate

_ABOUT_THE_ANSWER: tuple[TurnKind, ...] = ("flips", "mind", "prices", "changed", "why_not")
# Words about what would move the answer ("when would it drop out") that look like a question about prices or trades.
_EXCUSED = frozenset({"prediction", "trading"})


def read_turn(text: str, memory: Memory) -> Turn:
    """Read a line of a conversation. A pure function: the same words after the same memory ask the same.

    Raises MandateError for a line that cannot be read, or limits that contradict each other.
    """
    line = line_of(clean(text))
    return _start_over(line) if line.has("talk.starts_over", line.whole) or _resets(line) else _read(line, memory)


def _resets(line: Line) -> bool:
    """Tell ``reset`` from ``reset the cap``: nothing stands beside it in its clause but courtesy."""
    before = line.words.words("talk.before_reset")
    for match in line.find("talk.resets"):
        clause = line.clause_of(match.start)
        around = (at for at in clause if at not in match.span)
        if all(line.word(at) in before for at in around):
            return True
    return False


def _read(line: Line, memory: Memory) -> Turn:
    about = next((kind for kind in _ABOUT_THE_ANSWER if line.has(f"talk.{kind}", line.whole)), None)
    out = _out_of_scope(line, about)
    if out is not None:
        return Turn(kind="out_of_scope", reason=out, subject=subject_or_none(line, memory))
    if memory.mandate is None or memory.mandate.asset is None:
        return _first(line, memory)
    back = undone(line, memory, memory.mandate)
    if back is not None:
        return back
    held = held_back(line, memory) if about is None else None
    if held is not None:
        return Turn(kind="unclear", reason=held)
    if only_asks(line):
        return _asked(line, memory, about)
    if about != "changed" and states_new_question(line.text) and not _asksabout_answer(line, about):
        return _anew(line)
    try:
        return about_answer(line, memory, about) or change(line, memory, memory.mandate)
    except (NoSuchPlace, UnreadableDay) as error:
        return Turn(kind="unclear", reason=sentence(str(error)))


def _asked(line: Line, memory: Memory, about: TurnKind | None) -> Turn:
    """Read a question that changes nothing, whatever it names."""
    try:
        turn = about_answer(line, memory, about)
    except (NoSuchPlace, UnreadableDay) as error:
        return Turn(kind="unclear", reason=sentence(str(error)))
    return Turn(kind="unclear", reason=ONLY_A_QUESTION) if turn is None or turn.changes else turn


def _start_over(line: Line) -> Turn:
    """Read what stands beside ``start over`` as a first question; without an asset, ask for one."""
    rest = Rest(line)
    rest.take("starts_over")
    rest.take("resets")
    if not any(letter.isalnum() for letter in rest.text()):
        return Turn(kind="unclear", forget=True, reason=ASK_FOR_ASSET)
    return _read(line_of(clean(rest.text())), Memory()).model_copy(update={"forget": True})


def _out_of_scope(line: Line, about: TurnKind | None) -> str | None:
    """Return why a line is out of scope, in a sentence; words about the answer excuse talk of rates that drop."""
    refused = refusal(line)
    if refused is not None and not (about is not None and refused.name in _EXCUSED):
        return sentence(refused.reason)
    if about is None and line.has("talk.execution", line.whole):
        return CANNOT_EXECUTE
    if any(line.asset_at(place) for place in line.whole):
        return None
    if concept_of(line) is not None and explains(line):
        return None
    named = [name for name in foreign_assets(line) if not _is_kept_out(line, name)] or _in_place_of_asset(line)
    return sentence(foreign_reason(named[0])) if named else None


def _in_place_of_asset(line: Line) -> list[str]:
    """Return what stands where an asset would, ``same for SOL``, and is another coin even where it is also a word."""
    places = [match.end for match in line.find("talk.same_for") if match.end < len(line.lexemes)]
    words = (range(at, at + 1) for at in places if not line.lexemes[at].readings)
    return [line.quote(span) for span in words if "foreign" in line.words.names.get((line.word(span.start),), {})]


def _is_kept_out(line: Line, name: str) -> bool:
    """Tell whether the words keep out what is foreign: ``no SOL please``."""
    places = [at for at in line.whole if line.quote(range(at, at + 1)) == name]
    return all(line.has("names.refuse", range(max(at - 2, 0), at)) for at in places if at > 0) and places != [0]


# ---------------------------------------------------------------- a first question, or a new one


def _first(line: Line, memory: Memory) -> Turn:
    """Read a line before which nothing was solved."""
    known = memory.mandate or Mandate()
    concept = concept_of(line)
    reading = read(line.text, before=known)
    if is_income(line, reading.mandate):
        return Turn(kind="unclear", reason=INCOME, mandate=memory.mandate)
    amount = not reading.stated.isdisjoint({"amount", "amount_usd"})
    if concept is not None and not amount and explains(line):
        return Turn(kind="explain", concept=concept)
    if reading.mandate.intent == "explain" and not amount:
        subject = subject_or_none(line, memory)
        if subject is not None and line.has("talk.explain", line.whole) and not line.has("talk.why", line.whole):
            return Turn(kind="explain", subject=subject)
        return Turn(kind="unclear", reason=ASK_FOR_ASSET, mandate=memory.mandate)
    if memory.mandate is None:
        mandate, notes = reading.mandate, reading.mandate.notes
    else:
        mandate, notes = merge(known, read_wishes(line, memory, known))
    if mandate.asset is not None:
        return Turn(kind="recommend", mandate=mandate, notes=notes)
    kept = mandate if mandate != Mandate(intent=mandate.intent) else None
    return Turn(kind="unclear", reason=ASK_FOR_ASSET, mandate=kept, notes=notes)


def _anew(line: Line) -> Turn:
    mandate = read(line.text).mandate
    return Turn(kind="recommend", mandate=mandate, forget=True, notes=mandate.notes)


def _asksabout_answer(line: Line, about: TurnKind | None) -> bool:
    """Tell whether a line opens with words about the answer; then amounts and assets in it are the answer's."""
    kinds = (about, "why") if about else ("why",)
    return any(match.start <= 1 for kind in kinds for match in line.find(f"talk.{kind}"))
