"""Costs of leaving and of gas: an explicit pool as the judge, absence with a reason, no fact before its day."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import UsageError
from tools.market.names import chain_aliases
from tools.market.sources.folder import FolderSource
from tools.risk.costs import Cost, days_to_exit, exit_cost, gas_per_move, gas_usd, liquidity_haircut, queue_days_of

DAY = dt.date(2025, 2, 28)


def value(cost: Cost) -> float:
    assert cost.value is not None
    assert not cost.reason
    return cost.value


def swapped_out(share: float, tokens: int) -> float:
    """Withdraw a share of a pool with reserves of 1000 and swap everything into the first token, step by step."""
    reserves = [1000.0 * (1.0 - share)] * tokens
    received = 1000.0 * share
    for token in range(1, tokens):
        paid_in = 1000.0 * share
        product = reserves[0] * reserves[token]  # equal weights: this pair keeps its product
        reserves[token] += paid_in
        received += reserves[0] - product / reserves[token]
        reserves[0] = product / reserves[token]
    return 1.0 - received / (1000.0 * share * tokens)


@given(share=st.floats(1e-6, 1.0), tokens=st.integers(2, 8))
def test_the_cost_of_leaving_is_that_of_swapping_step_by_step(share: float, tokens: int) -> None:
    cost = value(exit_cost(share * 1e7, 1e7, tokens, amm=True))
    assert cost == pytest.approx(swapped_out(share, tokens), abs=1e-9)


@given(share=st.floats(1e-9, 1.0))
def test_two_tokens_cost_half_the_share(share: float) -> None:
    assert value(exit_cost(share * 1e6, 1e6, 2, amm=True)) == pytest.approx(share / 2.0, rel=1e-12)


@given(small=st.floats(0.0, 1.0), large=st.floats(0.0, 1.0), tokens=st.integers(1, 8))
def test_a_larger_position_never_costs_less(small: float, large: float, tokens: int) -> None:
    small, large = sorted((small, large))
    costs = [value(exit_cost(share * 1e6, 1e6, tokens, amm=True)) for share in (small, large)]
    assert 0.0 <= costs[0] <= costs[1] <= 1.0 - 1.0 / tokens + 1e-12


def test_nothing_is_lost_where_nothing_is_swapped() -> None:
    assert exit_cost(5e5, 1e6, 1, amm=False) == Cost(0.0)
    assert exit_cost(1e6, 1e6, 1, amm=True) == Cost(0.0)
    assert exit_cost(5e5, 1e6, 2, amm=False) == Cost(0.0)


@pytest.mark.parametrize(("position", "tvl"), [(1.1e6, 1e6), (1.0, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("amm", [True, False])
def test_more_than_can_be_withdrawn_cannot_be_left_at_any_price(position: float, tvl: float, amm: bool) -> None:
    cost = exit_cost(position, tvl, 2, amm)
    assert cost.value is None
    assert "larger" in cost.reason


def test_an_unknown_amount_has_unknown_costs() -> None:
    for cost in (exit_cost(None, 1e6, 2, amm=True), days_to_exit(None, 1e6)):
        assert cost.value is None
        assert "amount" in cost.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_amounts_that_are_none_are_refused_by_name(bad: float) -> None:
    with pytest.raises(ValueError, match="position_usd"):
        exit_cost(bad, 1e6, 2, amm=True)
    with pytest.raises(ValueError, match="tvl_usd"):
        exit_cost(1.0, bad, 2, amm=True)
    with pytest.raises(ValueError, match="position_usd"):
        days_to_exit(bad, 1e6)
    with pytest.raises(ValueError, match="queue_days"):
        days_to_exit(1.0, 1e6, queue_days=bad)
    with pytest.raises(ValueError, match="position_usd"):
        liquidity_haircut(bad, 1e6)
    with pytest.raises(ValueError, match="daily_share"):
        days_to_exit(1.0, 1e6, bad)


def test_a_pool_holds_at_least_one_token() -> None:
    with pytest.raises(ValueError, match="tokens"):
        exit_cost(1.0, 1e6, 0, amm=True)


def test_days_to_exit_take_a_tenth_a_day_and_the_queue_at_least() -> None:
    assert value(days_to_exit(5e5, 1e6)) == pytest.approx(5.0)
    assert value(days_to_exit(5e5, 1e6, 0.25)) == pytest.approx(2.0)
    assert value(days_to_exit(1e4, 1e6, queue_days=7.0)) == 7.0
    assert value(days_to_exit(5e6, 1e6, queue_days=7.0)) == pytest.approx(50.0)
    assert days_to_exit(1.0, 0.0).value is None


def test_the_haircut_is_the_part_of_a_day_s_liquidity_and_at_most_all() -> None:
    assert liquidity_haircut(2.5e4, 1e6) == pytest.approx(0.25)
    assert liquidity_haircut(2.5e4, 1e6, 0.5) == pytest.approx(0.05)
    assert liquidity_haircut(5e6, 1e6) == 1.0
    assert liquidity_haircut(1.0, 0.0) == 1.0


def test_a_queue_is_not_known_before_its_day() -> None:
    assert queue_days_of("ethena-usde", DAY) == 7.0
    assert queue_days_of("ethena-usde", dt.date(2024, 2, 18)) == 0.0
    assert queue_days_of("lido", DAY) == 5.0
    assert queue_days_of("aave-v3", DAY) == 0.0


# --- gas


def gas_rows(days: int, gwei: float = 4.0, last: dt.date = DAY) -> list[dict[str, str]]:
    return [
        {"date": (last - dt.timedelta(days=back)).isoformat(), "avg_gas_gwei": str(gwei)}
        for back in range(days - 1, -1, -1)
    ]


PRICES = [{"date": "2025-02-27", "close": "2500.0"}, {"date": "2025-02-28", "close": ""}]


def test_gas_on_ethereum_is_units_times_gas_price_times_the_price_of_ether() -> None:
    cost = gas_usd("Ethereum", 2, gas_rows(40), PRICES, DAY)
    assert gas_per_move(amm=False) == (46_000 + 200_000 + 205_000) / 2
    assert value(cost) == pytest.approx(2 * 225_500 * 4e-9 * 2500.0, rel=1e-12)
    assert value(gas_usd("Ethereum", 2, gas_rows(40), PRICES, DAY, amm=True)) > value(cost)
    assert value(gas_usd("Ethereum", 0, gas_rows(40), PRICES, DAY)) == 0.0


def test_gas_is_the_median_of_the_last_thirty_days_whatever_came_before_or_after() -> None:
    recent = gas_rows(12)
    recent[5]["avg_gas_gwei"] = "99999"  # one wild day does not move a median
    before = gas_rows(300, 500.0, DAY - dt.timedelta(days=30))
    after = gas_rows(25, 900.0, DAY + dt.timedelta(days=25))
    expected = gas_usd("Ethereum", 1, gas_rows(30), PRICES, DAY)
    assert gas_usd("Ethereum", 1, before + recent + after, PRICES, DAY) == expected
    assert gas_usd("Ethereum", 1, after + recent + before, PRICES, DAY) == expected


@pytest.mark.parametrize("rows", [None, [], gas_rows(9), gas_rows(40, 0.0), gas_rows(40, math.nan), gas_rows(40, -4.0)])
def test_too_few_gas_prices_are_no_gas_price(rows: list[dict[str, str]] | None) -> None:
    cost = gas_usd("Ethereum", 2, rows, PRICES, DAY)
    assert cost.value is None
    assert "gas prices" in cost.reason


@pytest.mark.parametrize(
    "prices", [None, [], [{"date": "2025-02-24", "close": "2500"}], [{"date": "2025-03-01", "close": "9"}]]
)
def test_an_old_or_a_later_price_is_no_price(prices: list[dict[str, str]] | None) -> None:
    cost = gas_usd("Ethereum", 2, gas_rows(40), prices, DAY)
    assert cost.value is None
    assert "ether" in cost.reason


def test_other_chains_cost_what_is_stated_since_it_was_known() -> None:
    assert value(gas_usd("Base", 2, None, None, DAY)) == pytest.approx(0.6)
    assert value(gas_usd("op mainnet", 1, None, None, DAY)) == pytest.approx(0.3)
    assert value(gas_usd("Base", 2, None, None, dt.date(2025, 9, 26))) == pytest.approx(0.06)
    for chain, day in (("Base", dt.date(2024, 4, 24)), ("Tron", DAY)):
        cost = gas_usd(chain, 2, None, None, day)
        assert cost.value is None
        assert chain in cost.reason


def test_a_negative_number_of_moves_is_refused() -> None:
    with pytest.raises(ValueError, match="moves"):
        gas_usd("Base", -1, None, None, DAY)


def test_the_recorded_gas_prices_are_read(market_folder: Path) -> None:
    source = FolderSource(market_folder)
    gas = source.table("prices", "eth_gas_gwei_daily.csv", DAY)
    prices = source.table("prices", "eth_usd_daily.csv", DAY)
    cost = value(gas_usd("Ethereum", 1, gas, prices, DAY))
    assert 0.5 < cost < 10.0  # about 3 gwei at 2,200 dollars


@pytest.mark.parametrize("name", ["gas.toml", "queues.toml"])
def test_every_line_of_the_data_has_a_day_and_a_public_source(name: str) -> None:
    text = (resources.files("tools.risk") / "data" / name).read_text(encoding="utf-8")
    data = tomllib.loads(text)
    entries = data["fee"] if name == "gas.toml" else data
    for lines in entries.values():
        days = [line["since"] for line in lines]
        assert days == sorted(set(days))
        assert all(line["source"].startswith("https://") for line in lines)
    units = [line for line in text.splitlines() if line.startswith(("approve", "deposit", "withdraw", "claim"))]
    assert all("https://" in line for line in units)


def test_chains_are_called_as_elsewhere() -> None:
    fees = tomllib.loads((resources.files("tools.risk") / "data" / "gas.toml").read_text(encoding="utf-8"))["fee"]
    assert fees.keys() <= set(chain_aliases().values())


@pytest.mark.parametrize(
    "text",
    [
        "fee = {}",
        "[units]\nsingle = {approve = 1}\n[fee]",
        '[fee]\nBase = [{usd = -1.0, since = 2024-01-01, source = "x"}]\n',
        '[fee]\nBase = [{usd = "1", since = 2024-01-01, source = "x"}]\n',
        '[fee]\nBase = [{usd = 1.0, since = "2024-01-01", source = "x"}]\n',
        "[fee]\nBase = [{usd = 1.0, since = 2024-01-01}]\n",
        "not toml",
    ],
)
def test_a_data_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gas.toml"
    units = "approve = 1\ndeposit = 1\nwithdraw = 1\n"
    path.write_text(text if "fee]\nB" not in text else f"[units.single]\n{units}[units.amm]\n{units}{text}")
    with pytest.raises(UsageError, match=r"gas\.toml"):
        gas_usd("Base", 2, None, None, DAY, path=path)


def test_a_file_of_the_user_s_own_takes_the_place_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "queues.toml"
    path.write_text('mine = [{days = 3, since = 2024-01-01, source = "https://example.org"}]\n')
    assert queue_days_of("mine", DAY, path) == 3.0
    assert queue_days_of("lido", DAY, path) == 0.0
