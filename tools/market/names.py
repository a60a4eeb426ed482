"""What protocols and chains are called: DefiLlama's slugs to families, and the spellings of a chain to one name.

A family is lower case and hyphenated (``aave``, ``rocket-pool``, ``ether-fi``). A rule takes version and kind off the
end of a slug (``pancakeswap-amm-v3`` → ``pancakeswap``); ``data/families.toml`` holds what the rule would get wrong,
and the names that people type.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tools.errors import UsageError
from tools.units import safe_label

# Only a–z: other letters lower-case to them too (the Kelvin sign to k), and a look-alike must stay another name.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_DATA = Path(__file__).parent / "data"
_FAMILY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"v?\d+(\.\d+)+|v\d+")

# Endings that say what a product of a family does; the two-word ones are tried first.
_KINDS = (
    "liquid-staking", "liquid-restaking", "leverage-farming", "yield-trading", "money-market", "core-pool",
    "aggregator", "amm", "cl", "clmm", "dao", "dex", "exchange", "finance", "labs", "lend", "lending", "market",
    "markets", "perp", "perps", "pooled", "protocol", "vault", "vaults",
)  # fmt: skip


class _Families(NamedTuple):
    names: Mapping[str, str]  # family → display name
    slugs: Mapping[str, str]  # slug that is an exception → family
    display: Mapping[str, str]  # slug → display name of its own
    aliases: Mapping[str, str]  # what people type, lower case → family


def is_family_name(text: str) -> bool:
    """Return whether ``text`` has the form of a family: lower case words and digits joined by single hyphens."""
    return _FAMILY.fullmatch(text) is not None


@lru_cache(maxsize=65_536)
def family_of(slug: str) -> str:
    """Return the protocol family of a DefiLlama project slug; a slug that nothing is known of is its own family.

    Versions and kinds come off the end one by one until a known family stands there or nothing more can go. Words are
    compared whole, so ``compounder`` is not ``compound``. A text without a letter or digit is the family ``unnamed``.
    """
    families = _families()
    exact = slug.strip().translate(_LOWER)
    if exact in families.slugs:
        return families.slugs[exact]
    key = _key(exact)
    while True:
        plain = key.replace(".", "-")
        if plain in families.names:
            return plain
        if plain in families.slugs:
            return families.slugs[plain]
        shorter = _without_ending(key)
        if shorter == key:
            return plain or "unnamed"
        key = shorter


def family_aliases() -> Mapping[str, str]:
    """Return what people call the known families, in lower case, and the family; their own names are among them."""
    return _families().aliases


def display_project(slug: str) -> str:
    """Return the name to show for a project slug: ``aave-v3`` → ``Aave v3``, ``curve-dex`` → ``Curve``; safe to print.

    An unknown slug is shown as its words, capitalised.
    """
    families, exact = _families(), slug.strip().translate(_LOWER)
    if exact in families.display:
        return families.display[exact]
    family = family_of(exact)
    version = " ".join(part for part in exact.split("-") if _VERSION.fullmatch(part))
    if family in families.names:
        return f"{families.names[family]} {version}".strip()
    return safe_label(" ".join(_capitalised(exact)))


def canonical_chain(name: str) -> str:
    """Return the chain's name as DefiLlama writes it; an unknown chain keeps its own spelling, without outer spaces."""
    return chain_aliases().get(name.strip().lower(), name.strip())


@cache
def chain_aliases() -> Mapping[str, str]:
    """Return every known spelling of a chain in lower case, with the name as DefiLlama writes it.

    Raises ``UsageError`` when the data file gives one spelling to two chains.
    """
    table = _read(_DATA / "chains.toml")
    spellings = (
        (spelling, name) for name, entry in table.items() for spelling in (name.lower(), *entry.get("aliases", []))
    )
    return MappingProxyType(_one_owner(spellings, "chains.toml"))


@cache
def _families() -> _Families:
    table = _read(_DATA / "families.toml")
    for family in table:
        if not is_family_name(family):
            raise UsageError(f"families.toml: {family!r} is not lower case and hyphenated")
    names = {family: str(entry["name"]) for family, entry in table.items()}
    slugs = _one_owner(
        ((slug, family) for family, entry in table.items() for slug in entry.get("slugs", [])), "families.toml"
    )
    display = {slug: str(shown) for entry in table.values() for slug, shown in entry.get("display", {}).items()}
    aliases = _one_owner(_spellings(table), "families.toml")
    return _Families(*(MappingProxyType(part) for part in (names, slugs, display, aliases)))


def _spellings(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each way to write each family: as it is, with spaces, in one word, its display name and its aliases."""
    for family, entry in table.items():
        for text in (family, entry["name"].lower(), *entry.get("aliases", [])):
            yield text, family
            yield text.replace("-", " "), family
            yield text.replace("-", ""), family


def _one_owner(pairs: Iterable[tuple[str, str]], source: str) -> dict[str, str]:
    owners: dict[str, str] = {}
    for text, owner in pairs:
        if text != text.lower():
            raise UsageError(f"{source}: {text!r} of {owner} is not in lower case")
        if owners.setdefault(text, owner) != owner:
            raise UsageError(f"{source}: {text!r} belongs to both {owners[text]} and {owner}")
    return owners


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _key(text: str) -> str:
    """Hyphenate, keeping the dots of versions: ``ether.fi-Stake`` → ``ether.fi-stake``."""
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-.")


def _without_ending(key: str) -> str:
    """Take one version or kind off the end of a key, never the whole of it."""
    head, _, last = key.rpartition("-")
    if head and _VERSION.fullmatch(last):
        return head
    ending = next((kind for kind in _KINDS if key.endswith(f"-{kind}")), None)
    return key.removesuffix(f"-{ending}") if ending else key


def _capitalised(slug: str) -> Iterator[str]:
    for word in slug.split("-"):
        yield word if _VERSION.fullmatch(word) else word[:1].upper() + word[1:]
