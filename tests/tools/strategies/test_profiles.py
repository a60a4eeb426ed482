"""The files of profiles, limits and presets: what they hold, and that a wrong edit is named."""

from __future__ import annotations

from importlib import resources
from typing import get_args

import pytest

from tools.errors import UsageError
from tools.records import ProfileId
from tools.strategies.profiles import RISK_ORDER, load_limits, load_presets, load_profiles, permitted
from tools.strategies.tokens import ASSETS

LOADERS = {"profiles.toml": load_profiles, "limits.toml": load_limits, "presets.toml": load_presets}
LOW = {"ultra_safe", "conservative_growth", "blue_chip"}
MEDIUM = LOW | {"balanced_score", "balanced_apy", "growth"}

BTC = "[medium.BTC]\nprotocol_share = 1.0\nvar_95 = 0.30\ncvar_95 = 0.45\nmax_drawdown = 0.30"


@pytest.mark.parametrize(("risk", "allowed"), [("low", LOW), ("medium", MEDIUM), ("high", set(get_args(ProfileId)))])
def test_each_risk_admits_its_own_profiles_and_those_below(risk, allowed):
    assert {name for name, profile in load_profiles().items() if permitted(profile, risk)} == allowed


def test_default_caps_on_one_pool_are_those_of_the_contract():
    for asset in ASSETS:
        assert [load_limits()[risk][asset].max_weight for risk in RISK_ORDER] == [0.40, 0.50, 1.0]


def test_low_risk_spreads_over_protocols_and_issuers():
    for asset in ASSETS:
        low = load_limits()["low"][asset]
        assert low.protocol_share <= 0.50
        assert low.issuer_share <= 0.50
        assert low.position_share <= 0.05


def test_limits_never_tighten_as_risk_rises():
    for asset in ASSETS:
        low, medium, high = (load_limits()[risk][asset].model_dump() for risk in RISK_ORDER)
        for field in low:
            order = [low[field], medium[field], high[field]]
            assert order == sorted(order, reverse=field == "history_days"), field


def test_the_neutral_preset_is_the_published_score_and_the_others_those_of_the_project():
    found = {name: tuple(weights.model_dump().values()) for name, weights in load_presets().items()}
    assert found == {
        "bull": (0.75, 0.10, 0.10, 0.05, -0.05),
        "neutral": (0.70, 0.15, 0.10, 0.05, -0.10),
        "uncertain": (0.50, 0.25, 0.10, 0.05, -0.25),
    }


@pytest.mark.parametrize("name", LOADERS)
def test_the_files_that_come_along_can_be_edited(name, tmp_path):
    path = copy(name, tmp_path)
    assert LOADERS[name](path) == LOADERS[name]()


EDITS = [
    ("profiles.toml", "[ultra_safe]", "[ultra_sure]", ("ultra_safe", "ultra_sure")),
    ("profiles.toml", "pools = 5", "pools = 7", ("pools",)),
    ("profiles.toml", "pools = 5", "pools = 1", ("pools",)),
    ("profiles.toml", 'sort = "tvl"', 'sort = "size"', ("ultra_safe", "sort")),
    ("profiles.toml", 'level = "low"', 'level = "none"', ("level",)),
    ("profiles.toml", "min_tvl_usd = 50e6", 'min_tvl_usd = "50m"', ("ultra_safe", "min_tvl_usd")),
    ("profiles.toml", "min_tvl_usd = 50e6", "min_tvl_usd = nan", ("ultra_safe", "min_tvl_usd")),
    ("profiles.toml", "min_tvl_usd = 50e6", "min_tvl_usd = 50e6\ncolour = 1", ("ultra_safe", "colour")),
    ("limits.toml", "max_weight = 0.40", "max_weight = 40", ("low", "max_weight")),
    ("limits.toml", "max_weight = 0.40", "", ("low", "max_weight")),
    ("limits.toml", "[medium.BTC]", "[medium.XRP]", ("medium", "XRP")),
    ("limits.toml", BTC, "", ()),
    ("limits.toml", BTC, "[medium.BTC]\nprotocol_share = 2.0", ("protocol_share",)),
    ("limits.toml", "[high]", "[extreme]", ("extreme", "high")),
    ("presets.toml", "volatility = -0.10", "volatility = 0.10", ("neutral", "volatility")),
    ("presets.toml", "[bull]", "[bear]", ("bear", "bull")),
    ("presets.toml", "[bull]", "[bull", ("presets.toml",)),
]


def copy(name, tmp_path, old="", new=""):
    text = (resources.files("tools.strategies") / "data" / name).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "old", "new", "words"), EDITS)
def test_a_wrong_edit_is_named(name, old, new, words, tmp_path):
    path = copy(name, tmp_path, old, new)
    if not words:
        assert LOADERS[name](path)
        return
    with pytest.raises(UsageError) as error:
        LOADERS[name](path)
    assert all(word in str(error.value) for word in (*words, name))


def test_what_differs_for_an_asset_replaces_the_level_for_that_asset_only(tmp_path):
    path = copy("limits.toml", tmp_path, BTC, "[medium.ETH]\nissuer_share = 0.9")
    limits, own = load_limits(path)["medium"], load_limits()["medium"]
    assert limits["ETH"] == own["ETH"].model_copy(update={"issuer_share": 0.9})
    assert limits["USD"] == own["USD"]


def test_a_level_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("low = 1\nmedium = 2\nhigh = 3\n")
    with pytest.raises(UsageError, match="low"):
        load_limits(path)


def test_an_asset_of_a_level_that_is_no_table_is_named(tmp_path):
    path = copy("limits.toml", tmp_path, BTC, "")
    path.write_text(path.read_text(encoding="utf-8").replace("[medium]", "[medium]\nBTC = 5"), encoding="utf-8")
    with pytest.raises(UsageError, match="BTC"):
        load_limits(path)
