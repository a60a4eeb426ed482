"""``plimsoll allocate``: the table of sizes as a user sees it, as JSON, and how wrong requests end."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from command import plimsoll

from plimsoll import allocation, cli
from tools import records


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    if not any(command.name == "allocate" for command in cli.app.registered_commands):
        cli.app.command("allocate")(allocation.allocate)
    return lambda *arguments: plimsoll(capsys, monkeypatch, "allocate", *arguments)


def test_the_table_fits_a_terminal_and_its_sum_is_right(call: Any, market_folder: Path) -> None:
    market = (
        "--source",
        market_folder,
        "--as-of",
        "2025-02-28",
        "--amounts",
        "10000000,10_000",
        "--method",
        "min_cvar",
    )
    ended = call(*market)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert ended.out.index("$10,000:") < ended.out.index("$10,000,000:")
    for words in ("paid once: gas $", "limits that bind", "changed: ", "of pool", "risk-free rate"):
        assert words in ended.out
    told = json.loads(call(*market, "--format", "json").out)
    assert [row["amount_usd"] for row in told["sizes"]] == [1e4, 1e7]
    for row in told["sizes"]:
        found = row["all_in"]
        known = (found[key] for key in ("expected_loss", "cost_per_year", "dilution", "impermanent_loss"))
        assert found["net_apy"] == pytest.approx(row["apy"] - sum(part or 0.0 for part in known), abs=1e-12)
        assert f"= {found['net_apy']:.2%} kept a year" in " ".join(ended.out.split())
        assert sum(pool["weight"] for pool in row["pools"]) == pytest.approx(1.0, abs=1e-9)


def test_the_demo_market_is_called_synthetic_and_one_method_alone_is_used(call: Any) -> None:
    ended = call("--source", "demo", "--amounts", "1e6", "--method", "inverse_volatility", "--asset", "BTC")
    assert ended.code == 0
    assert ended.out.startswith("synthetic market")
    assert "$1,000,000: " in ended.out
    assert ".inverse_volatility" in ended.out


def beside(asset: str, volatility: float, target: float) -> str:
    """What is said of a stable part beside pools that keep 10 % a year, the bill paying 4 %."""
    all_in: Any = SimpleNamespace(volatility=volatility, net_apy=0.10)
    row: Any = SimpleNamespace(all_in=all_in)
    return allocation._beside(row, all_in, target, asset, 0.04)


@pytest.mark.parametrize(
    ("asset", "held", "kept"),
    [
        ("USD", "in bills at 4.00%", "5.50%"),
        ("ETH", "in plain ETH at 0.00%", "2.50%"),
        ("BTC", "in plain BTC", "2.50%"),
    ],
)
def test_the_stable_part_is_bills_for_dollars_and_the_plain_coin_else(asset: str, held: str, kept: str) -> None:
    said = beside(asset, 0.08, 0.02)
    assert said.startswith(f"stable share: 75.0% {held}")
    assert said.endswith(f"together they keep {kept}")
    assert "8.00% in the pools alone, at 2.00% at most" in said


def test_what_is_calm_enough_needs_no_stable_part() -> None:
    said = beside("USD", 0.02, 0.02)
    assert said.startswith("stable share: 0.0%")
    assert said.endswith("together they keep 10.00%")


def test_a_wanted_volatility_is_told_in_both_formats(call: Any, market_folder: Path) -> None:
    market = ("--source", market_folder, "--as-of", "2025-02-28", "--amounts", "1e6", "--method", "equal")
    asked = call(*market, "--volatility", "0.001")
    assert "stable share: " in asked.out
    assert max(map(len, asked.out.splitlines())) <= 80
    told = json.loads(call(*market, "--volatility", "0.001", "--format", "json").out)
    (row,) = told["sizes"]
    assert told["target_volatility"] == 0.001
    assert row["stable_share"] == pytest.approx(1.0 - 0.001 / row["all_in"]["volatility"], abs=1e-12)
    assert f"stable share: {row['stable_share']:.1%} in bills" in " ".join(asked.out.split())


def test_equal_calls_give_equal_bytes(call: Any, market_folder: Path) -> None:
    market = (
        "--source",
        market_folder,
        "--as-of",
        "2025-09-26",
        "--asset",
        "ETH",
        "--amounts",
        "1e4",
        "--risk",
        "high",
    )
    assert call(*market, "--method", "net_yield") == call(*market, "--method", "net_yield")


def test_money_that_no_pool_can_hold_ends_with_3_and_the_limits(call: Any, market_folder: Path) -> None:
    market = ("--source", market_folder, "--as-of", "2025-09-26", "--asset", "ETH", "--amounts", "5e10")
    ended = call(*market, "--method", "equal")
    assert ended.code == 3
    assert "nothing that keeps every limit" in ended.out
    assert "position_share" in ended.out
    assert json.loads(call(*market, "--format", "json").out)["sizes"][0]["candidate"] is None


@pytest.mark.parametrize(
    "amounts", ["", "0", "-5", "nan", "inf", "1e13", "ten", "1,,2", ",".join(map(str, range(1, 23)))]
)
def test_amounts_that_are_none_are_refused(call: Any, amounts: str) -> None:
    ended = call("--source", "demo", "--amounts", amounts)
    assert ended.code == 2
    assert "--amounts must be one to 20 numbers of dollars" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--asset", "DOGE"), 2, "DOGE"),
        (("--risk", "mad"), 2, "mad"),
        (("--method", "markowitz"), 2, "markowitz"),
        (("--horizon", "0"), 2, "horizon"),
        (("--as-of", "soon"), 2, "--as-of must be a date"),
        (("--source", "nowhere"), 2, "nowhere"),
    ],
)
def test_a_wrong_option_is_named(call: Any, arguments: tuple[str, ...], code: int, words: str) -> None:
    ended = call("--source", "demo", *arguments)
    assert ended.code == code
    assert words in ended.err


def test_a_day_without_a_snapshot_is_named(call: Any, market_folder: Path) -> None:
    ended = call("--source", market_folder, "--as-of", "2020-01-01")
    assert ended.code == 4
    assert "no snapshot of 2020-01-01" in ended.err


def test_the_options_know_what_the_records_know() -> None:
    assert [name.value for name in allocation.MethodName] == list(get_args(records.WeightMethod))
    assert [name.value for name in allocation.RiskName] == list(get_args(records.RiskLevel))
    assert [name.value for name in allocation.AssetName] == list(get_args(records.Asset))
