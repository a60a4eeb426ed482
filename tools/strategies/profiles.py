"""Profiles, the limits of each level of risk, and the presets of the score: data files that a user can edit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from tools.errors import UsageError
from tools.records import Asset, Fraction, ProfileId, Record, RiskLevel
from tools.strategies.tokens import ASSETS, read_table

RISK_ORDER: tuple[RiskLevel, ...] = ("low", "medium", "high")
SortKey = Literal[
    "tvl", "apy", "apy_mean_30d", "apy_base", "risk_adjusted_apy", "risk_adjusted_base_apy", "protocol_risk"
]
Preset = Literal["bull", "neutral", "uncertain"]


class Profile(Record):
    """One of the nine strategies.

    What it accepts, how it ranks and how many pools it takes (``data/profiles.toml``).
    """

    name: str
    level: RiskLevel
    impermanent_loss: Literal["none", "pegged"]
    not_trending_down: bool
    min_tvl_usd: Annotated[float, Field(ge=0.0)]
    max_protocol_risk: Fraction
    sort: SortKey
    pools: Annotated[int, Field(ge=2, le=6)]


class Limits(Record):
    """What a level of risk allows (``data/limits.toml``); losses positive, everything a fraction, history in days."""

    max_weight: Fraction
    protocol_risk: Fraction
    position_share: Fraction
    protocol_share: Fraction
    issuer_share: Fraction
    reward_share: Fraction
    apy_multiple: Annotated[float, Field(gt=0.0)]
    history_days: Annotated[int, Field(ge=1)]
    var_95: Fraction
    cvar_95: Fraction
    max_drawdown: Fraction


class ScoreWeights(Record):
    """Weights of the score (``data/presets.toml``); ``volatility`` is negative."""

    apy: float
    sharpe: float
    alpha: float
    beta: float
    volatility: Annotated[float, Field(le=0.0)]


@functools.cache
def load_profiles(path: Path | None = None) -> Mapping[ProfileId, Profile]:
    """Read the nine profiles; raises UsageError naming the profile and field that is wrong."""
    return _load(path, "profiles.toml", get_args(ProfileId), Profile)


@functools.cache
def load_limits(path: Path | None = None) -> Mapping[RiskLevel, Mapping[Asset, Limits]]:
    """Read the limits of each level of risk, for each asset.

    Raises UsageError naming the level and field that is wrong.
    """
    data = read_table(path, "limits.toml")
    loaded: dict[RiskLevel, dict[Asset, Limits]] = {level: {} for level in RISK_ORDER}
    for asset in ASSETS:
        levels = {level: _for_asset(table, asset) for level, table in data.items()}
        for level, limits in read_records(levels, str(path or "limits.toml"), RISK_ORDER, Limits).items():
            loaded[level][asset] = limits
    return loaded


def _for_asset(table: Any, asset: Asset) -> Any:
    """Return the limits of a level with what differs for the asset in their place."""
    if not isinstance(table, dict):
        return table
    own = table.get(asset, {})
    return {key: value for key, value in table.items() if key not in ASSETS} | (
        own if isinstance(own, dict) else {asset: own}
    )


@functools.cache
def load_presets(path: Path | None = None) -> Mapping[Preset, ScoreWeights]:
    """Read the presets of the score; raises UsageError naming the preset and field that is wrong."""
    return _load(path, "presets.toml", get_args(Preset), ScoreWeights)


def permitted(profile: Profile, risk: RiskLevel) -> bool:
    """Tell whether a mandate of this risk may be given this profile."""
    return RISK_ORDER.index(profile.level) <= RISK_ORDER.index(risk)


def _load(path: Path | None, name: str, keys: tuple[Any, ...], model: type[Any]) -> Mapping[Any, Any]:
    return read_records(read_table(path, name), str(path or name), keys, model)


def read_records(data: Mapping[str, Any], where: str, keys: tuple[Any, ...], model: type[Any]) -> Mapping[Any, Any]:
    """Make a record of each table of a data file; raises UsageError naming the table and field that is wrong."""
    odd = set(keys) ^ set(data)
    if odd:
        raise UsageError(f"{where}: needs exactly {', '.join(keys)}; missing or unknown: {', '.join(sorted(odd))}")
    loaded = {}
    for key in keys:
        try:
            loaded[key] = model.model_validate(data[key])
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{where}: [{key}] {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return loaded
