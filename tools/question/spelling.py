"""Misspelt words: the one known word that a slip of the fingers away makes of them, or none."""

from __future__ import annotations

from collections.abc import Mapping

_SHORTEST = 5
_LONG = 8


def correct(word: str, known: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return the known word that ``word`` stands for, None when there is none or more than one.

    One slip (a letter too many, missing, wrong or swapped) is allowed from five letters on, two in long words that end
    alike; in a word of four only two swapped letters. The first letter must be right. Of several words the one with the
    same letters is taken, else the one with the same last letter.
    """
    limit = 2 if len(word) >= _LONG else 1
    best: list[str] = []
    nearest = limit + 1
    for candidate in known.get(word[:1], ()):
        allowed = limit if len(candidate) > _LONG and candidate[-1] == word[-1] else min(limit, 1)
        if abs(len(candidate) - len(word)) > allowed or not _may_be(word, candidate):
            continue
        distance = slips(word, candidate, allowed)
        if distance > allowed:
            continue
        if distance < nearest:
            best, nearest = [candidate], distance
        elif distance == nearest <= limit:
            best.append(candidate)
    for same in (lambda other: sorted(other) == sorted(word), lambda other: other[-1] == word[-1]):
        alike = [candidate for candidate in best if same(candidate)]
        if len(alike) == 1:
            return alike[0]
    return best[0] if len(best) == 1 else None


def _may_be(word: str, candidate: str) -> bool:
    if len(word) < _SHORTEST:
        return len(word) == 4 and sorted(word) == sorted(candidate)
    return len(candidate) >= _SHORTEST


def slips(left: str, right: str, limit: int) -> int:
    """Return the slips between two words (optimal string alignment distance), ``limit`` + 1 when there are more."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        previous, row = row, [i]
        for j, b in enumerate(right, start=1):
            cost = min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before = previous
    return row[-1]
