"""Risk, profile and impermanent loss: what the user is ready to bear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from tools.question.grammar import Match
from tools.question.lexicon import lexicon
from tools.question.line import Draft, Line
from tools.records import ProfileId, RiskLevel

PROFILE_RISK: Mapping[str, RiskLevel] = {
    "ultra_safe": "low", "conservative_growth": "low", "blue_chip": "low",
    "balanced_score": "medium", "balanced_apy": "medium", "growth": "medium",
    "aggressive_growth": "high", "maximum_yield": "high", "high_risk": "high",
}  # fmt: skip
_LEVELS: tuple[RiskLevel, ...] = ("low", "medium", "high")
_SEPARATORS = frozenset({"/", ",", ";", "|", ".", "-", "–"})


def read_attitude(line: Line, draft: Draft, intent: str) -> None:
    """Read risk and profile; a profile stands for its risk where the words name none."""
    profiles = _profiles(line, intent)
    levels = _levels(line, draft, profiles)
    named = {
        name: matches
        for name, matches in profiles.items()
        if not (levels[:1] in (["low"], ["medium"]) and _is_common_noun(line, name, matches))
    }
    if len(named) == 1:
        name = next(iter(named))
        draft.values["profile"] = name
        draft.values["risk"] = levels[0] if levels else PROFILE_RISK[name]
    elif levels:
        draft.values["risk"] = levels[0]
    elif profiles and not named:
        draft.values["risk"] = min((PROFILE_RISK[name] for name in profiles), key=_LEVELS.index)
    for matches in profiles.values():
        for match in matches:
            line.use(match.span)


def _profiles(line: Line, intent: str) -> dict[str, list[Match]]:
    """Return the profiles that are named as such, by id; ``growth`` and ``high risk`` need such a word, or capitals."""
    found: dict[str, list[Match]] = {}
    for name in get_args(ProfileId):
        matches = [*line.find(f"profile.{name}"), *_written_as_id(line, name)]
        if name in {"growth", "high_risk"}:
            matches += [
                match for match in line.find(f"profile.bare_{name}") if intent == "compare" or _in_capitals(line, match)
            ]
        kept = [match for match in matches if not _is_refused(line, match)]
        if kept:
            found[name] = kept
    own = line.find("profile.own_risk")
    return {
        name: kept
        for name, matches in found.items()
        if (kept := [m for m in matches if not _is_part(m, name, found, own)])
    }


def _is_part(match: Match, name: str, found: Mapping[str, list[Match]], own: Iterable[Match]) -> bool:
    """Tell whether the words belong to a longer name (aggressive growth) or to the user's own risk profile."""
    longer = [other for key, others in found.items() if key != name and name == "growth" for other in others]
    return any(other.start < match.end and match.start < other.end for other in (*longer, *own))


def _written_as_id(line: Line, name: str) -> list[Match]:
    return [Match(place, place + 1, {}) for place, lexeme in enumerate(line.lexemes) if lexeme.get("profile") == name]


def _in_capitals(line: Line, match: Match) -> bool:
    return all("capital" in line.lexemes[place].flags for place in match.span)


def _is_refused(line: Line, match: Match) -> bool:
    before = line.find("profile.refused", range(max(match.start - 4, 0), match.start))
    return any(other.end == match.start for other in before)


def _is_common_noun(line: Line, name: str, matches: list[Match]) -> bool:
    """``Maximum yield with low risk`` is a wish for yield, not the profile, unless it is called a profile."""
    if name != "maximum_yield":
        return False
    return not any(
        line.has("profile.named", range(match.end, min(match.end + 1, len(line.lexemes)))) or _in_capitals(line, match)
        for match in matches
    )


def _levels(line: Line, draft: Draft, profiles: Mapping[str, list[Match]]) -> list[RiskLevel]:
    """Return the risk levels that the words name, the lowest first; the others, if any, become notes."""
    weak = line.find("risk.weak_medium")
    silent = [*line.find("risk.neutral"), *weak, *(match for matches in profiles.values() for match in matches)]
    found = [(match, level) for level in _LEVELS for match in line.find(f"risk.{level}")]
    heard = [(m, level) for m, level in _apart(found) if not any(_covers(other, m) for other in silent)]
    heard += [(Match(place, place + 1, {}), level) for place, level in _bare_levels(line)]
    for match in line.find("risk.range_of_risk"):
        named = [level for level in _LEVELS if line.has(f"risk.{level}_word", match.span)]
        heard += [(match, level) for level in named]
    heard = heard or [(match, "medium") for match in weak]
    levels = sorted({level for _, level in heard}, key=_LEVELS.index)
    for match, level in heard:
        if level != levels[0]:
            draft.note(line, line.clause_of(match.start))
        line.use(match.span)
    return levels


def _bare_levels(line: Line) -> Iterator[tuple[int, RiskLevel]]:
    """Yield ``low`` or ``high`` where it stands alone in a list: ``10m dollars / high / 12 months``."""
    ends = _SEPARATORS | {""}
    for place in line.whole:
        word = line.word(place)
        if word in {"low", "high"} and line.word(place - 1) in ends and line.word(place + 1) in ends:
            yield place, "low" if word == "low" else "high"


def _apart(found: list[tuple[Match, RiskLevel]]) -> list[tuple[Match, RiskLevel]]:
    """Keep matches that do not overlap, the longest first, of equals the earlier."""
    kept: list[tuple[Match, RiskLevel]] = []
    for match, level in sorted(found, key=lambda item: (-len(item[0].span), item[0].start)):
        if not any(other.start < match.end and match.start < other.end for other, _ in kept):
            kept.append((match, level))
    return kept


def _covers(other: Match, match: Match) -> bool:
    return other.start < match.end and match.start < other.end and len(other.span) >= len(match.span)


def _longer(other: Match, match: Match) -> bool:
    """Tell whether another match overlaps this one and is longer, or as long and earlier."""
    overlap = other.start < match.end and match.start < other.end
    return overlap and (len(other.span), -other.start) > (len(match.span), -match.start)


def read_impermanent_loss(line: Line, draft: Draft) -> None:
    """Read whether impermanent loss is allowed; wishes to lessen it become notes."""
    verdicts: list[tuple[bool, range]] = []
    for match in line.find("il.term"):
        clause = line.clause_of(match.start)
        verdict = _verdict(line, clause, match)
        if verdict is None:
            verdict = _verdict(line, _going_on(line, clause, match), match)
        if verdict is not None:
            verdicts.append((verdict, clause))
        elif line.has("il.lessen", clause) and line.used.isdisjoint(match.span):
            draft.note(line, clause)
    doubtful = {match.start for match in line.find("il.not_single")}
    single = [match.span for match in line.find("il.single")]
    verdicts += [(False, span) for span in single if not any(start <= span.start <= start + 3 for start in doubtful)]
    for verdict, span in verdicts:
        draft.put("allow_il", verdict, "impermanent loss")
        line.use(place for place in span if not line.lexemes[place].readings or line.lexemes[place].get("num") == 0)


def _going_on(line: Line, clause: range, term: Match) -> range:
    """Return the clause with the one that it goes on from: ``avoid Curve and impermanent loss``."""
    opening = {line.word(place) for place in range(clause.start, term.start)}
    if line.word(clause.start - 1) == "and" and clause.start >= 2 and opening <= {"from", "any", "of"}:
        return range(line.clause_of(clause.start - 2).start, clause.stop)
    return clause


def _verdict(line: Line, clause: range, term: Match) -> bool | None:
    """Return True for fine, False for refused, by the words nearest to the term; ``not ok`` goes before ``ok``."""
    found = [
        (match, name == "fine")
        for name in ("fine", "refuse")
        for match in line.find(f"il.{name}", clause)
        if not _named_between(line, match, term)
    ]
    heard = [(match, fine) for match, fine in found if not any(_longer(other, match) for other, _ in found)]
    if not heard:
        return None
    return min(heard, key=lambda item: (_distance(item[0], term), item[1]))[1]


def _named_between(line: Line, match: Match, term: Match) -> bool:
    """Tell whether the words speak of something else that stands before the term: ``no USDe, IL is fine``.

    ``Avoid Curve and impermanent loss`` speaks of both.
    """
    between = range(match.end, term.start)
    named = [place for place in between if line.lexemes[place].readings]
    return bool(named) and not _listed(line, named, between)


def _listed(line: Line, named: list[int], between: range) -> bool:
    """Tell whether names and a term behind them are one list, joined by a last ``and``."""
    linking = lexicon().words("names.glue") | lexicon().words("names.glue_words")
    rest = [line.word(place) for place in between if place not in named]
    last = next((word for word in reversed(rest) if word not in {"from", "any", "of"}), "")
    return last in {"and", "or", "nor", "&", "plus"} and line.word(named[-1] + 1) in linking and {*rest} <= linking


def _distance(match: Match, term: Match) -> int:
    return term.start - match.end if match.end <= term.start else max(match.start - term.end, 0)
