"""What decisions came to on recorded days, by hand and against another reading of the same files; and their tables."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evals import allocation, allocation_tables
from evals.allocation import (
    AtSize,
    Decided,
    MarketDay,
    best_of,
    choices,
    costs_of,
    decide,
    decisions,
    eligible,
    events_of,
    greedy_apy,
    mandate_of,
    read_day,
    sizes,
    with_outcomes,
    with_turnover,
)
from evals.outcomes import Cost, bootstrap_mean, outcome, paid, portfolio_returns, turnover
from tools.errors import UsageError
from tools.market.sources.folder import FolderSource
from tools.records import BindingLimit
from tools.strategies.objectives import load_objectives
from tools.strategies.profiles import load_limits

DAY = dt.date(2025, 1, 10)
USD_DAY = dt.date(2024, 10, 1)
FREE = Cost(0.0, 0.0, 0.0)


def chart(rates: dict[int, Any]) -> list[dict[str, Any]]:
    """Rows of January 2025 by day of the month."""
    return [{"timestamp": f"2025-01-{day:02d}T23:00:00.000Z", "apy": rate} for day, rate in rates.items()]


def test_a_day_without_a_row_takes_the_last_rate_for_three_days_and_then_earns_nothing() -> None:
    found = paid(chart({10: 5.0, 11: 8.0}), DAY, 6)
    assert found.apy.tolist() == [0.08, 0.08, 0.08, 0.08, 0.0, 0.0]
    assert (found.carried, found.unpaid) == (3, 2)


def test_the_days_before_the_decision_count_toward_the_three() -> None:
    found = paid(chart({8: 5.0}), DAY, 3)
    assert found.apy.tolist() == [0.05, 0.0, 0.0]
    assert (found.carried, found.unpaid) == (1, 2)
    assert paid(chart({6: 5.0}), DAY, 1).unpaid == 1
    assert paid([], DAY, 2).apy.tolist() == [0.0, 0.0]


def test_what_is_no_rate_is_a_missing_day_and_the_last_row_of_a_day_counts() -> None:
    rows = chart({10: 5.0, 11: math.nan, 12: 1000.5, 13: "7", 14: -1.0, 15: 0.0})
    found = paid([*rows, *chart({16: 3.0}), *chart({16: 4.0}), {"timestamp": None, "apy": 9.0}], DAY, 6)
    assert found.apy.tolist() == [0.05, 0.05, 0.05, 0.0, 0.0, 0.04]
    assert (found.carried, found.unpaid) == (3, 1)


def test_money_left_alone_drifts_to_what_pays_more() -> None:
    apys = [np.full(40, 0.5), np.full(40, 0.0)]
    wealth = [0.4 * 1.5 ** (day / 365) + 0.6 for day in range(41)]
    expected = [after / before - 1.0 for before, after in itertools.pairwise(wealth)]
    assert portfolio_returns(apys, [0.4, 0.6]) == pytest.approx(expected, abs=1e-15)


def test_a_steady_rate_arrives_as_it_was_and_costs_are_paid_in_full() -> None:
    charts = {"a": chart(dict.fromkeys(range(10, 32), 10.0))}
    found = outcome({"a": 1.0}, charts, DAY, 20, Cost(gas=0.001, leaving=0.002, dilution=0.01))
    assert found.gross_apy == pytest.approx(0.10, abs=1e-12)
    assert found.net_apy == pytest.approx((1.1 ** (20 / 365) - 0.003) ** (365 / 20) - 1.0 - 0.01, abs=1e-12)
    assert found.volatility == pytest.approx(0.0, abs=1e-15)
    assert found.cvar_95 == pytest.approx(-(1.1 ** (1 / 365) - 1.0), abs=1e-12)
    assert outcome({"a": 1.0}, charts, DAY, 20, None).net_apy is None


def test_a_pool_that_vanishes_earns_nothing_and_is_counted() -> None:
    charts = {"a": chart(dict.fromkeys(range(10, 32), 10.0))}
    found = outcome({"a": 0.5, "gone": 0.5}, charts, DAY, 20, FREE)
    assert found.unpaid == 20
    assert found.gross_apy == pytest.approx((0.5 * 1.1 ** (20 / 365) + 0.5) ** (365 / 20) - 1.0, abs=1e-12)
    with pytest.raises(ValueError, match="add up to 1"):
        outcome({"a": 0.9}, charts, DAY, 20, FREE)


def test_turnover_is_half_of_what_changes() -> None:
    assert turnover({"a": 0.6, "b": 0.4}, {"b": 0.5, "c": 0.5}) == pytest.approx(0.6)
    assert turnover({"a": 1.0}, {"a": 1.0}) == 0.0
    assert turnover({"a": 1.0}, {"b": 1.0}) == 1.0


def test_blocks_keep_what_neighbouring_days_share() -> None:
    level_shift = np.repeat([0.0, 1.0], 30)
    blocks, single_days = bootstrap_mean(level_shift), bootstrap_mean(level_shift, block_days=1)
    assert blocks.mean == single_days.mean == 0.5
    assert blocks.high - blocks.low > 1.5 * (single_days.high - single_days.low)
    assert bootstrap_mean(level_shift) == blocks
    to_and_fro = bootstrap_mean(np.tile([0.0, 1.0], 30))
    assert to_and_fro.high - to_and_fro.low == pytest.approx(0.0, abs=1e-12)
    flat = bootstrap_mean(np.full(30, 0.25))
    assert (flat.low, flat.mean, flat.high) == (0.25, 0.25, 0.25)
    for wrong in (np.array([math.nan] * 30), np.zeros(19)):
        with pytest.raises(ValueError):
            bootstrap_mean(wrong)


def test_the_interval_of_independent_days_is_the_textbooks() -> None:
    values = np.random.default_rng(7).standard_normal(400)
    found = bootstrap_mean(values, block_days=1)
    wide = 2.0 * 1.645 * values.std() / math.sqrt(400)
    assert found.high - found.low == pytest.approx(wide, rel=0.08)


class Watched(FolderSource):
    """A folder that notes up to which days it was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[dt.date] = []

    def pools(self, as_of: dt.date) -> Any:
        self.asked.append(as_of)
        return super().pools(as_of)

    def charts(self, pool_ids: Any, as_of: dt.date, progress: Any = None) -> Any:
        self.asked.append(as_of)
        return super().charts(pool_ids, as_of, progress)

    def table(self, kind: str, name: str, as_of: dt.date) -> Any:
        self.asked.append(as_of)
        return super().table(kind, name, as_of)

    def hacks(self, as_of: dt.date) -> Any:
        self.asked.append(as_of)
        return super().hacks(as_of)


@pytest.fixture(scope="module")
def watched(market_folder: Path) -> tuple[Watched, MarketDay]:
    source = Watched(market_folder)
    return source, read_day(source, "USD", USD_DAY)


@pytest.fixture(scope="module")
def day(watched: tuple[Watched, MarketDay]) -> MarketDay:
    return watched[1]


@pytest.fixture(scope="module")
def held(day: MarketDay) -> list[Decided]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocation, "METHODS", ("equal", "min_cvar"))
        return decisions(day, "medium")


@pytest.fixture(scope="module")
def sized(day: MarketDay) -> list[AtSize]:
    return sizes(day, "medium", (10_000.0, 10_000_000.0), ("equal",))


def test_a_decision_sees_nothing_after_its_day(watched: tuple[Watched, MarketDay], held: list[Decided]) -> None:
    source, _ = watched
    assert held
    assert source.asked
    assert max(source.asked) == USD_DAY


def test_every_method_and_rule_holds_all_the_money_or_says_why(held: list[Decided]) -> None:
    assert [one.method for one in held] == ["equal", "min_cvar", "equal_all", "greedy_apy"]
    for one in held:
        assert one.weights or one.reason
        assert not one.weights or math.fsum(one.weights.values()) == pytest.approx(1.0, abs=1e-9)


def test_a_methods_candidate_is_the_best_scored_of_those_that_passed(day: MarketDay) -> None:
    found = decide(day, mandate_of("USD", "medium", 1e6), ("equal", "min_cvar"))
    best = best_of(found.candidates, "min_cvar")
    assert best is not None
    rivals = [one for one in found.candidates if one.passed and one.method == "min_cvar"]
    assert best.passed
    assert len({one.score.total for one in rivals}) > 1
    assert best.score.total == max(one.score.total for one in rivals)
    assert best_of([one for one in found.candidates if not one.passed]) is None


def test_the_rules_keep_the_limits_of_the_level_pool_by_pool(day: MarketDay) -> None:
    limits = load_limits()["low"]["USD"]
    pools = eligible(day, mandate_of("USD", "low", 1e6))
    assert 0 < len(pools) < len(eligible(day, mandate_of("USD", "high", 1e6)))
    assert all(pool.protocol_risk <= limits.protocol_risk for pool in pools)
    weights = greedy_apy(pools, limits, 1e6)
    assert weights is not None
    apys = {pool.id: pool.row.apy for pool in pools}
    least = min(apys[pool_id] for pool_id in weights)
    assert not [pool for pool in pools if pool.row.apy > least and pool.id not in weights]
    for pool in pools:
        assert weights.get(pool.id, 0.0) <= min(limits.max_weight, limits.position_share * pool.row.tvl_usd / 1e6)
    assert greedy_apy(pools, limits, 1e12) is None
    assert greedy_apy([], limits, 1e6) is None


@pytest.mark.parametrize(
    "stricter", [{"protocol_risk": 0.0}, {"history_days": 10_000}, {"apy_multiple": 0.0}, {"reward_share": -1.0}]
)
def test_no_pool_that_breaks_a_limit_by_itself_is_eligible(
    day: MarketDay, monkeypatch: pytest.MonkeyPatch, stricter: dict[str, Any]
) -> None:
    limits = load_limits()["high"]["USD"].model_copy(update=stricter)
    monkeypatch.setattr(allocation, "limits_for", lambda mandate: limits)
    assert eligible(day, mandate_of("USD", "high", 1e6)) == []


def test_costs_are_those_of_the_record(day: MarketDay) -> None:
    best = best_of(decide(day, mandate_of("USD", "high", 1e6), ("equal",)).candidates)
    assert best is not None
    cost = costs_of(day, {pool.pool_id: pool.weight for pool in best.pools}, 1e6)
    assert cost is not None
    all_in = best.risk.all_in
    assert cost == pytest.approx((all_in.gas_cost, all_in.exit_cost, all_in.dilution), rel=1e-9, abs=1e-15)


def test_the_loss_by_events_is_that_of_the_record(day: MarketDay) -> None:
    best = best_of(decide(day, mandate_of("USD", "medium", 1e6), ("equal",)).candidates)
    assert best is not None
    found = events_of(day, {pool.pool_id: pool.weight for pool in best.pools})
    assert found.expected_loss == pytest.approx(best.risk.all_in.expected_loss, rel=1e-9)
    # 4,000 drawn years against 100,000 paths around another mean yield: the same quantity, not the same draw.
    assert found.cvar_95 == pytest.approx(best.risk.all_in.cvar_95, rel=0.15)


def test_outcomes_agree_with_another_reading_of_the_files(market_folder: Path, held: list[Decided]) -> None:
    first = with_outcomes(held, FolderSource(market_folder), (30,))[0]
    assert first.realised[0].unpaid == first.realised[0].carried == 0
    wealth = 0.0
    for pool_id, weight in first.weights.items():
        rows = json.loads(gzip.decompress((market_folder / "charts" / f"{pool_id}.json.gz").read_bytes()))
        rates = {
            row["timestamp"][:10]: row["apy"] for row in rows["data"] if "2024-10-02" <= row["timestamp"] < "2024-11-01"
        }
        wealth += weight * math.prod((1.0 + rate / 100.0) ** (1.0 / 365.0) for rate in rates.values())
        assert len(rates) == 30
    assert first.realised[0].gross_apy == pytest.approx(wealth ** (365 / 30) - 1.0, rel=1e-9)
    assert first.promised_apy is not None
    assert first.realised[0].arrived == pytest.approx(first.realised[0].gross_apy / first.promised_apy, rel=1e-9)


def test_the_equal_weight_of_all_is_not_better_than_itself(market_folder: Path, held: list[Decided]) -> None:
    found = {one.method: one.realised[0] for one in with_outcomes(held, FolderSource(market_folder), (30,))}
    assert (found["equal_all"].edge_low, found["equal_all"].edge, found["equal_all"].edge_high) == (0.0, 0.0, 0.0)
    for one in found.values():
        assert one.edge_low <= one.edge <= one.edge_high


def test_turnover_is_against_the_same_method(held: list[Decided]) -> None:
    nothing = [one.model_copy(update={"weights": {}, "reason": "none"}) for one in held]
    assert [one.turnover for one in with_turnover(held, held)] == [0.0] * len(held)
    assert {one.turnover for one in with_turnover(held, nothing)} == {None}


def test_a_larger_deposit_holds_otherwise_and_says_why(sized: list[AtSize]) -> None:
    small, large = sized
    assert small.changes == []
    assert small.pools != large.pools
    assert any("of what it holds may be ours" in change for change in large.changes)
    assert small.all_in is not None
    assert large.all_in is not None
    assert large.all_in.dilution > small.all_in.dilution >= 0.0
    assert small.all_in.gas_cost > large.all_in.gas_cost


def moving(pool_pays: float = 0.10, diluted: float = 0.10, above_usd: float = 1e9, gas_usd: float | None = 0.0) -> Any:
    """A day whose pools pay ``diluted`` from a deposit of ``above_usd`` on, and cost ``gas_usd`` to enter."""
    curve = SimpleNamespace(rate=lambda deposit: diluted if deposit >= above_usd else pool_pays)
    return SimpleNamespace(
        moving=SimpleNamespace(curve=lambda pool: curve, gas=lambda pool: SimpleNamespace(value=gas_usd))
    )


LOOSE = moving()
CAPPED = ": no more than 5% of what it holds may be ours, which is "
LOWER = ": with as large a share in it, it would pay "
TINY = ", and under 5% is not worth its transactions"


@pytest.mark.parametrize(
    ("day", "tvl_usd", "weights", "said"),
    [
        (LOOSE, 20e6, (0.50, 0.10), f"{CAPPED}10.0%"),
        (LOOSE, 20e6, (0.50, 0.0), ""),  # 10 % would fit: the cap is no reason for nothing
        (LOOSE, 20e6, (0.50, 0.05), ""),  # nor for less than it allows
        (LOOSE, 6e6, (0.50, 0.0), f"{CAPPED}3.0%{TINY}"),
        (LOOSE, 6e6, (0.50, 0.03), f"{CAPPED}3.0%"),
        (LOOSE, 6e6, (0.02, 0.0), ""),  # the cap leaves room for what was held
        (moving(diluted=0.09, above_usd=4e6), 1e9, (0.50, 0.40), f"{LOWER}9.00%, not 10.00%"),
        (moving(diluted=0.0997, above_usd=4e6), 1e9, (0.50, 0.40), ""),  # three basis points move nothing
        (moving(gas_usd=20.0), 1e9, (0.10, 0.40), ": its gas, 0.10% of such a position before, is 0.00% now"),
        (moving(gas_usd=5.0), 1e9, (0.10, 0.40), ""),
        (moving(gas_usd=None), 1e9, (0.10, 0.40), ""),  # unknown gas explains nothing
        (moving(diluted=0.09, above_usd=1.0), 6e6, (0.10, 0.40), ""),  # neither does what would only lower a weight
    ],
)  # fmt: skip
def test_a_change_has_a_reason_only_where_it_can_be_shown(
    day: Any, tvl_usd: float, weights: tuple[float, float], said: str
) -> None:
    pool: Any = SimpleNamespace(row=SimpleNamespace(tvl_usd=tvl_usd))
    limits: Any = SimpleNamespace(position_share=0.05)
    assert allocation._why(day, pool, weights, (1e5, 1e7), limits, 0.05) == said


def test_a_small_cap_is_no_reason_where_a_small_position_is_worth_it() -> None:
    pool: Any = SimpleNamespace(row=SimpleNamespace(tvl_usd=6e6))
    limits: Any = SimpleNamespace(position_share=0.05)
    assert allocation._why(LOOSE, pool, (0.50, 0.0), (1e5, 1e7), limits, 1e-4) == ""


def test_changes_begin_with_the_candidate_and_then_the_largest(day: MarketDay, sized: list[AtSize]) -> None:
    small = sized[0]
    limits = load_limits()["medium"]["USD"]
    assert allocation.changes(day, small, small, limits) == []
    one, two = small.pools[:2]
    moved = [
        one.model_copy(update={"weight": one.weight - 0.005}),
        two.model_copy(update={"weight": two.weight + 0.15}),
        *small.pools[2:-1],
    ]
    after = small.model_copy(update={"pools": moved, "candidate": "growth.equal"})
    first, *rest = allocation.changes(day, small, after, limits)
    assert first == f"growth.equal in place of {small.candidate}, which may hold other pools"
    last = small.pools[-1]
    assert [line.partition(" → ")[0] for line in rest] == [
        f"{last.name} {last.weight:.1%}", f"{two.name} {two.weight:.1%}",
    ]  # fmt: skip


def test_the_choice_stands_beside_what_serves_the_objective(day: MarketDay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "RISK_ORDER", ("low",))
    (row,) = choices(day)
    alone = best_of(decide(day, mandate_of("USD", "low", 1e6)).candidates)
    assert row.candidate == (alone.id if alone else None)
    assert row.serving is not None
    assert row.serving.endswith(load_objectives()["low"].methods[-1])
    same = row.model_copy(update={"serving": row.candidate})
    assert "the same" in list(allocation_tables.choice_table([same]))[-1]


def test_the_page_shows_the_objectives_in_use() -> None:
    page = (Path(__file__).parents[2] / "docs" / "allocation.md").read_text(encoding="utf-8")
    assert all(mark in page for mark in allocation_tables.GENERATED)
    assert "\n".join(allocation_tables.objective_table()) in page


def test_every_line_of_a_table_has_the_cells_of_its_heading(
    market_folder: Path, held: list[Decided], sized: list[AtSize]
) -> None:
    rows = with_outcomes(held, FolderSource(market_folder), (30, 60))
    none = [one.model_copy(update={"asset": "BTC", "weights": {}, "reason": "nothing pays"}) for one in held]
    lines = [
        *allocation_tables.outcome_tables([*rows, *none]),
        *allocation_tables.summary_table([*rows, *none]),
        *allocation_tables.summary_table(none),
        *allocation_tables.size_tables(sized),
        *allocation_tables.objective_table(),
    ]
    cells = 0
    for line in lines:
        if line.startswith("|---"):
            assert line.count("|") == cells
        elif line.startswith("|"):
            assert cells in {0, line.count("|")}, line
        cells = line.count("|") if line.startswith("|") else 0
    text = "\n".join(lines)
    assert "### USD, decided on 2024-10-01, the 60 days after" in text
    assert "### BTC, decided on 2024-10-01: nothing was held" in text
    assert not any(pool_id in text for one in held for pool_id in one.weights)


@pytest.mark.parametrize(
    ("update", "shown"),
    [
        ({"break_even_days": None}, "never"),
        ({"break_even_days": None, "gas_cost": None}, "unknown"),
        ({"break_even_days": None, "exit_cost": None}, "unknown"),
        ({"break_even_days": 0.2}, "a day"),
        ({"break_even_days": 1234.4}, "1,234 days"),
    ],
)
def test_a_break_even_without_a_price_is_unknown_and_not_never(
    sized: list[AtSize], update: dict[str, Any], shown: str
) -> None:
    small = sized[0]
    assert small.all_in is not None
    all_in = small.all_in.model_copy(update={"gas_cost": 0.001, "exit_cost": 0.0} | update)
    assert allocation_tables.break_even(small.model_copy(update={"all_in": all_in})) == shown
    assert allocation_tables.break_even(small.model_copy(update={"all_in": None})) == "-"


def test_binding_limits_are_named_in_words_the_dearest_first() -> None:
    limits = [
        BindingLimit(limit="position_share:id-1", price_bps=0.5),
        BindingLimit(limit="max_weight:id-2", price_bps=3.25),
        BindingLimit(limit="protocol_share:aave", price_bps=0.01),
        BindingLimit(limit="least weight of id-2", price_bps=1.0),
    ]
    assert allocation_tables.binding_words(limits, {"id-1": "Small", "id-2": "Large"}) == [
        "weight of Large 3.25",
        "least weight of Large 1",
        "share of Small that may be ours 0.5",
        "share on aave 0.01",
    ]


def test_only_the_generated_part_of_a_page_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    start, end = allocation_tables.GENERATED
    page.write_text(f"before\n{start}\nold\n{end}\nafter\n")
    allocation_tables.rewrite(page, ["new"])
    assert page.read_text() == f"before\n{start}\n\nnew\n{end}\nafter\n"
    allocation_tables.rewrite(page, ["new"])
    assert page.read_text() == f"before\n{start}\n\nnew\n{end}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(UsageError, match="has no part"):
        allocation_tables.rewrite(page, ["new"])
    with pytest.raises(UsageError, match="cannot read"):
        allocation_tables.rewrite(tmp_path / "missing.md", ["new"])


@pytest.mark.parametrize(
    ("value", "shown"), [(1e4, "$10 k"), (1e6, "$1 M"), (2.5e6, "$2.5 M"), (12.0, "$12"), (0.5, "$0.5")]
)
def test_dollars_are_short(value: float, shown: str) -> None:
    assert allocation_tables.dollars(value) == shown
