"""The learned rebalancer; what needs torch is skipped where it is not installed (see ``make forecast-test``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tools.forecast.dqn import (
    STATE_SIZE,
    Agent,
    DqnSettings,
    Memory,
    _learn,
    agent_arrays,
    greedy_policy,
    new_agent,
    state_of,
    train_round,
)
from tools.forecast.rebalancing import MOVES, RULES, Costs, RateBook, Seen, follow
from tools.forecast.reproducible import reproducible
from tools.forecast.training import train_dqn
from tools.units import FloatArray

SMALL = DqnSettings(hidden=16, rounds=2, episodes=2, episode_days=30, batch=16, capacity=64, copy_every=10)


def book_of(rates: FloatArray) -> RateBook:
    return RateBook(rates, ~np.isnan(rates))


def turning(days: int = 240, pools: int = 6, spell: int = 20) -> RateBook:
    """A market in which one pool pays 60 % for twenty days, then the next: worth moving for, if moving is cheap."""
    best = (np.arange(days) // spell) % pools
    rates = np.full((days, pools), 0.02) + 1e-4 * np.arange(pools)
    rates[np.arange(days), best] = 0.6
    return book_of(rates)


def seen_of(book: RateBook, day: int = 40, idle: int = 3) -> Seen:
    weights = np.zeros(book.apy.shape[1])
    weights[:2] = 0.5
    return Seen(book, day, weights, idle, Costs(1e5))


def test_memory_forgets_the_oldest_first() -> None:
    memory = Memory.empty(3)
    for number in range(5):
        memory.add(np.full(STATE_SIZE, number), number, number / 2, np.full(STATE_SIZE, -number))
    assert memory.size == 3
    assert memory.count == 5
    assert sorted(memory.move.tolist()) == [2, 3, 4]
    assert memory.before[:, 0].tolist() == [3.0, 4.0, 2.0]
    assert memory.after[1, -1] == -4.0


def test_the_state_knows_nothing_of_what_comes() -> None:
    rates = turning().apy
    changed = rates.copy()
    changed[41:] = 5.0
    np.testing.assert_array_equal(state_of(seen_of(book_of(rates))), state_of(seen_of(book_of(changed))))


def test_the_state_knows_ranks_not_places() -> None:
    draw = np.random.default_rng(0)
    rates = draw.uniform(0.01, 0.2, (60, 7))
    order = draw.permutation(7)
    seen = seen_of(book_of(rates))
    other = seen._replace(book=book_of(rates[:, order]), weights=seen.weights[order])
    np.testing.assert_allclose(state_of(seen), state_of(other), atol=1e-12)
    assert state_of(seen).shape == (STATE_SIZE,)


def test_the_state_of_few_pools_and_of_none_open_is_finite() -> None:
    rates = np.full((50, 2), 0.05)
    rates[30:] = math.nan
    state = state_of(seen_of(book_of(rates)))
    assert np.isfinite(state).all()
    assert state[: 4 * 6].tolist() == [0.0] * 24
    assert state[24] == 1.0  # all of it is in what is not open


def test_settings_without_sense_are_refused() -> None:
    for wrong in ({"discount": 1.0}, {"rounds": 0}, {"amounts_usd": ()}, {"episode_days": 1}):
        with pytest.raises(ValueError, match=r"must|takes"):
            DqnSettings(**wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def torch() -> object:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained(torch: object) -> Agent:
    settings = DqnSettings(
        hidden=32, rounds=12, episodes=4, episode_days=60, pools=6, amounts_usd=(1e6,), learn_every=1, discount=0.9
    )
    return train_dqn([turning()], settings)


def test_it_learns_to_follow_the_best_where_that_pays(trained: Agent) -> None:
    book, costs = turning(days=100, spell=25), Costs(1e6)  # spells of another length than it was trained on
    learned = follow(greedy_policy(trained), book, costs)
    assert learned.annual > follow(RULES["never"], book, costs).annual + 0.10
    assert learned.annual > follow(RULES["payback"], book, costs).annual + 0.05


def test_it_does_the_same_again_bit_for_bit(torch: object) -> None:
    one, other = (train_dqn([turning()], SMALL) for _ in range(2))
    arrays, again = agent_arrays(one, whole=True), agent_arrays(other, whole=True)
    assert arrays.keys() == again.keys()
    for name in arrays:
        assert np.asarray(arrays[name]).tobytes() == np.asarray(again[name]).tobytes(), name
    assert one.learned > 0


def test_the_target_is_the_slow_networks_value_of_the_move_that_the_other_prefers(torch: object) -> None:
    """One step of learning with the rate at almost nothing shows the loss; it is computed here by hand."""
    import torch as library

    settings = DqnSettings(**(vars(SMALL) | {"learning_rate": 1e-12, "batch": 16}))
    with reproducible(0):
        agent = new_agent(settings)
        for part in agent.slow.parameters():
            part.data.uniform_(-0.5, 0.5)
    draw = np.random.default_rng(1)
    for _ in range(16):
        agent.memory.add(
            draw.normal(size=STATE_SIZE), int(draw.integers(6)), draw.normal(), draw.normal(size=STATE_SIZE)
        )
    places = np.random.default_rng(3).integers(16, size=16)

    def values(network: object, states: FloatArray) -> FloatArray:
        with library.no_grad():
            found: FloatArray = network(library.from_numpy(states)).numpy()  # type: ignore[operator]
        return found

    memory = agent.memory
    online, slow = values(agent.online, memory.after[places]), values(agent.slow, memory.after[places])
    wanted = memory.reward[places] + settings.discount * slow[np.arange(16), online.argmax(axis=1)]
    error = values(agent.online, memory.before[places])[np.arange(16), memory.move[places]] - wanted
    huber = np.where(np.abs(error) <= 1.0, 0.5 * error**2, np.abs(error) - 0.5).mean()
    seen: list[float] = []
    original = library.nn.functional.huber_loss

    def spy(*arguments: object) -> Any:
        loss = original(*arguments)
        seen.append(float(loss.detach()))
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.nn.functional, "huber_loss", spy)
        _learn(agent, np.random.default_rng(3))
    assert seen[0] == pytest.approx(huber, rel=1e-5)
    assert not (online.argmax(axis=1) == slow.argmax(axis=1)).all()  # else this would not tell double from plain


def test_the_slow_network_follows_every_so_often(torch: object) -> None:
    with reproducible(0):
        agent = new_agent(SMALL)
        while agent.learned < SMALL.copy_every:
            train_round(agent, [turning()])
    assert agent.learned >= SMALL.copy_every
    arrays = agent_arrays(agent, whole=True)
    initial = {}
    with reproducible(0):
        initial = agent_arrays(new_agent(SMALL), whole=True)
    assert not np.array_equal(arrays["slow/0.weight"], initial["slow/0.weight"])


def test_its_policy_returns_weights_of_one_of_the_moves(trained: Agent) -> None:
    book = turning(days=60)
    policy = greedy_policy(trained)
    seen = seen_of(book)
    weights = policy(seen)
    assert math.fsum(weights) == pytest.approx(1.0)
    from tools.forecast.rebalancing import target

    assert any(np.array_equal(weights, target(seen, move)) for move in range(len(MOVES)))


def test_books_too_short_or_too_empty_to_learn_from_are_refused(torch: object) -> None:
    with reproducible(0):
        agent = new_agent(SMALL)
    with pytest.raises(ValueError, match="start with 4 open pools"):
        train_round(agent, [turning(days=29)])
    with pytest.raises(ValueError, match="start with 4 open pools"):
        train_round(agent, [turning(pools=3)])
