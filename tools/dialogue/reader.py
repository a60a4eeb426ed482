"""The reader of a line in a conversation: words and what was said before → what is asked."""

from __future__ import annotations

from typing import get_args

from tools.dialogue.concepts import load_concepts
from tools.dialogue.dates import UnreadableDay, day_meant
from tools.dialogue.merging import Wishes, changes_between, merge
from tools.dialogue.records import Memory, Subject, Turn, TurnKind
from tools.dialogue.subjects import NoSuchPlace, is_by_place, read_subject
from tools.dialogue.vocabulary import line_of
from tools.dialogue.wishes import read_wishes, states_new_question
from tools.question import read
from tools.question.intent import foreign_assets, foreign_reason, intent_of, refusal
from tools.question.line import Line
from tools.question.text import clean
from tools.records import Mandate, ProfileId

ASK_FOR_ASSET = (
    "Say first what you hold: ETH, BTC or dollars, for example 'Put 250 ETH to work, low risk'; "
    "everything else can be asked about the answer."
)
NOT_UNDERSTOOD = (
    "That was not understood. Change a limit ('less risk', 'without Curve', 'at most 20% per pool'), ask 'why not' of "
    "a pool, protocol or profile, what each limit costs, when a pool would be left, or what a term means."
)
_EXECUTION = (
    "Plimsoll advises and cannot move money: it holds no keys and sends no transactions; the answer lists what to deposit "
    "where."
)
_ABOUT_THE_ANSWER: tuple[TurnKind, ...] = ("flips", "mind", "prices", "changed", "why_not")
# Words about what would move the answer ("when would it drop out") that look like a question about prices or trades.
_EXCUSED = frozenset({"prediction", "trading"})
_LIMIT_OF = {
    "weight": "max_weight", "pools": "max_pools", "min_apy": "min_apy", "min_tvl_usd": "min_tvl_usd",
    "drawdown": "max_drawdown", "var": "max_var_95", "horizon": "horizon_days", "risk": "risk", "il": "allow_il",
}  # fmt: skip


def read_turn(text: str, memory: Memory) -> Turn:
    """Read a line of a conversation. A pure function: the same words after the same memory ask the same.

    Raises MandateError for a line that cannot be read, or limits that contradict each other.
    """
    line = line_of(clean(text))
    if line.has("talk.starts_over", line.whole):
        return _start_over(line)
    about = next((kind for kind in _ABOUT_THE_ANSWER if line.has(f"talk.{kind}", line.whole)), None)
    out = _out_of_scope(line, about)
    if out is not None:
        return Turn(kind="out_of_scope", reason=out, subject=_subject_or_none(line, memory))
    if memory.mandate is None or memory.mandate.asset is None:
        return _first(line, memory)
    if about != "changed" and states_new_question(line.text) and not _asks_about_answer(line, about):
        return _anew(line)
    try:
        return _about_answer(line, memory, about) or _change(line, memory, memory.mandate)
    except (NoSuchPlace, UnreadableDay) as error:
        return Turn(kind="unclear", reason=f"{str(error)[:1].upper()}{str(error)[1:]}.")


def _start_over(line: Line) -> Turn:
    """Read what stands beside ``start over`` as a first question; without an asset, ask for one."""
    cue = line.find("talk.starts_over")[0]
    rest = line.text[: line.lexemes[cue.start].start] + line.text[line.lexemes[cue.end - 1].end :]
    if not any(letter.isalnum() for letter in rest):
        return Turn(kind="unclear", forget=True, reason=ASK_FOR_ASSET)
    turn = read_turn(rest, Memory())
    return turn.model_copy(update={"forget": True})


def _out_of_scope(line: Line, about: TurnKind | None) -> str | None:
    """Return why a line is out of scope, in a sentence; words about the answer excuse talk of rates that drop."""
    refused = refusal(line)
    if refused is not None and not (about is not None and refused.name in _EXCUSED):
        return _sentence(refused.reason)
    if about is None and line.has("talk.execution", line.whole):
        return _EXECUTION
    if any(line.asset_at(place) for place in line.whole):
        return None
    named = [name for name in foreign_assets(line) if not _is_kept_out(line, name)]
    return _sentence(foreign_reason(named[0])) if named else None


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _is_kept_out(line: Line, name: str) -> bool:
    """Tell whether the words keep out what is foreign: ``no SOL please``."""
    places = [at for at in line.whole if line.quote(range(at, at + 1)) == name]
    return all(line.has("names.refuse", range(max(at - 2, 0), at)) for at in places if at > 0) and places != [0]


# ---------------------------------------------------------------- a first question, or a new one


def _first(line: Line, memory: Memory) -> Turn:
    """Read a line before which nothing was solved."""
    known = memory.mandate or Mandate()
    concept = _concept(line)
    reading = read(line.text, before=known)
    amount = not reading.stated.isdisjoint({"amount", "amount_usd"})
    if concept is not None and not amount and _explains(line):
        return Turn(kind="explain", concept=concept)
    if reading.mandate.intent == "explain" and not amount:
        subject = _subject_or_none(line, memory)
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


def _asks_about_answer(line: Line, about: TurnKind | None) -> bool:
    """Tell whether a line opens with words about the answer; then amounts and assets in it are the answer's."""
    kinds = (about, "why") if about else ("why",)
    return any(match.start <= 1 for kind in kinds for match in line.find(f"talk.{kind}"))


# ---------------------------------------------------------------- about the answer


def _subject_or_none(line: Line, memory: Memory) -> Subject | None:
    try:
        return read_subject(line, memory)
    except NoSuchPlace:
        return None


def _about_answer(line: Line, memory: Memory, about: TurnKind | None) -> Turn | None:
    """Return what is asked about the last answer, None when the line asks for another one.

    Raises NoSuchPlace and UnreadableDay for a place or a day that cannot be told.
    """
    if about == "changed":
        return _changed(line, memory)
    if about == "prices":
        return Turn(kind="prices", limits=_limits(line, memory))
    if about == "mind":
        return Turn(kind="mind")
    subject = read_subject(line, memory)
    if about == "flips":
        return Turn(kind="flips", subject=subject)
    if about == "why_not" or (line.has("talk.what_about", line.whole) and not line.has("talk.goes_on", line.whole)):
        return _why_not(line, memory, subject)
    return _why_or_explain(line, memory, subject)


def _changed(line: Line, memory: Memory) -> Turn | None:
    """Return what changed since a day; without one, since the last run. Raises UnreadableDay."""
    day = day_meant(line.text, memory.as_of) or memory.as_of
    if day is None:
        raise UnreadableDay("there is no run yet to compare with; name a day as YYYY-MM-DD")
    if memory.as_of is not None and day > memory.as_of:
        raise UnreadableDay(f"{day} lies after the day of the last run, {memory.as_of}")
    return Turn(kind="changed", mandate=memory.mandate, since=day.isoformat())


def _limits(line: Line, memory: Memory) -> list[str]:
    """Return the fields of the mandate whose price is asked, in its order; none stands for all."""
    named = {field for word, field in _LIMIT_OF.items() if line.has(f"talk.limit_{word}", line.whole)}
    mandate = memory.mandate or Mandate()
    subject = _subject_or_none(line, Memory())
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
    turn = _changed_mandate(line, memory, memory.mandate or Mandate())
    if turn is not None:
        return turn
    if memory.subject is not None:
        return Turn(kind="why_not", subject=memory.subject)
    return Turn(
        kind="unclear",
        reason="Name what you mean: a pool, a protocol, a token, a chain, a profile or a place in the order.",
    )


def _why_or_explain(line: Line, memory: Memory, subject: Subject | None) -> Turn | None:
    concept = _concept(line)
    if line.has("intent.what_if", line.whole):
        return None
    if line.has("talk.why", line.whole):
        if concept is not None and (subject is None or not subject.is_named or subject is memory.subject):
            return Turn(kind="explain", concept=concept)
        return Turn(kind="why", subject=subject)
    if intent_of(line) == "compare" or line.has("talk.compare", line.whole):
        if subject is None and concept is not None and not line.has("talk.benchmark", line.whole):
            return Turn(kind="explain", concept=concept)
        return Turn(kind="compare", subject=subject or _other_subject(line))
    if not _explains(line):
        return None
    if subject is not None and subject.is_named and (is_by_place(line) or concept is None) and subject.profile is None:
        return Turn(kind="explain", subject=subject)
    return Turn(kind="explain", concept=concept) if concept is not None else None


def _other_subject(line: Line) -> Subject | None:
    """Return the words of what no list of names holds: holding, a Treasury bill."""
    words = line.find("talk.benchmark")
    return Subject(words=line.quote(words[0].span)) if words else None


def _concept(line: Line) -> str | None:
    """Return the term that the line names: the longest, of equals the first."""
    found = [(-len(match.span), match.start, name) for name in load_concepts() for match in line.find(f"term.{name}")]
    return min(found)[2] if found else None


def _explains(line: Line) -> bool:
    """Tell whether the words ask what something is, or are nothing but its name."""
    if line.has("talk.explain", line.whole):
        return True
    terms = {at for name in load_concepts() for match in line.find(f"term.{name}") for at in match.span}
    terms -= {at for name in get_args(ProfileId) for match in line.find(f"term.{name}") for at in match.span}
    fillers = line.words.words("talk.filler")
    return bool(terms) and all(at in terms or line.word(at) in fillers for at in line.whole)


# ---------------------------------------------------------------- another answer


def _changed_mandate(line: Line, memory: Memory, before: Mandate) -> Turn | None:
    """Return the mandate with what the line changes, None when that is nothing."""
    mandate, notes = merge(before, read_wishes(line, memory, before))
    changes = changes_between(before, mandate)
    if not changes:
        return None
    return Turn(kind="what_if", mandate=mandate, changes=changes, notes=[*notes, *_missing_numbers(line)])


def _change(line: Line, memory: Memory, before: Mandate) -> Turn:
    return _changed_mandate(line, memory, before) or Turn(kind="unclear", reason=_unclear(line, memory, before))


_MISSING = {
    "yield": "say how much it should pay at least, for example 'at least 8%', or ask for more risk",
    "days": "say for how long, for example 'for 6 months'",
    "cap": "say how much, for example 'at most 20% per pool'",
    "size": "say how large a pool must be, for example 'TVL over $50m'",
    "amount": "say how much, for example 'what if I had 500k?'",
}


def _missing_numbers(line: Line) -> list[str]:
    """Return, for each wish that needs a number and has none, what to say."""
    return [text for name, text in _MISSING.items() if line.has(f"talk.needs_{name}", line.whole)]


def _unclear(line: Line, memory: Memory, before: Mandate) -> str:
    """Return what a line that changes nothing needs, in one sentence."""
    wishes = read_wishes(line, memory, before)
    missing = _missing_numbers(line)
    if missing:
        return _sentence(missing[0])
    if line.has("intent.what_if", line.whole) and line.has("notes.event", line.whole):
        return (
            "What can go wrong stands in the answer's risks and in `plimsoll risk stress`; here a what-if changes what "
            "you hold or a limit, for example 'what if I leave out Aave?'."
        )
    if not wishes.are_none:
        return _stands_already(wishes)
    if is_by_place(line):
        return "A single pool cannot be kept out by itself: name its protocol, its token or its chain, for example 'no Curve'."
    if wishes.notes:
        return (
            _sentence(f"no limit can hold that: {wishes.notes[0]}")
            if not _ends_scale(wishes)
            else _sentence(wishes.notes[0])
        )
    subject = _subject_or_none(line, memory)
    if subject is not None and subject.is_named and subject is not memory.subject:
        return f"Say what to do about it: 'no {subject.words}', 'only {subject.words}' or 'why not {subject.words}?'."
    return NOT_UNDERSTOOD


def _ends_scale(wishes: Wishes) -> bool:
    return wishes.notes[0].startswith("risk is at its")


def _stands_already(wishes: Wishes) -> str:
    names = sorted(name for names in wishes.allowed.values() for name in names)
    if names:
        return f"Nothing in your limits keeps {' or '.join(names)} out; ask 'why not?' to see what it would take."
    return "That changes nothing: your limits say so already."
