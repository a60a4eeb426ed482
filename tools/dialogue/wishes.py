"""What a line changes of the mandate before: words that mean something only beside it, then those of a question.

The first kind (``less risk``, ``also allow Base again``, ``without the cap``) is taken out of the text before
``tools.question`` reads the rest, so that nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tools.dialogue.merging import KINDS, Wishes
from tools.dialogue.records import Memory
from tools.dialogue.relative import (
    count_pools,
    leave_out_old_value,
    move_amount,
    read_bare_amount,
    read_least_size,
    read_part_back,
)
from tools.dialogue.rest import Rest
from tools.dialogue.vocabulary import line_of
from tools.question import read
from tools.question.grammar import Match
from tools.question.line import Line
from tools.records import Mandate, RiskLevel
from tools.strategies.profiles import RISK_ORDER

_LIST_OF = {"protocol": "protocols", "chain": "chains", "token": "tokens"}
_GLUE = frozenset({",", "and", "or", "/", "&", "plus", "the", "also", "on", "nor", "pools", "then"})
_LIFTED = {
    "max_weight": ("max_weight",), "pools": ("min_pools", "max_pools"), "min_apy": ("min_apy",),
    "min_tvl_usd": ("min_tvl_usd",), "max_drawdown": ("max_drawdown",), "max_var_95": ("max_var_95",),
    "horizon_days": ("horizon_days",), "profile": ("profile",),
    "chains": ("chains_include", "chains_exclude"), "protocols": ("protocols_include", "protocols_exclude"),
    "tokens": ("tokens_include", "tokens_exclude"),
}  # fmt: skip
_LIMITS = ("allow_il", *(name for names in _LIFTED.values() for name in names))


def read_wishes(line: Line, memory: Memory, before: Mandate) -> Wishes:
    """Read what a line changes of the mandate before; what fits nothing stands in the notes.

    Raises MandateError as the question's reader does.
    """
    wishes, rest = Wishes(), Rest(line)
    leave_out_old_value(rest)
    _lift(rest, wishes)
    _read_level(rest, wishes)
    step = _risk_step(rest)
    count_pools(rest, wishes, memory)
    move_amount(rest, wishes, before)
    read_least_size(rest, wishes)
    wishes.notes += [line.quote(match.span) for name in ("tilts", "by_share") for match in rest.take(name)]
    _read_names(rest, wishes, before)
    _read_rest(rest, wishes, before)
    if step:
        _step_risk(wishes, before, step)
    elif "risk" in wishes.values and before.profile is not None:
        wishes.values.setdefault("profile", None)
    read_part_back(line, wishes)
    read_bare_amount(line, wishes, before)
    return wishes


# ---------------------------------------------------------------- limits that go


def _lift(rest: Rest, wishes: Wishes) -> None:
    if rest.take("lift_all"):
        wishes.values.update({name: [] if name.endswith("clude") else None for name in _LIMITS})
    for name, fields in _LIFTED.items():
        if rest.take(f"lift_{name}"):
            wishes.values.update({field: [] if field.endswith("clude") else None for field in fields})


# ---------------------------------------------------------------- risk, one level at a time


def _read_level(rest: Rest, wishes: Wishes) -> None:
    """Read ``back to low``, which names a level of risk where nothing follows."""
    for level in RISK_ORDER:
        if rest.take(f"back_to_{level}", lambda line, match: match.end == line.clause_of(match.start).stop):
            wishes.values["risk"] = level


def _risk_step(rest: Rest) -> int:
    """Return -1 for less risk, 1 for more, 0 where the words say neither or both."""
    return int(bool(rest.take("more_risk"))) - int(bool(rest.take("less_risk")))


def _step_risk(wishes: Wishes, before: Mandate, step: int) -> None:
    """Move one level; a level that the words name as well goes first, and at the end of the scale a note says so."""
    if "risk" in wishes.values:
        return
    at = RISK_ORDER.index(before.risk) + step
    if not 0 <= at < len(RISK_ORDER):
        wishes.end_of_scale = _end_of_scale(before.risk)
        return
    level: RiskLevel = RISK_ORDER[at]
    wishes.values["risk"] = level
    if before.profile is not None:  # a named profile is used whatever the risk: it would undo the step
        wishes.values.setdefault("profile", None)


def _end_of_scale(risk: RiskLevel) -> str:
    if risk == "low":
        return (
            "risk is at its lowest level already; name the Ultra Safe profile, a smaller cap per pool or a largest loss"
        )
    return "risk is at its highest level already; name the Maximum Yield or High Risk profile, or lift a limit"


# ---------------------------------------------------------------- names in and out


def _read_names(rest: Rest, wishes: Wishes, before: Mandate) -> None:
    """Read ``also allow Base again`` and ``get rid of Morpho``, which a question has no words for."""
    for match in rest.take("lift_names"):
        _put(rest, match.captures.values(), wishes.allowed)
    for cue in rest.line.find("talk.drop_before"):
        if _is_denied(rest.line, cue):
            continue
        _take_names(rest, cue, wishes.excluded)
    for cue in rest.line.find("talk.allow_before"):
        if rest.line.word(cue.start - 1) not in _not_allowing(rest.line):
            _take_names(rest, cue, wishes.allowed)
    for name, into in (("allow_after", wishes.allowed), ("drop_after", wishes.excluded)):
        for cue in rest.line.find(f"talk.{name}"):
            _take_names_before(rest, cue, into)


def _is_denied(line: Line, cue: Match) -> bool:
    """Tell ``don't kick out Aave`` and ``it's not that I don't like Aave`` from what they deny."""
    return line.has("not", range(max(cue.start - 4, line.clause_of(cue.start).start), cue.start))


def _not_allowing(line: Line) -> frozenset[str]:
    return frozenset(line.words.grammar.lists["talk.not_allow"])


def _take_names(rest: Rest, cue: Match, into: dict[str, set[str]]) -> None:
    places = list(_names_from(rest, cue.end))
    if places:
        _put(rest, places, into)
        rest.taken.update(range(cue.start, places[-1] + 1))


def _names_from(rest: Rest, start: int) -> Iterator[int]:
    """Yield the places of the names that stand together from here on."""
    at = start
    while at < len(rest.line.lexemes) and at not in rest.taken:
        if _kind(rest.line, at):
            yield at
        elif rest.line.word(at) not in _GLUE:
            return
        at += 1


def _take_names_before(rest: Rest, cue: Match, into: dict[str, set[str]]) -> None:
    """Take the names right before ``again``, ``is fine`` or ``off the list``, unless kept out before."""
    at = cue.start - 1
    places: list[int] = []
    while at >= 0 and at not in rest.taken and (_kind(rest.line, at) or rest.line.word(at) in _GLUE):
        places += [at] if _kind(rest.line, at) else []
        at -= 1
    before = rest.line.word(at)
    refused = before in _not_allowing(rest.line) or rest.line.has("names.refuse", _clause_before(rest.line, places, at))
    if places and not refused:
        _put(rest, places, into)
        rest.taken.update(range(min(places), cue.end))


def _clause_before(line: Line, places: Sequence[int], at: int) -> range:
    """Return the last words before the names within their clause."""
    start = line.clause_of(min(places)).start if places else at
    return range(max(at - 2, start), max(at + 1, start))


def _put(rest: Rest, places: Iterable[int], into: dict[str, set[str]]) -> None:
    for place in places:
        kind = _kind(rest.line, place)
        if kind:
            into.setdefault(_LIST_OF[kind], set()).add(rest.line.lexemes[place].get(kind))


def _kind(line: Line, place: int) -> str | None:
    """Return what a name is; a coin such as ETH is an asset and no name."""
    readings = line.lexemes[place].readings
    if "coin" in readings and not ("chain" in readings and line.word(place - 1) in {"on", "allow", "add", "also"}):
        return None
    return next((kind for kind in _LIST_OF if kind in readings), None)


# ---------------------------------------------------------------- the rest, as a question


def _read_rest(rest: Rest, wishes: Wishes, before: Mandate) -> None:
    text = rest.text()
    if not any(letter.isalnum() for letter in text):
        return
    reading = read(text, before=before)
    found = reading.mandate.model_dump()
    for name in reading.stated - {"intent"}:
        kind, _, side = name.partition("_")
        if kind in KINDS:
            lists = wishes.only if side == "include" else wishes.excluded
            lists.setdefault(kind, set()).update(found[name])
        else:
            wishes.values[name] = found[name]
    wishes.notes += reading.mandate.notes


def states_new_question(text: str) -> bool:
    """Tell whether a line stands alone as a question: it says what is held and how much, or what is held and asks.

    Words that go on from what was said before (same, instead, what if, also, and …) make it none.
    """
    line = line_of(text)
    if line.has("talk.goes_on", line.whole) or line.match_at("talk.opens", line.whole):
        return False
    stated = read(text).stated
    amount = not stated.isdisjoint({"amount", "amount_usd"})
    if "asset" not in stated:
        return False
    others = stated - {"asset", "amount", "amount_usd", "intent"}
    return (amount and (bool(others) or line.has("talk.asks", line.whole))) or (
        not amount and line.has("talk.asks", line.whole) and bool(line.find("intent.recommend"))
    )
