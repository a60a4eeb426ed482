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
_STRONG = ("only_refuse", "open_refuse", "refuse", "not_only", "only", "held", "soft")
_MEANS: Mapping[str, str] = {
    "only_refuse": "include",
    "only": "include",
    "refuse": "exclude",
    "soft": "note",
    "place": "place",
}
_ASSET_COINS = frozenset({"ETH", "BTC"})
_PLACES = frozenset({"on", "in", "at", "via", "with"})
_REACH = 8  # words between "no" and the name: "don't want to use anything on Polygon"
_GLUE = 5


@dataclass
class Names:
    """``lists`` maps a mandate field to its names.

    ``excluded`` are the places of the names kept out, ``chains`` of those read as chains.
    """

    lists: dict[str, set[str]] = field(default_factory=dict)
    excluded: set[int] = field(default_factory=set)
    chains: set[int] = field(default_factory=set)

    def add(self, name: str, value: str) -> None:
        """Put a name on a list."""
        self.lists.setdefault(name, set()).add(value)


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
    """Tell whether a lexeme is a name that no number counts (750k USDC is an amount)."""
    lexeme = line.lexemes[place]
    if place in line.used or not any(kind in lexeme.readings for kind in _KINDS):
        return False
    counted = (
        place > 0
        and not line.lexemes[place - 1].keys.isdisjoint({"{num}", "{usd}", "{unclear}", "{range}"})
        and place - 1 not in line.used
    )
    following = line.lexemes[place + 1] if place + 1 < len(line.lexemes) else lexeme
    counts = (
        not following.keys.isdisjoint({"{num}", "{unclear}"})
        and "token" in lexeme.readings
        and not line.coin_behind(place + 1)
    )
    return not counted and not (counts and place + 1 not in line.used)


def _next_name(line: Line, place: int) -> int | None:
    """Return the place of the next name of the group: only glue between, and of that at least one comma, and, or."""
    glue, words = _single_words("names.glue"), _single_words("names.glue_words")
    joined = apart = False
    for at in range(place + 1, min(place + 1 + _GLUE, len(line.lexemes))):
        if _is_name(line, at):
            return at if joined and not apart else None
        word = line.word(at)
        if word not in glue | words:
            return None
        apart = apart or (
            word in _PLACES and line.word(at - 1) != "nor" and line.word(place - 1) not in _PLACES
        )  # no Curve, on Base
        joined = joined or word in glue
    return None


def _single_words(name: str) -> frozenset[str]:
    return frozenset(word for phrase in lexicon().grammar.lists[name] for word in phrase.split())


# ---------------------------------------------------------------- what is meant


def _cues(line: Line) -> list[tuple[Match, str]]:
    """Return the phrases that can say what is meant with the names behind; of two that end together the longer."""
    found = [(match, name) for name in (*_STRONG, "place") for match in line.find(f"names.{name}")]
    return [(match, name) for match, name in found if not any(_ends_longer(other, match) for other, _ in found)]


def _ends_longer(other: Match, match: Match) -> bool:
    return other.end == match.end and other.start < match.start


def _meanings(
    line: Line, cues: list[tuple[Match, str]], group: Group, last: str | None, intent: str
) -> Iterator[tuple[Group, str]]:
    """Yield what is meant with a group, in two parts where it falls apart: ``no Polygon, USDC only``."""
    before, after = _before(line, cues, group.start), _after(line, group)
    if before == "exclude" and after == "include" and (cut := _cut(line, group)) is not None:
        yield Group(group.places[:cut], group.places[cut - 1] + 1), before
        yield Group(group.places[cut:], group.end), after
    elif after == "too" and last in {"exclude", "include"}:
        yield group, last
    else:
        after = None if after == "too" else after
        meaning = (
            before
            if before in {"exclude", "include", "note", "nothing"}
            else after
            if after in {"exclude", "include", "note"}
            else before or after or "bare"
        )
        yield group, "compare" if intent == "compare" and meaning != "exclude" else meaning


def _before(line: Line, cues: list[tuple[Match, str]], start: int) -> str | None:
    """Return what the words before a name say: the nearest strong cue over linking words, else a mere ``on``."""
    links = _single_words("names.link")
    reach = start
    while (
        reach > 0 and start - reach < _REACH and line.word(reach - 1) in links and not line.lexemes[reach - 1].is_number
    ):
        reach -= 1
    reachable = [(match, name) for match, name in cues if reach <= match.end <= start]
    strong = [(match.end, len(match.span), name) for match, name in reachable if name != "place"]
    if strong:
        return _MEANS.get(max(strong)[2], "nothing")
    return "place" if any(match.end in {start, start - 1} for match, _ in reachable) else None


def _after(line: Line, group: Group) -> str | None:
    """Return what the words behind a group say."""
    rest = range(group.end, min(group.end + 6, len(line.lexemes)))
    for name, meaning in (
        ("refuse_after", "exclude"),
        ("only_after", "include"),
        ("soft_after", "note"),
        ("too", "too"),
    ):
        for match in line.find(f"names.{name}", rest):
            if match.start == group.end and not (meaning == "include" and _leads_on(line, match.end)):
                return meaning
    clause = line.clause_of(group.end - 1)
    if any(match.start == group.end and match.end == clause.stop for match in line.find("names.refuse_at_end", rest)):
        return "exclude"
    found = line.find("names.place_after", rest)
    return "place" if found and found[0].start == group.end else "bare_on" if line.word(group.end) == "on" else None


def _leads_on(line: Line, place: int) -> bool:
    """Tell whether ``only`` belongs to what follows: ``USDC only on Base``."""
    return line.word(place) in {"on", "in", "with", "via", "using", "at", "through", "up", "for", "if"}


def _cut(line: Line, group: Group) -> int | None:
    """Return where a group falls apart: at the first name of another kind, else behind the first comma."""
    kinds = [next(kind for kind in _KINDS if kind in line.lexemes[place].readings) for place in group.places]
    other = next((index for index, kind in enumerate(kinds) if kind != kinds[0]), None)
    commas = [place for place in range(group.start, group.end) if line.word(place) == ","]
    return (
        other
        if other is not None or not commas
        else next(index for index, place in enumerate(group.places) if place > commas[0])
    )


def _apply(line: Line, draft: Draft, names: Names, group: Group, meaning: str) -> None:
    if meaning in {"note", "nothing"}:
        reach = "include" if meaning == "note" else "place"
        names.chains.update(place for place in group.places if _kind(line, group, place, reach) == "chain")
    if meaning == "note":
        draft.note(line, line.clause_of(group.start), taking=range(group.start, group.end))
        return
    if meaning == "nothing":
        line.use(place for place in group.places if not {"coin", "token"} & line.lexemes[place].readings.keys())
        return
    for place in group.places:
        kind = _kind(line, group, place, meaning)
        value = line.lexemes[place].get(kind) if kind else None
        if kind is None or (kind == "token" and meaning == "include" and value in _ASSET_COINS):
            continue
        names.add(f"{_FIELDS[kind]}_{'exclude' if meaning == 'exclude' else 'include'}", value)
        line.use([place])
        if meaning == "exclude":
            names.excluded.add(place)
        if kind == "chain":
            names.chains.add(place)


def _kind(line: Line, group: Group, place: int, meaning: str) -> str | None:
    """Return what a name is read as, None when this meaning does not reach it.

    ``only`` and ``no`` reach all names, ``on`` chains and protocols; by themselves only chains are a wish.
    """
    readings = line.lexemes[place].readings
    if "chain" in readings and "coin" in readings and not _is_chain(line, group, place, meaning):
        return "token" if meaning in {"exclude"} and "token" in readings else None
    kind = next(kind for kind in _KINDS if kind in readings)
    reach = {
        "exclude": _KINDS, "include": _KINDS, "place": ("chain", "protocol"), "compare": ("chain", "protocol"),
        "bare": ("chain",), "bare_on": ("chain", "protocol"),
    }  # fmt: skip
    return kind if kind in reach[meaning] else None


def _is_chain(line: Line, group: Group, place: int, meaning: str) -> bool:
    """Tell the chain Ethereum from the coin: after ``on``, ``only``, ``no``, beside chains, where something else is held."""
    others = any("chain" in line.lexemes[p].readings and p != place for p in group.places)
    if others:
        return True
    held = any(
        {"coin", "token"} & line.lexemes[p].readings.keys() and "chain" not in line.lexemes[p].readings
        for p in line.whole
    )
    held = held or any("usd" in lexeme.readings for lexeme in line.lexemes)
    alone = line.clause_of(group.start) == range(group.start, group.end)
    on = (
        alone
        or line.word(group.start - 1) in {"on", "via", "across"}
        or line.word(group.end) in {"chain", "network", "mainnet", "only"}
    )
    if meaning in {"exclude", "include"}:
        return held or on
    return (held and on) or (on and not line.has("names.yield_on", range(max(group.start - 3, 0), group.start)))


def _note_classes(line: Line, draft: Draft) -> None:
    """Keep wishes about whole classes of names (``no algorithmic stablecoins``, ``not on L2s``) as notes."""
    for match in line.find("names.classes"):
        clause = line.clause_of(match.start)
        cues = [
            cue.start
            for name in ("refuse", "only", "soft", "only_refuse")
            for cue in line.find(f"names.{name}", range(clause.start, match.start))
        ]
        after = range(match.end, clause.stop)
        if (
            cues or line.has("names.only_after", after) or line.has("names.refuse_after", after)
        ) and line.used.isdisjoint(match.span):
            draft.note(line, range(min([*cues, match.start]), clause.stop))
