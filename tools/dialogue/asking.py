"""What is asked about the last answer: why, why not, what it cost, what would move it, what a term means."""

from __future__ import annotations

from typing import get_args

from tools.dialogue.changing import changed_mandate
from tools.dialogue.concepts import load_concepts
from tools.dialogue.dates import UnreadableDay, day_meant
from tools.dialogue.records import Memory, Subject, Turn, TurnKind
from tools.dialogue.sentences import NAME_SOMETHING
from tools.dialogue.subjects import is_by_place, read_subject, subject_or_none
from tools.question.intent import intent_of
from tools.question.line import Line
from tools.records import Mandate, ProfileId

_LIMIT_OF = {
    "weight": "max_weight", "pools": "max_pools", "min_apy": "min_apy", "min_tvl_usd": "min_tvl_usd",
    "drawdown": "max_drawdown", "var": "max_var_95", "horizon": "horizon_days", "risk": "risk", "il": "allow_il",
}  # fmt: skip


def about_answer(line: Line, memory: Memory, about: TurnKind | None) -> Turn | None:
    """Return what is asked about the last answer, None when the line asks for another one.

    Raises NoSuchPlace and UnreadableDay for a place or a day that cannot be told.
    """
    if about == "changed":
        return _changed(line, memory)
    if about == "prices":
        return _prices(line, memory)
    if about == "mind":
        return Turn(kind="mind")
    subject = read_subject(line, memory)
    if about == "flips":
        return Turn(kind="flips", subject=subject)
    if line.has("talk.rate_event", line.whole) and subject is not None:
        return Turn(kind="flips", subject=subject, notes=[line.quote(line.whole)])
    if line.has("talk.why_not_do", line.whole):
        return None
    if about == "why_not" or _is_suggested(line):
        return _why_not(line, memory, subject)
    return _why_or_explain(line, memory, subject)


def _is_suggested(line: Line) -> bool:
    """Tell whether a line puts something forward: ``what about Aave?``, ``is sUSDe not better?``."""
    better = line.has("talk.better", line.whole) and all(line.word(at) != "than" for at in line.whole)
    return better or (line.has("talk.what_about", line.whole) and not line.has("talk.goes_on", line.whole))


def _changed(line: Line, memory: Memory) -> Turn | None:
    """Return what changed since a day; without one, since the last run. Raises UnreadableDay."""
    day = day_meant(line.text, memory.as_of) or memory.as_of
    if day is None:
        raise UnreadableDay("there is no run yet to compare with; name a day as YYYY-MM-DD")
    if memory.as_of is not None and day > memory.as_of:
        raise UnreadableDay(f"{day} lies after the day of the last run, {memory.as_of}")
    return Turn(kind="changed", mandate=memory.mandate, since=day.isoformat())


def _prices(line: Line, memory: Memory) -> Turn | None:
    """Return what limits cost; a limit that is not there yet (``without Aave, what would I lose``) is a wish."""
    limits, named = _limits(line, memory), subject_or_none(line, Memory())
    if named is not None and not limits:
        return changed_mandate(line, memory, memory.mandate or Mandate()) or Turn(kind="prices")
    return Turn(kind="prices", limits=limits)


def _limits(line: Line, memory: Memory) -> list[str]:
    """Return the fields of the mandate whose price is asked, in its order; none stands for all."""
    named = {field for word, field in _LIMIT_OF.items() if line.has(f"talk.limit_{word}", line.whole)}
    mandate = memory.mandate or Mandate()
    subject = subject_or_none(line, Memory())
    if subject is not None:
        for kind, names in (("protocols", subject.families), ("chains", subject.chains), ("tokens", subject.tokens)):
            sides = (side for side in ("include", "exclude") if set(names) & set(getattr(mandate, f"{kind}_{side}")))
            named |= {f"{kind}_{side}" for side in sides}
        named |= {"profile"} if subject.profile is not None else set()
    return [name for name in Mandate.model_fields if name in named]


def _why_not(line: Line, memory: Memory, subject: Subject | None) -> Turn | None:
    """Return why something was not chosen; ``why not 4 pools`` names no thing and is a wish."""
    if subject is not None and subject.is_named:
        return Turn(kind="why_not", subject=subject)
    turn = changed_mandate(line, memory, memory.mandate or Mandate())
    if turn is not None:
        return turn
    if memory.subject is not None:
        return Turn(kind="why_not", subject=memory.subject)
    return Turn(kind="unclear", reason=NAME_SOMETHING)


def _why_or_explain(line: Line, memory: Memory, subject: Subject | None) -> Turn | None:
    concept = concept_of(line)
    if line.has("intent.what_if", line.whole):
        return None
    if line.has("talk.why", line.whole):
        if concept is not None and (subject is None or not subject.is_named or subject is memory.subject):
            return Turn(kind="explain", concept=concept)
        return Turn(kind="why", subject=subject)
    if intent_of(line) == "compare" or line.has("talk.compare", line.whole):
        if subject is None and concept is not None and not line.has("talk.benchmark", line.whole):
            return Turn(kind="explain", concept=concept)
        named_here = None if subject is memory.subject else subject
        return Turn(kind="compare", subject=named_here or _other_subject(line) or subject)
    if not explains(line):
        return None
    named = subject is not None and subject.is_named
    if named and (is_by_place(line) or concept is None):
        return Turn(kind="explain", subject=subject)
    return Turn(kind="explain", concept=concept) if concept is not None else None


def _other_subject(line: Line) -> Subject | None:
    """Return the words of what no list of names holds: holding, a Treasury bill."""
    words = line.find("talk.benchmark")
    return Subject(words=line.quote(words[0].span)) if words else None


def concept_of(line: Line) -> str | None:
    """Return the term that the line names: the longest, of equals the first."""
    found = [(-len(match.span), match.start, name) for name in load_concepts() for match in line.find(f"term.{name}")]
    return min(found)[2] if found else None


def explains(line: Line) -> bool:
    """Tell whether the words ask what something is, or are nothing but its name."""
    if line.has("talk.explain", line.whole):
        return True
    terms = {at for name in load_concepts() for match in line.find(f"term.{name}") for at in match.span}
    terms -= {at for name in get_args(ProfileId) for match in line.find(f"term.{name}") for at in match.span}
    fillers = line.words.words("talk.filler")
    return bool(terms) and all(at in terms or line.word(at) in fillers for at in line.whole)
