"""The horizon in days; other periods (a past window, a notice period, a rate per year) are left or noted."""

from __future__ import annotations

from tools.question.line import Draft, Line


def read_horizon(line: Line, draft: Draft) -> None:
    """Read the one horizon of the line; of two different ones none is chosen, and both become notes."""
    found = _candidates(line)
    if len({days for days, _ in found}) == 1:
        draft.values["horizon_days"] = found[0][0]
    for days, span in found:
        if draft.values.get("horizon_days") == days:
            line.use(span)
        else:
            draft.note(line, span)
    for match in line.fresh("horizon.vague"):
        if line.used.isdisjoint(match.span):
            draft.note(line, match.span)


def set_periods_aside(line: Line, draft: Draft) -> None:
    """Take out what is no horizon: a part wanted back, lock-ups, windows in the past, rates per period."""
    for name in ("horizon.part_back", "horizon.access", "horizon.past"):
        for match in line.find(name):
            numbers = [place for place in match.span if line.is_number(place) or line.is_kind(place, "days")]
            if line.used.isdisjoint(numbers):
                draft.note(line, match.span)
    for match in line.find("horizon.rate"):
        line.use(
            place
            for place in match.span
            if "days" in line.lexemes[place].readings or "unit" in line.lexemes[place].readings
        )


def _candidates(line: Line) -> list[tuple[int, range]]:
    found: list[tuple[int, range]] = []
    for match in line.fresh("horizon.in_months"):
        found.append((30 * line.value(match, "months"), match.span))
        line.use(match.span)
    for match in line.fresh("horizon.fits"):
        place = match.captures["days"]
        share = len(match.span) == 1 and "share" in line.lexemes[place].readings
        bare = share and line.clause_of(place) != match.span  # but "8 btc, balanced, one quarter"
        if not bare and not (match.start > 0 and line.word(match.start - 1) in {"%", "per"}):
            found.append((line.value(match, "days"), match.span))
            line.use(match.span)
    units = [match for match in line.fresh("horizon.next_unit") if line.used.isdisjoint(match.span)]
    return found + [(line.value(match, "unit"), match.span) for match in units]
