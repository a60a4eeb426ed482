"""Allowed tokens per asset, who issues each, and what a vault share stands for.

The data are in ``data/tokens.toml``.
"""

from __future__ import annotations

import functools
import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from tools.errors import UsageError
from tools.records import Asset

ASSETS: tuple[Asset, ...] = get_args(Asset)
_SEPARATORS = re.compile(r"[-/ ]+")
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True)
class VaultShare:
    """What a vault's share stands for, who curates it, whose collateral backs it besides.

    And the least risk it is given.
    """

    token: str
    curator: str
    backing: tuple[str, ...]
    risk: float


@dataclass(frozen=True)
class TokenTable:
    """``issuers``: asset → symbol → issuers; ``shares``: (project, symbol) → vault share; ``wraps``.

    Wrapper → what it is a claim on.
    """

    issuers: Mapping[Asset, Mapping[str, tuple[str, ...]]]
    shares: Mapping[tuple[str, str], VaultShare]
    wraps: Mapping[str, str]

    def tokens_of(self, project: str, symbol: str) -> tuple[str, ...]:
        """Return a pool's tokens, sorted, vault shares replaced by what they stand for.

        Only the letters a to z are upper-cased and nothing is normalised: a look-alike in other letters stays another
        token (Python's own upper case of ſ is S, of ı it is I).
        """
        parts = [part for part in _SEPARATORS.split(symbol.translate(_UPPER)) if part]
        shares = (self.shares.get((project, part)) for part in parts)
        return tuple(sorted({share.token if share else part for part, share in zip(parts, shares, strict=True)}))

    def vault_share(self, project: str, symbol: str) -> VaultShare | None:
        """Return the vault share that a pool's symbol is, if it is one."""
        return self.shares.get((project, symbol.translate(_UPPER)))

    def allowed(self, asset: Asset, tokens: tuple[str, ...]) -> bool:
        """Tell whether every token is in the asset's list; a pool without tokens is not."""
        return bool(tokens) and all(token in self.issuers[asset] for token in tokens)

    def unwrapped(self, token: str) -> str:
        """Return what a token is a claim on (WSTETH → STETH), or the token itself."""
        return self.wraps.get(token, token)

    def issuers_of(self, asset: Asset, token: str) -> tuple[str, ...]:
        """Return who answers for a token of the asset; empty for a native coin."""
        return self.issuers[asset][token]


def known_symbols() -> frozenset[str]:
    """Return every symbol that stands in a list, of any asset."""
    table = load_tokens()
    return frozenset(symbol for symbols in table.issuers.values() for symbol in symbols)


@functools.cache
def load_tokens(path: Path | None = None) -> TokenTable:
    """Read the token lists; ``path`` replaces the file that comes with Plimsoll.

    Raises
    ------
    UsageError
        When the file cannot be read, or an entry is not what it should be; the message names the entry.
    """
    data = read_table(path, "tokens.toml")
    issuers: dict[Asset, dict[str, tuple[str, ...]]] = {asset: _asset_list(data, asset) for asset in ASSETS}
    shares: dict[tuple[str, str], VaultShare] = {}
    vaults = data.get("vault_share", [])
    if not isinstance(vaults, list):
        raise UsageError("tokens: vault shares stand in tables called [[vault_share]], with two brackets")
    for entry in vaults:
        shares.update(_vault_shares(entry))
    unknown = sorted(
        {share.token for share in shares.values()} - {symbol for symbols in issuers.values() for symbol in symbols}
    )
    if unknown:
        raise UsageError(f"tokens: vault shares stand for tokens that are in no list: {', '.join(unknown)}")
    wraps = data.get("wraps", {})
    if not isinstance(wraps, dict) or not all(isinstance(token, str) for token in wraps.values()):
        raise UsageError("tokens: [wraps] must map a symbol to a symbol")
    return TokenTable(issuers, shares, {wrapper.upper(): token.upper() for wrapper, token in wraps.items()})


def read_table(path: Path | None, name: str) -> dict[str, Any]:
    """Read a TOML file of this package's data, or the user's own in its place.

    Raise UsageError when it cannot be read.
    """
    try:
        text = (
            path.read_text(encoding="utf-8")
            if path
            else (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
        )
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path or name}: {error}") from error


def _vault_shares(entry: Any) -> dict[tuple[str, str], VaultShare]:
    try:
        risk = float(entry["risk"])
        if not 0.0 <= risk <= 1.0:
            raise ValueError("risk must lie between 0 and 1")
        backing = entry.get("backing", [])
        if not (_are_names(entry["projects"]) and _are_names(backing) and _are_names(list(entry["shares"].values()))):
            raise ValueError("projects and backing must be lists of names, shares a table of symbols")
        return {
            (project, share.upper()): VaultShare(token, str(entry["curator"]), tuple(backing), risk)
            for project in entry["projects"]
            for share, token in entry["shares"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"tokens: a vault_share needs projects, curator, risk and shares ({error!r}): {entry!r}"
        ) from error


def _asset_list(data: Mapping[str, Any], asset: Asset) -> dict[str, tuple[str, ...]]:
    entries = data.get(asset)
    if not isinstance(entries, dict):
        raise UsageError(f"tokens: the list [{asset}] is missing")
    wrong = [symbol for symbol, issuers in entries.items() if not _are_names(issuers)]
    if wrong:
        raise UsageError(f"tokens: [{asset}] {wrong[0]} must be a list of issuer names")
    return {symbol.upper(): tuple(issuers) for symbol, issuers in entries.items()}


def _are_names(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
