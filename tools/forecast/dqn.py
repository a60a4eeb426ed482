"""A rebalancer that learns: a deep Q-network over the moves of ``tools.forecast.rebalancing``.

Q(s, a) is what a move is worth: its reward and, discounted, those of the days after it. A network with two hidden
layers learns it from replayed days against a slower copy of itself (Mnih et al., Nature 518, 2015), the copy's value
taken at the move that the network itself prefers (double Q-learning: van Hasselt, Guez & Silver, AAAI 2016), with
Huber's loss. While it learns it explores: with probability ε, falling from 1 to ``least_exploration`` over the first
half, the move is drawn at random.

**State**, all of it known at the end of the day: for each of the ``RANKS`` best open pools its weight, the logarithm of
its weekly mean, the weekly mean over the monthly one, and today's rate over the weekly mean (logarithms of 1e-4 + APY);
the weight of everything else; the days since the last move; and for each move what it costs and what it would add to
the rate. A state knows ranks, not names, so what was learnt on one set of pools can be used on another.

**Action**: one of ``MOVES``. **Reward**: that of ``Walk.step``, less the mean rate of the open pools on that day, which
no move changes: it takes out the level of the market, which is most of the noise.

An episode is ``episode_days`` of a random part of the training books, with a random set of pools and one of
``amounts_usd``. It is drawn from the seed and the number of its round alone.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.forecast.rebalancing import (
    KEEP,
    MOVES,
    Costs,
    Policy,
    RateBook,
    Seen,
    Walk,
    start_weights,
    target,
)
from tools.forecast.reproducible import (
    Module,
    choose_device,
    import_torch,
    module_arrays,
    optimiser_arrays,
    set_module,
    set_optimiser,
)
from tools.units import BASIS_POINTS, DAYS_PER_YEAR, FloatArray

RANKS = 6
LEAST_POOLS = 4  # of an episode: with fewer there is little to choose
STATE_SIZE = 4 * RANKS + 2 + 2 * (len(MOVES) - 1)
LOG_OFFSET = 1e-4
REWARD_SCALE = 0.1  # of basis points: a day's reward is of the order of one


@dataclass(frozen=True)
class DqnSettings:
    """How the rebalancer learns; ``capacity`` is the number of days that it remembers."""

    hidden: int = 64
    rounds: int = 40
    episodes: int = 10
    episode_days: int = 60
    pools: int = 8
    amounts_usd: tuple[float, ...] = (10_000.0, 1_000_000.0)
    discount: float = 0.98
    learning_rate: float = 5e-4
    batch: int = 64
    learn_every: int = 2
    copy_every: int = 250
    capacity: int = 20_000
    least_exploration: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.discount < 1.0 or not 0.0 <= self.least_exploration <= 1.0:
            raise ValueError("discount must lie in [0, 1) and least_exploration in [0, 1]")
        for name in ("hidden", "rounds", "episodes", "pools", "batch", "learn_every", "copy_every", "capacity"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.episode_days < 2 or not self.amounts_usd:
            raise ValueError("an episode takes at least 2 days and an amount")


@dataclass
class Memory:
    """The days that are replayed, the oldest overwritten first; ``count`` is how many there ever were."""

    before: npt.NDArray[np.float32]
    move: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]
    count: int = 0

    @classmethod
    def empty(cls, capacity: int) -> Memory:
        """Return a memory of so many days."""
        states = np.zeros((2, capacity, STATE_SIZE), dtype=np.float32)
        return cls(states[0], np.zeros(capacity, np.int64), np.zeros(capacity, np.float32), states[1])

    def add(self, before: FloatArray, move: int, reward: float, after: FloatArray) -> None:
        """Remember a day."""
        place = self.count % self.move.size
        self.before[place], self.move[place], self.reward[place], self.after[place] = before, move, reward, after
        self.count += 1

    @property
    def size(self) -> int:
        """Return the number of days that are there to be replayed."""
        return min(self.count, self.move.size)


@dataclass
class Agent:
    """A rebalancer in training or ready; ``done`` counts finished rounds, ``learned`` the steps of the optimiser."""

    settings: DqnSettings
    online: Module
    slow: Module
    optimiser: Any
    memory: Memory
    device: str
    done: int = 0
    learned: int = 0


def new_agent(settings: DqnSettings) -> Agent:
    """Make a rebalancer that has learnt nothing; to be called within ``reproducible(settings.seed)``."""
    torch = import_torch()
    nn, device = torch.nn, choose_device()
    online = nn.Sequential(
        nn.Linear(STATE_SIZE, settings.hidden),
        nn.ReLU(),
        nn.Linear(settings.hidden, settings.hidden),
        nn.ReLU(),
        nn.Linear(settings.hidden, len(MOVES)),
    ).to(device)
    optimiser = torch.optim.Adam(online.parameters(), lr=settings.learning_rate, foreach=False)
    return Agent(settings, online, copy.deepcopy(online), optimiser, Memory.empty(settings.capacity), device)


def state_of(seen: Seen) -> FloatArray:
    """Return what the network reads, (STATE_SIZE,); see the top of this module."""
    order = seen.book.ranking(seen.day)[:RANKS]
    ranks = np.zeros((RANKS, 4))
    fast, slow, today = (
        np.log(LOG_OFFSET + np.maximum(part[seen.day, order], 0.0))
        for part in (seen.book.fast, seen.book.slow, seen.book.paid)
    )
    ranks[: order.size] = np.column_stack([seen.weights[order], (fast + 3.0) / 2.0, fast - slow, today - fast])
    rest = 1.0 - math.fsum(seen.weights[order])
    idle = min(seen.idle_days, DAYS_PER_YEAR) / 30.0
    state: FloatArray = np.clip(np.concatenate([ranks.ravel(), [rest, idle], _prospects(seen)]), -5.0, 15.0)
    return state


def _prospects(seen: Seen) -> FloatArray:
    """Return for each move but the first its cost, as log(1 + basis points), and what it adds in basis points a day."""
    rates = np.where(np.isnan(seen.book.apy[seen.day]), 0.0, np.nan_to_num(seen.book.fast[seen.day], nan=0.0))
    found = []
    for move in range(1, len(MOVES)):
        after = target(seen, move)
        gain = math.fsum((after - seen.weights) * rates) / DAYS_PER_YEAR
        found += [math.log1p(BASIS_POINTS * seen.costs.of(seen.weights, after)), BASIS_POINTS * gain]
    return np.array(found)


def train_round(agent: Agent, books: Sequence[RateBook]) -> float:
    """Live through the episodes of one round, learning on the way; return the mean reward of a day (basis points).

    Raises ValueError where no book has an episode's days after a day with something to choose from.
    """
    settings = agent.settings
    starts = _starts(books, settings.episode_days)
    draw = np.random.default_rng((settings.seed, agent.done))
    exploration = max(settings.least_exploration, 1.0 - 2.0 * agent.done / settings.rounds)
    rewards: list[float] = []
    for _ in range(settings.episodes):
        rewards += _live(agent, _episode(starts, settings, draw), exploration, draw)
    agent.done += 1
    return math.fsum(rewards) / len(rewards)


def greedy_policy(agent: Agent) -> Policy:
    """Return the policy that makes the move the network prefers, the first of equals."""

    def policy(seen: Seen) -> FloatArray:
        return target(seen, _preferred(agent, state_of(seen)))

    return policy


def agent_arrays(agent: Agent, whole: bool) -> dict[str, npt.NDArray[Any]]:
    """Return a rebalancer as arrays: its network, or, ``whole``, all that it takes to go on learning."""
    arrays = module_arrays("online", agent.online)
    if whole:
        memory = {f"memory/{f.name}": np.array(getattr(agent.memory, f.name)) for f in dataclasses.fields(Memory)}
        arrays |= module_arrays("slow", agent.slow) | optimiser_arrays(agent.optimiser) | memory
        arrays["learned"] = np.array(agent.learned)
    return arrays


def set_agent(agent: Agent, arrays: dict[str, npt.NDArray[Any]], done: int) -> None:
    """Give a new rebalancer what ``agent_arrays`` returned."""
    set_module("online", agent.online, arrays)
    agent.done = done
    if "learned" in arrays:
        set_module("slow", agent.slow, arrays)
        set_optimiser(agent.optimiser, arrays)
        before, move, reward, after = (
            np.array(arrays[f"memory/{name}"]) for name in ("before", "move", "reward", "after")
        )
        agent.memory = Memory(before, move, reward, after, int(arrays["memory/count"]))
        agent.learned = int(arrays["learned"])


def _starts(books: Sequence[RateBook], episode_days: int) -> list[tuple[RateBook, int]]:
    """Return the books and days that an episode can start on: ``LEAST_POOLS`` open pools, and days enough after it."""
    starts = [
        (book, int(day))
        for book in books
        for day in np.flatnonzero(np.count_nonzero(book.open, axis=1) >= LEAST_POOLS)
        if day + episode_days <= book.days
    ]
    if not starts:
        raise ValueError(f"no book has {episode_days} days that start with {LEAST_POOLS} open pools")
    return starts


def _episode(starts: list[tuple[RateBook, int]], settings: DqnSettings, draw: np.random.Generator) -> Walk:
    book, first = starts[int(draw.integers(len(starts)))]
    chosen = np.sort(draw.permutation(np.flatnonzero(book.open[first]))[: settings.pools])
    amount = settings.amounts_usd[int(draw.integers(len(settings.amounts_usd)))]
    part = book.part([int(place) for place in chosen], first, first + settings.episode_days)
    return Walk(part, Costs(amount), start_weights(part))


def _live(agent: Agent, walk: Walk, exploration: float, draw: np.random.Generator) -> list[float]:
    rewards = []
    state = state_of(walk.seen())
    while not walk.done:
        move = int(draw.integers(len(MOVES))) if draw.random() < exploration else _preferred(agent, state)
        step = walk.step(target(walk.seen(), move))
        reward = step.reward - _market(walk)
        rewards.append(step.reward)
        following = state_of(walk.seen())
        agent.memory.add(state, move, REWARD_SCALE * reward, following)
        state = following
        if agent.memory.count % agent.settings.learn_every == 0 and agent.memory.size >= agent.settings.batch:
            _learn(agent, draw)
    return rewards


def _market(walk: Walk) -> float:
    """Return what the open pools earned on the day on average, in basis points."""
    growth = walk.book.growth[walk.day][walk.book.open[walk.day]]
    return BASIS_POINTS * math.log(math.fsum(growth) / growth.size) if growth.size else 0.0


def _preferred(agent: Agent, state: FloatArray) -> int:
    torch = import_torch()
    with torch.no_grad():
        values = agent.online(torch.from_numpy(state.astype(np.float32)).to(agent.device)[None])
    return int(values[0].argmax()) if bool(torch.isfinite(values).all()) else KEEP


def _learn(agent: Agent, draw: np.random.Generator) -> None:
    """Take one step towards reward + discount · (the slow copy's value of the move that the network prefers next).

    The last day of an episode is no end of the world: its value is carried on like any other's.
    """
    torch = import_torch()
    settings, memory = agent.settings, agent.memory
    places = draw.integers(memory.size, size=settings.batch)
    before, move, reward, after = (
        torch.from_numpy(part[places]).to(agent.device)
        for part in (memory.before, memory.move, memory.reward, memory.after)
    )
    with torch.no_grad():
        preferred = agent.online(after).argmax(dim=1, keepdim=True)
        value = reward + settings.discount * agent.slow(after).gather(1, preferred)[:, 0]
    agent.optimiser.zero_grad()
    loss = torch.nn.functional.huber_loss(agent.online(before).gather(1, move[:, None])[:, 0], value)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(agent.online.parameters(), 10.0, foreach=False)
    agent.optimiser.step()
    agent.learned += 1
    if agent.learned % settings.copy_every == 0:
        agent.slow.load_state_dict(agent.online.state_dict())
