"""The reasons of a choice in words: each a figure of the record, and where it compares, a claim that holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tools.figures import Ledger
from tools.figures.show import show
from tools.records import Unit

_MOST_DIGITS = 8  # of two figures that differ by less, both are shown alike


class _Words(NamedTuple):
    """What stands before a figure, its unit, and how many decimals it needs at least."""

    words: str
    unit: Unit
    digits: int


_WORDS: Mapping[str, _Words] = {
    "score": _Words("a score of", "ratio", 2),
    "net_apy": _Words("a yield kept of", "percent", 2),
    "apy": _Words("a yield of the day of", "percent", 2),
    "apy_mean_30d": _Words("a mean yield of the last month of", "percent", 2),
    "apy_low": _Words("a low end of past yields of", "percent", 2),
    "sharpe": _Words("a Sharpe ratio with events of", "ratio", 2),
    "alpha": _Words("a yield beyond the market's of", "percent", 2),
    "volatility": _Words("a volatility with events of", "percent", 2),
    "expected_loss": _Words("an expected loss to events of", "percent", 2),
    "cvar_95": _Words("a mean loss in bad years of", "percent", 1),
    "loss_probability": _Words("a chance to lose money of", "percent", 1),
    "protocol_risk": _Words("a protocol risk of", "ratio", 2),
    "largest_protocol": _Words("a share on its main protocol of", "percent", 1),
    "reward_share": _Words("a share of rewards in the yield of", "percent", 1),
    "position_share": _Words("a share of what can be withdrawn of", "percent", 2),
    "independent_risks": _Words("a count of independent risks of", "ratio", 1),
}


class Said(NamedTuple):
    """A reason as the template shows it; without ``against`` it compares nothing."""

    words: str
    shown: str
    claim: str | None
    against: str | None


class Group(NamedTuple):
    """The reasons against one candidate, or against none."""

    over: Mapping[str, Any] | None
    said: list[Said]


def reason_groups(ledger: Ledger, record: Mapping[str, Any]) -> list[Group]:
    """Return the choice's reasons by the candidate that they compare with, in their order."""
    candidates = {candidate["id"]: candidate for candidate in record["candidates"]}
    groups: dict[str | None, list[Said]] = {}
    for reason in record["choice"]["reasons"]:
        groups.setdefault(reason["over"], []).append(_said(ledger, reason))
    return [Group(None if over is None else candidates[over], said) for over, said in groups.items()]


def _said(ledger: Ledger, reason: Mapping[str, Any]) -> Said:
    words, unit, digits = _WORDS[reason["figure"]]
    pointer, against = reason["pointer"], reason["against"]
    if against is None:
        return Said(words, ledger.figure(pointer, unit, digits), None, None)
    while digits < _MOST_DIGITS and _alike(ledger, pointer, against, unit, digits):
        digits += 1
    claim = ledger.claim("above" if reason["op"] == ">" else "below", pointer, reason["op"], against)
    return Said(words, ledger.figure(pointer, unit, digits), claim, ledger.figure(against, unit, digits))


def _alike(ledger: Ledger, pointer: str, against: str, unit: Unit, digits: int) -> bool:
    shown = [show(ledger.value(place), unit, digits) for place in (pointer, against)]
    return shown[0] == shown[1]
