"""Chains, protocols and tokens that the words let in or keep out.

Names that stand together (``Curve, Pendle or USDT``) form a group; the words before and behind it say what is meant
with all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.question.grammar import Match
from tools.question.lexicon import lexicon
from tools.question.line import Draft, Line

_KINDS = ("chain", "protocol", "token")
_FIELDS = {"chain": "chains", "protocol": "protocols", "token": "tokens"}
# What the phrase lists before a name mean: let in, keep out, prefer, or nothing; of several the nearest counts.
_BEFORE = {
    "only_refuse": "include", "only": "include", "refuse": "exclude", "soft": "note",
    "open_refuse": "nothing", "not_only": "nothing", "held": "nothing",
}  # fmt: skip
_BEHIND = {"refuse_after": "exclude", "only_after": "include", "soft_after": "note", "too": "too"}
# The kinds of names that each meaning reaches.
_REACHES: Mapping[str, tuple[str, ...]] = {
    "include": _KINDS, "exclude": _KINDS, "place": ("chain", "protocol"), "compare": ("chain", "protocol"),
    "bare_on": ("chain", "protocol"), "bare": ("chain",),
}  # fmt: skip
_ASSET_COINS = frozenset({"ETH", "BTC"})
_PLACES = frozenset({"on", "in", "at", "via", "with"})
_LEADS_ON = _PLACES | {"using", "through", "up", "for", "if"}
_REACH = 8  # words between "no" and the name: "don't want to use anything on Polygon"
_GLUE = 5  # words between two names of one group


@dataclass
class Names:
    """``lists`` maps a mandate field to its names.

    ``excluded`` are the places of the names kept out, ``chains`` of those read as chains.
    """

    lists: dict[str, set[str]] = field(default_factory=dict)
    excluded: set[int] = field(default_factory=set)
    chains: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Group:
    """Names that belong together: their places, and the lexemes [start, end) they span."""

    places: tuple[int, ...]
    end: int

    @property
    def start(self) -> int:
        """Return the place of the first name."""
        return self.places[0]


def read_names(line: Line, draft: Draft, intent: str) -> Names:
    """Read what is let in and kept out; what is only preferred becomes a note."""
    names, last = Names(), None
    cues = _cues(line)
    for group in _groups(line):
        for part, meaning in _meanings(line, cues, group, last, intent):
            if intent != "out_of_scope" or meaning in {"include", "exclude"}:
                _apply(line, draft, names, part, meaning)
            last = meaning
    _note_classes(line, draft)
    _note_what_is_left(line, draft)
    for name, values in names.lists.items():
        draft.values[name] = sorted(values)
    return names


def _groups(line: Line) -> Iterator[Group]:
    at = 0
    while at < len(line.lexemes):
        if not _is_name(line, at):
            at += 1
            continue
        places = [at]
        while (following := _next_name(line, places[-1])) is not None:
            places.append(following)
        yield Group(tuple(places), places[-1] + 1)
        at = places[-1] + 1


def _is_name(line: Line, place: int) -> bool:
    """Tell whether a lexeme is a name that no number counts: 750k USDC and USDC 40k are amounts."""
    readings = line.lexemes[place].readings
    if place in line.used or readings.keys().isdisjoint(_KINDS):
        return False
    counted = place - 1 not in line.used and line.is_kind(place - 1, "num", "usd", "unclear", "range")
    counts = place + 1 not in line.used and line.is_kind(place + 1, "num", "unclear") and "token" in readings
    return not counted and not (counts and line.coin_behind(place + 1) is None)


def _next_name(line: Line, place: int) -> int | None:
    """Return the place of the next name of the group: only glue between, and of that at least one comma, and, or."""
    glue, words = lexicon().words("names.glue"), lexicon().words("names.glue_words")
    joined = apart = False
    for at in range(place + 1, min(place + 1 + _GLUE, len(line.lexemes))):
        if _is_name(line, at):
            return at if joined and not apart else None
        word = line.word(at)
        if word not in glue | words:
            return None
        # "no Curve, on Base" are two wishes; "nor on Base" goes on
        apart = apart or (word in _PLACES and line.word(at - 1) != "nor" and line.word(place - 1) not in _PLACES)
        joined = joined or word in glue
    return None


# ---------------------------------------------------------------- what is meant


def _cues(line: Line) -> list[tuple[Match, str]]:
    """Return the phrases that can say what is meant with the names behind; of two that end together the longer."""
    found = [(match, name) for name in (*_BEFORE, "place") for match in line.find(f"names.{name}")]
    first: dict[int, int] = {}
    for match, _ in found:
        first[match.end] = min(match.start, first.get(match.end, match.start))
    return [(match, name) for match, name in found if match.start == first[match.end]]


def _meanings(
    line: Line, cues: list[tuple[Match, str]], group: Group, last: str | None, intent: str
) -> Iterator[tuple[Group, str]]:
    """Yield what is meant with a group, in two parts where it falls apart: ``no Polygon, USDC only``."""
    before, behind = _before(line, cues, group.start), _behind(line, group)
    cut = _cut(line, group) if (before, behind) == ("exclude", "include") else None
    if cut is not None:
        yield Group(group.places[:cut], group.places[cut - 1] + 1), "exclude"
        yield Group(group.places[cut:], group.end), "include"
        return
    if behind == "too":
        behind = last if last in {"exclude", "include"} else None
    weak = {None, "place", "bare_on"}
    meaning = next((word for word in (before, behind) if word not in weak), None) or before or behind or "bare"
    yield group, "compare" if intent == "compare" and meaning != "exclude" else meaning


def _before(line: Line, cues: list[tuple[Match, str]], start: int) -> str | None:
    """Return what the words before a name say: the nearest strong cue over linking words, else a mere ``on``."""
    links, reach = lexicon().words("names.link"), start
    while reach > 0 and start - reach < _REACH and line.word(reach - 1) in links and not line.is_number(reach - 1):
        reach -= 1
    reachable = [(match.end, len(match.span), name) for match, name in cues if reach <= match.end <= start]
    strong = [cue for cue in reachable if cue[2] != "place"]
    if strong:
        return _BEFORE[max(strong)[2]]
    return "place" if any(end >= start - 1 for end, _, _ in reachable) else None


def _behind(line: Line, group: Group) -> str | None:
    """Return what the words behind a group say."""
    rest = range(group.end, min(group.end + 6, len(line.lexemes)))
    for name, meaning in _BEHIND.items():
        match = line.match_at(f"names.{name}", rest)
        # the "only" of "USDC only on Base" belongs to Base
        if match and not (meaning == "include" and line.word(match.end) in _LEADS_ON):
            return meaning
    refused = line.match_at("names.refuse_at_end", rest)
    if refused and refused.end == line.clause_of(group.end - 1).stop:
        return "exclude"
    if line.match_at("names.place_after", rest):
        return "place"
    return "bare_on" if line.word(group.end) == "on" else None


def _cut(line: Line, group: Group) -> int | None:
    """Return where a group falls apart: at the first name of another kind, else behind the first comma."""
    kinds = [next(kind for kind in _KINDS if kind in line.lexemes[place].readings) for place in group.places]
    for index, place in enumerate(group.places):
        between = {line.word(at) for at in range(group.places[index - 1], place)} if index else set()
        if kinds[index] != kinds[0] or ("," in between and len(set(kinds)) == 1):
            return index
    return None


# ---------------------------------------------------------------- what follows


def _apply(line: Line, draft: Draft, names: Names, group: Group, meaning: str) -> None:
    if meaning in _REACHES:
        for place in group.places:
            _add(line, names, group, place, meaning)
        return
    reach = "include" if meaning == "note" else "place"
    names.chains.update(place for place in group.places if _kind(line, group, place, reach) == "chain")
    if meaning == "note":
        draft.note(line, line.clause_of(group.start), taking=range(group.start, group.end))
    else:
        line.use(place for place in group.places if not line.is_kind(place, "coin", "token"))


def _add(line: Line, names: Names, group: Group, place: int, meaning: str) -> None:
    """Put a name on its list; ``only ETH`` names the asset, not a token."""
    kind = _kind(line, group, place, meaning)
    if kind is None:
        return
    value, exclude = line.lexemes[place].readings[kind], meaning == "exclude"
    if kind == "token" and not exclude and value in _ASSET_COINS:
        return
    names.lists.setdefault(f"{_FIELDS[kind]}_{'exclude' if exclude else 'include'}", set()).add(value)
    line.use([place])
    names.excluded.update([place] if exclude else [])
    names.chains.update([place] if kind == "chain" else [])


def _kind(line: Line, group: Group, place: int, meaning: str) -> str | None:
    """Return what a name is read as, None when this meaning does not reach it."""
    readings = line.lexemes[place].readings
    if "chain" in readings and "coin" in readings and not _is_chain(line, group, place, meaning):
        return "token" if meaning == "exclude" and "token" in readings else None
    kind = next(kind for kind in _KINDS if kind in readings)
    return kind if kind in _REACHES[meaning] else None


def _is_chain(line: Line, group: Group, place: int, meaning: str) -> bool:
    """Tell the chain Ethereum from the coin: beside chains, or after ``on`` or alone where something else is held."""
    if any(line.is_kind(other, "chain") for other in group.places if other != place):
        return True
    held = any(line.is_kind(p, "coin", "token", "usd") and not line.is_kind(p, "chain") for p in line.whole)
    alone = line.clause_of(group.start) == range(group.start, group.end)
    before, behind = line.word(group.start - 1), line.word(group.end)
    on = alone or before in {"on", "via", "across"} or behind in {"chain", "network", "mainnet", "only"}
    if meaning in {"exclude", "include"}:
        return held or on
    return on and (held or not line.has("names.yield_on", range(max(group.start - 3, 0), group.start)))


def _note_what_is_left(line: Line, draft: Draft) -> None:
    """Keep what names a protocol or a chain and fits no field as a note: a name is never dropped in silence."""
    for place in line.whole:
        readings = line.lexemes[place].readings.keys()
        if place not in line.used and readings & {"protocol", "chain"} and not readings & {"coin", "token"}:
            draft.note(line, line.clause_of(place))


def _note_classes(line: Line, draft: Draft) -> None:
    """Keep wishes about whole classes of names (``no algorithmic stablecoins``, ``not on L2s``) as notes."""
    for match in line.find("names.classes"):
        clause = line.clause_of(match.start)
        before, behind = range(clause.start, match.start), range(match.end, clause.stop)
        lists = [f"names.{name}" for name in ("refuse", "only", "soft", "only_refuse")]
        cues = [cue.start for name in lists for cue in line.find(name, before)]
        wished = cues or line.has("names.only_after", behind) or line.has("names.refuse_after", behind)
        if wished and line.used.isdisjoint(match.span):
            draft.note(line, range(min([*cues, match.start]), clause.stop))
