"""Days until what is paid once is earned back, and what bridges keep."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from tools.errors import UsageError
from tools.sizing import break_even_days, bridge_cost

DAY = dt.date(2025, 2, 28)


def test_a_tenth_of_a_percent_is_earned_back_by_five_percent_in_a_week():
    assert break_even_days(0.001, 0.05, 0.0).value == pytest.approx(7.3)
    assert break_even_days(0.001, 0.05, 0.04).value == pytest.approx(36.5)


def test_nothing_paid_is_earned_back_at_once():
    assert break_even_days(0.0, 0.05, 0.04).value == 0.0


@pytest.mark.parametrize("net", [0.04, 0.03, -0.10])
def test_what_earns_no_more_than_the_alternative_never_breaks_even(net):
    cost = break_even_days(0.001, net, 0.04)
    assert cost.value is None
    assert "no more" in cost.reason


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("once_cost_fraction", (-0.1, 0.05, 0.0)),
        ("once_cost_fraction", (math.nan, 0.05, 0.0)),
        ("net_rate", (0.0, math.inf, 0.0)),
        ("alternative_rate", (0.0, 0.05, math.nan)),
    ],
)
def test_a_figure_that_is_none_is_refused_by_name(name, arguments):
    with pytest.raises(ValueError, match=name):
        break_even_days(*arguments)


def test_money_on_ethereum_crosses_no_bridge():
    assert bridge_cost("Ethereum", ["DAI", "USDC"], DAY).value == 0.0


def test_a_bridge_is_known_from_its_day_and_for_its_tokens():
    assert bridge_cost("Base", ["usdc"], DAY).value == 0.0
    for unknown in (
        bridge_cost("Base", ["USDC"], dt.date(2024, 9, 30)),
        bridge_cost("Base", ["USDC", "DAI"], DAY),
        bridge_cost("Base", [], DAY),
        bridge_cost("Mars", ["USDC"], DAY),
    ):
        assert unknown.value is None
        assert "not known" in unknown.reason


def test_both_ways_of_the_dearest_token_count_and_the_latest_line_holds(tmp_path):
    path = tmp_path / "bridges.toml"
    line = '[[Base.{}]]\nfee = {}\nsince = {}\nsource = "x"\n'
    entries = [("USDC", 0.001, "2024-01-01"), ("USDC", 0.002, "2025-01-01"), ("DAI", 0.0005, "2024-01-01")]
    path.write_text("".join(line.format(*entry) for entry in entries))
    assert bridge_cost("Base", ["USDC", "DAI"], DAY, path).value == 0.004
    assert bridge_cost("Base", ["USDC", "DAI"], dt.date(2024, 6, 1), path).value == 0.002


def test_a_bad_file_is_refused(tmp_path):
    for number, text in enumerate(
        ('[[Base.USDC]]\nfee = 2.0\nsince = 2024-01-01\nsource = "x"', "Base = 1", "[[Base.USDC]]")
    ):
        path = tmp_path / f"bridges{number}.toml"
        path.write_text(text)
        with pytest.raises(UsageError, match="bridges"):
            bridge_cost("Base", ["USDC"], DAY, path)
