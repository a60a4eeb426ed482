"""A mandate with what a line changes: fields replaced, names let in and kept out, the money that goes with an asset."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from tools.dialogue.records import Change
from tools.question import check_mandate
from tools.records import Asset, Mandate
from tools.strategies.tokens import ASSETS, load_tokens

KINDS = ("chains", "protocols", "tokens")
_LISTS = tuple(f"{kind}_{side}" for kind in KINDS for side in ("include", "exclude"))
_UNMERGED = frozenset({"intent", "notes"})


@dataclass
class Wishes:
    """What a line changes.

    ``values`` replace fields (None: no limit); ``excluded``, ``only`` and ``allowed`` hold names by kind of list:
    kept out besides, let in alone, let in again. ``end_of_scale`` says why risk could move no further.
    """

    values: dict[str, Any] = field(default_factory=dict)
    excluded: dict[str, set[str]] = field(default_factory=dict)
    only: dict[str, set[str]] = field(default_factory=dict)
    allowed: dict[str, set[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    end_of_scale: str | None = None

    @property
    def are_none(self) -> bool:
        """Tell whether nothing changes."""
        return not (self.values or self.excluded or self.only or self.allowed)


def merge(before: Mandate, wishes: Wishes) -> tuple[Mandate, list[str]]:
    """Return the mandate with the wishes merged in, and notes of what was dropped for it.

    Raises MandateError when the result contradicts itself.
    """
    fields = before.model_dump()
    dropped = _move_money(fields, wishes.values)
    _renumber_pools(fields, wishes.values)
    fields.update({name: value for name, value in wishes.values.items() if name not in _UNMERGED})
    for kind in KINDS:
        _merge_names(fields, wishes, kind)
    if fields["asset"] != before.asset and before.asset is not None:
        dropped += _drop_foreign_names(fields, fields["asset"], wishes)
    said = [*dropped, *wishes.notes, *([wishes.end_of_scale] if wishes.end_of_scale else [])]
    fields["notes"] = list(dict.fromkeys([*before.notes, *said]))
    fields["intent"] = "recommend"
    merged = Mandate.model_validate(fields)
    check_mandate(merged)
    return merged, said


def changes_between(before: Mandate, after: Mandate) -> list[Change]:
    """Return what differs, in the order of the mandate's fields; notes and intent aside."""
    old, new = before.model_dump(), after.model_dump()
    names = (name for name in Mandate.model_fields if name not in _UNMERGED)
    return [Change(field=name, before=old[name], after=new[name]) for name in names if old[name] != new[name]]


def _move_money(fields: dict[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Carry the amount over to another asset where its dollars are known; drop it, with a note, where they are not."""
    old, new = fields["asset"], values.get("asset", fields["asset"])
    said = {"amount", "amount_usd"} & values.keys()
    if said:
        fields["amount"] = fields["amount_usd"] = None
        return []
    if old == new or old is None:
        return []
    dollars = fields["amount"] if old == "USD" else fields["amount_usd"]
    lost = fields["amount"] if dollars is None else None
    fields["amount"], fields["amount_usd"] = (dollars, None) if new == "USD" else (None, dollars)
    return [f"the amount of {lost:,.12g} {old} does not carry over to {_spoken(new)}: say how much"] if lost else []


def _spoken(asset: Asset) -> str:
    return "dollars" if asset == "USD" else asset


def _renumber_pools(fields: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Let a new number of pools take the place of an old one that it contradicts; an exact one goes as a whole."""
    low, high = fields["min_pools"], fields["max_pools"]
    exact = low is not None and low == high
    new_low, new_high = values.get("min_pools"), values.get("max_pools")
    if new_high is not None and (exact or (low or 0) > new_high):
        fields["min_pools"] = None
    if new_low is not None and (exact or (high is not None and high < new_low)):
        fields["max_pools"] = None


def _merge_names(fields: dict[str, Any], wishes: Wishes, kind: str) -> None:
    include, exclude = set(fields[f"{kind}_include"]), set(fields[f"{kind}_exclude"])
    only, excluded, allowed = (names.get(kind, set()) for names in (wishes.only, wishes.excluded, wishes.allowed))
    include = (set(only) if only else include) - excluded
    include |= allowed if include else set()
    exclude = (exclude | excluded) - only - allowed
    fields[f"{kind}_include"], fields[f"{kind}_exclude"] = sorted(include), sorted(exclude)


@cache
def _homes() -> Mapping[str, Asset]:
    """Return the families that serve one asset alone."""
    text = (resources.files(__package__) / "data" / "families.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return {family: asset for asset in ASSETS for family in table[asset]}


def _drop_foreign_names(fields: dict[str, Any], asset: Asset, wishes: Wishes) -> list[str]:
    """Drop what the mandate was limited to and the new asset does not have; what is kept out stays kept out."""
    known = load_tokens().issuers[asset]
    tokens = [t for t in fields["tokens_include"] if t not in known and t not in wishes.only.get("tokens", ())]
    homes = _homes()
    families = [
        family
        for family in fields["protocols_include"]
        if homes.get(family, asset) != asset and family not in wishes.only.get("protocols", ())
    ]
    fields["tokens_include"] = [token for token in fields["tokens_include"] if token not in tokens]
    fields["protocols_include"] = [family for family in fields["protocols_include"] if family not in families]
    gone = [*tokens, *families]
    return [f"only {' and '.join(gone)} makes no sense for {_spoken(asset)} and is dropped"] if gone else []
