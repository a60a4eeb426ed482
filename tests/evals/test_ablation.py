"""Parts switched off in turn: that the harm of a planted one is noticed, and that nothing stays changed afterwards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import agents.mandates
from agents.state import Switch
from evals.ablation import (
    LOOSEST,
    WHOLE,
    Day,
    Part,
    Recorded,
    Served,
    Study,
    answer_day,
    answer_served,
    change,
    decided_otherwise,
    lifted,
    limits,
    parts,
    served_cases,
    study,
)
from evals.ablation_tables import page_lines
from evals.regret.markets import RegretCase, cases_of, load_markets
from tools.market.sources.folder import FolderSource
from tools.records import Mandate
from tools.strategies.profiles import Limits, load_limits

HARMFUL = Part("planted", "whatever pays least")


def case_of(name: str) -> RegretCase:
    return next(case for case in cases_of(load_markets()) if case.id == name)


def recorded(case: str, net_apy: float | None, weights: dict[str, float]) -> Recorded:
    return Recorded(case, net_apy, 0.0, 0.01, 0.1, weights, 0, None, 1.0)


def test_a_planted_harm_is_found_with_an_interval_that_leaves_out_nothing() -> None:
    whole = [0.05, 0.07, 0.02, 0.11, 0.06]
    found = change(whole, [value - 0.01 for value in whole])
    assert found is not None
    assert found.mean.value == pytest.approx(-0.01)
    assert found.mean.high < 0.0
    assert found.cases == 5


def test_what_helps_as_often_as_it_harms_is_not_called_harmful() -> None:
    found = change([0.0] * 6, [0.01, -0.01, 0.02, -0.02, 0.015, -0.015])
    assert found is not None
    assert found.mean.low < 0.0 < found.mean.high


def test_cases_without_a_figure_are_left_out_and_none_at_all_is_said() -> None:
    found = change([0.05, None, 0.02], [0.04, 0.09, None])
    assert found is not None
    assert found.cases == 1
    assert change([None], [0.01]) is None
    with pytest.raises(ValueError, match="zip"):
        change([0.0], [0.0, 0.0])


def test_an_answer_that_is_lost_moves_all_of_the_money() -> None:
    held = {"a": 0.5, "b": 0.5}
    assert decided_otherwise([held, held, {}], [held, {}, held]) == (2, pytest.approx(2 / 3))
    assert decided_otherwise([held], [{"a": 0.25, "b": 0.75}]) == (1, pytest.approx(0.25))
    assert decided_otherwise([{}], [{}]) == (0, 0.0)


def test_every_switch_and_every_limit_is_a_part() -> None:
    assert {switch for part in parts(model=True) for switch in part.off} == set(Switch)
    assert [part.limit for part in limits()] == list(Limits.model_fields)
    assert set(LOOSEST) == set(Limits.model_fields)
    without_model = {switch for part in parts(model=False) for switch in part.off}
    assert set(Switch) - without_model == {name for name in Switch if name.endswith("_model")}


def test_a_lifted_limit_is_loose_for_every_level_and_is_back_afterwards() -> None:
    mandate = Mandate(asset="USD", amount_usd=1e6, risk="low")
    before = agents.mandates.limits_for(mandate)
    with lifted("protocol_share"):
        assert agents.mandates.limits_for(mandate) == before.model_copy(update={"protocol_share": 1.0})
    with pytest.raises(RuntimeError), lifted("protocol_share"):
        raise RuntimeError
    assert agents.mandates.limits_for(mandate) == before
    for level in load_limits().values():
        for own in level.values():
            for name in Limits.model_fields:
                loose = getattr(own.model_copy(update={name: LOOSEST[name]}), name)
                assert loose <= getattr(own, name) if name == "history_days" else loose >= getattr(own, name)


def test_a_dozen_markets_at_two_sizes() -> None:
    cases = served_cases()
    assert len(cases) == 24
    assert len({case.market.id for case in cases}) == 12
    assert {case.market.asset for case in cases} == {"USD", "ETH", "BTC"}


def test_without_the_optimiser_income_is_lost_on_a_frozen_market() -> None:
    case = case_of("usd-mixed-1@1000000")
    whole, without = (answer_served(case, part) for part in (WHOLE, Part("quant", "", ("quant",))))
    assert whole.broken == without.broken == 0
    assert whole.alarms == without.alarms == 0
    assert without.regret_bps > whole.regret_bps + 1.0
    assert decided_otherwise([whole.weights], [without.weights])[0] == 1


def test_a_recorded_day_without_the_gates_takes_more_risk(market_folder) -> None:
    day = Day("USD", dt.date(2024, 12, 1), dt.date(2025, 1, 15), "medium", checked=True)
    source = FolderSource(market_folder)
    asked: list[tuple[str, ...]] = []

    def check(found: Any, context: Any) -> int:
        asked.append(tuple(found.off))
        return 3

    whole, without = (answer_day(source, day, part, check) for part in (WHOLE, Part("risk", "", ("risk",))))
    assert asked == [(), ("risk",)]
    assert whole.differences == without.differences == 3
    assert whole.alarms == without.alarms == 0
    assert without.cvar_95 > whole.cvar_95
    assert whole.drawdown == 0.0  # a chart of rates never falls
    assert whole.net_apy is not None


def test_nothing_that_may_be_held_counts_as_idle_money(market_folder) -> None:
    day = Day("BTC", dt.date(2025, 8, 31), dt.date(2025, 9, 26), "low")
    found = answer_day(FolderSource(market_folder), day, WHOLE, lambda *_: 0)
    assert (found.weights, found.net_apy, found.differences) == ({}, 0.0, None)


def test_the_page_names_the_harm_of_a_planted_part() -> None:
    served = [Served(f"m{n}", 1e6, float(n), 0, {"a": 1.0}, 0, 1.0) for n in range(4)]
    worse = [one._replace(regret_bps=one.regret_bps + 7.0, weights={"b": 1.0}, alarms=1) for one in served]
    days = [recorded(f"d{n}", 0.05 + 0.01 * n, {"a": 1.0}) for n in range(3)]
    poor = [one._replace(net_apy=one.net_apy - 0.02, weights={"b": 1.0}, differences=2) for one in days]
    idle = [recorded(one.case, 0.0, {}) for one in days]
    none = Part("planted idle", "nothing is held")
    page = "\n".join(page_lines(Study({WHOLE: served, HARMFUL: worse}, {WHOLE: days, HARMFUL: poor, none: idle}, None)))
    assert (
        "| planted | whatever pays least | 8.50; +7.00 (+7.00 to +7.00) | 4 of 4 (100% of the money) | 0 | 4 |" in page
    )
    assert "4.00%; -2.00 (-2.00 to -2.00)" in page
    assert "6 in 3 runs" in page
    assert "3 of 3" in page
    assert "| planted idle | nothing | nothing | nothing |" in page.replace(" (100%)", "")
    assert "the embedded policy" in page


def test_a_study_asks_every_part_about_every_case() -> None:
    case = case_of("usd-no-choice@1000000")
    told: list[tuple[int, int]] = []
    found = study(None, lambda *_: 0, cases=[case], days=(), progress=lambda *done: told.append(done))  # type: ignore[arg-type]
    assert list(found.served) == [WHOLE, *parts(model=False)]
    assert all(len(answers) == 1 for answers in found.served.values())
    assert told[-1] == (8, 8)
    assert all(not answers for answers in found.recorded.values())
