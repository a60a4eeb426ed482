"""What each part of the program is worth: switched off in turn, on frozen markets and on days of a recorded one.

A part is an agent, a switch or a single limit (``parts``). Every case is answered by the whole program and by the
program without each part; what differs is compared in pairs. ``plimsoll eval ablation`` writes ``docs/ablation.md``.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

import numpy as np

from agents.state import Context, Settings, State, Switch
from agents.workflow import advise
from agents.world import Moving
from evals.allocation import MarketDay, costs_of, events_of, mandate_of
from evals.intervals import Interval, bootstrap
from evals.outcomes import outcome
from evals.regret.judging import judge, regret_bps
from evals.regret.markets import RegretCase, cases_of, load_markets
from evals.regret.oracle import optimum
from evals.regret.served import question_of, see, settings_of, source_of
from evals.suites.advice import moved
from tools.errors import MarketError
from tools.market.snapshot import Progress, Source
from tools.records import Asset, Recommendation, RiskLevel
from tools.strategies.profiles import RISK_ORDER, Limits, load_limits
from tools.verify import check_text

if TYPE_CHECKING:
    from agents.models import Seat

SERVED_PATHS = 2_000  # of the simulation of losses: there nothing fails
AMOUNT_USD = 1_000_000.0
SIZES_USD = (1_000_000.0, 10_000_000.0)
MARKETS = ("usd-all-alike", "usd-no-choice", "usd-lending-3")  # and the first of every kind that is drawn
_FIRST = "-1"
_MOVED = 1e-6

Seats = Callable[[], "Seat"] | None
Check = Callable[[Recommendation, Context], int]
"""Counts what does not hold of a run."""


class Part(NamedTuple):
    """Something that a run can go without: switches of ``Settings.off``, or one limit at its loosest."""

    name: str
    words: str
    off: tuple[str, ...] = ()
    limit: str | None = None


WHOLE = Part("whole program", "nothing is switched off")
_WORDS: Mapping[Switch, str] = {
    Switch.DATA: "no screen of histories, no question about the trend",
    Switch.QUANT: "no optimiser: equal weights as far as the caps allow",
    Switch.RISK: "no gate vetoes, nothing is sent back",
    Switch.DECISION: "no score: the first that passed, the safest profile first",
    Switch.FORECAST: "today's rate is not forecast on",
    Switch.SIZING: "the own deposit takes nothing off the rates",
    Switch.HAZARDS: "the score looks at yields alone",
}
_OF_A_MODEL: Mapping[Switch, str] = {
    Switch.INTAKE_MODEL: "the program's own reader alone",
    Switch.PLAN_MODEL: "the objective's methods, no requests",
    Switch.DECISION_MODEL: "the best score is taken",
    Switch.PROSE_MODEL: "the program's own words",
}
LOOSEST: Mapping[str, float] = dict.fromkeys(Limits.model_fields, 1.0) | {"apy_multiple": 1e6, "history_days": 1}


def parts(model: bool) -> tuple[Part, ...]:
    """Return every agent and switch; those of a model only where there is one, for without it they change nothing."""
    words = {**_WORDS, **(_OF_A_MODEL if model else {})}
    return tuple(Part(switch.value, says, (switch.value,)) for switch, says in words.items())


def limits() -> tuple[Part, ...]:
    """Return every limit that vetoes or caps, each as a part of its own."""
    return tuple(Part(f"limit {name}", f"{name} at its loosest", limit=name) for name in Limits.model_fields)


@contextmanager
def lifted(limit: str | None) -> Iterator[None]:
    """Let a limit of every level of risk be at its loosest meanwhile; None lifts nothing. Not for several threads.

    There is no setting for it, on purpose: nobody is to run with a gate off. The place that reads the limits is
    therefore changed for as long as an evaluation needs it.
    """
    if limit is None:
        yield
        return
    loose = {
        level: {asset: own.model_copy(update={limit: LOOSEST[limit]}) for asset, own in of_asset.items()}
        for level, of_asset in load_limits().items()
    }
    with patch("agents.mandates.load_limits", return_value=loose):
        yield


class Served(NamedTuple):
    """A frozen market answered without a part: basis points a year below the proven optimum, and limits broken.

    ``weights`` by pool id, empty without a choice: the money then lies idle and loses all income. ``alarms`` counts
    figures of the text that do not resolve; ``seconds`` are of the processor.
    """

    case: str
    amount_usd: float
    regret_bps: float
    broken: int
    weights: Mapping[str, float]
    alarms: int
    seconds: float


class Day(NamedTuple):
    """A decision on a recorded day, held until ``until``; ``checked``: the whole run folder is verified."""

    asset: Asset
    day: dt.date
    until: dt.date
    risk: RiskLevel
    checked: bool = False

    @property
    def name(self) -> str:
        """Return the day's name."""
        return f"{self.asset} {self.day} {self.risk}"


class Recorded(NamedTuple):
    """A recorded day decided without a part, and what came of it; without a choice the money earned nothing.

    ``net_apy`` is what arrived a year after gas, leaving and dilution (None where one has no price), ``drawdown`` the
    largest realised loss from a peak, ``expected_loss`` and ``cvar_95`` what events take in a mean year and in the
    worst twentieth, by the hazards. ``alarms`` counts figures of the text that do not resolve, ``differences`` what the
    checker finds wrong with the whole saved run; None where it was not asked.
    """

    case: str
    net_apy: float | None
    drawdown: float
    expected_loss: float
    cvar_95: float
    weights: Mapping[str, float]
    alarms: int
    differences: int | None
    seconds: float


WINDOWS: tuple[tuple[Asset, dt.date, dt.date], ...] = (
    ("USD", dt.date(2024, 10, 1), dt.date(2024, 12, 1)),
    ("USD", dt.date(2024, 12, 1), dt.date(2025, 1, 15)),
    ("USD", dt.date(2025, 1, 15), dt.date(2025, 2, 28)),
)
DAYS = tuple(
    Day(*window, risk, checked=risk == "medium" and number > 0)
    for number, window in enumerate(WINDOWS)
    for risk in RISK_ORDER
)


def served_cases() -> tuple[RegretCase, ...]:
    """Return a dozen markets that our whole program can be asked about, at two sizes."""
    markets = [
        market for market in load_markets() if market.servable and (market.id in MARKETS or market.id.endswith(_FIRST))
    ]
    return tuple(case for case in cases_of(markets) if case.amount_usd in SIZES_USD)


def answer_served(case: RegretCase, part: Part, seats: Seats = None) -> Served:
    """Ask about a frozen market without a part."""
    settings = replace(settings_of(see(case), SERVED_PATHS), off=part.off)
    began = time.process_time()
    weights, alarms = {}, 0
    try:
        with lifted(part.limit):
            found, _ = advise(question_of(case), source_of(case), seat=_seat(seats), settings=settings)
        weights, alarms = _weights(found), text_alarms(found)
    except MarketError:  # nothing that may be held is an answer: the money stays idle
        pass
    seconds = time.process_time() - began
    judged = judge(case, weights)
    regret = regret_bps(case, optimum(case).income_usd, judged.income_usd)
    return Served(case.id, case.amount_usd, regret, len(judged.violations), weights, alarms, seconds)


def answer_day(source: Source, day: Day, part: Part, check: Check, seats: Seats = None) -> Recorded:
    """Decide on a recorded day without a part, and hold what was chosen."""
    settings = Settings(as_of=day.day, off=part.off)
    mandate = mandate_of(day.asset, day.risk, AMOUNT_USD)
    began = time.process_time()
    with lifted(part.limit):
        found, context = advise(
            f"Put ${AMOUNT_USD:,.0f} of {day.asset} to work, {day.risk} risk",
            source,
            given=mandate,
            seat=_seat(seats),
            settings=settings,
        )
    seconds = time.process_time() - began
    differences = check(found, context) if day.checked else None
    weights, alarms = _weights(found), text_alarms(found)
    if not weights:
        return Recorded(day.name, 0.0, 0.0, 0.0, 0.0, {}, alarms, differences, seconds)
    return _held(source, day, found, context)._replace(alarms=alarms, differences=differences, seconds=seconds)


def _held(source: Source, day: Day, found: Recommendation, context: Context) -> Recorded:
    market, weights = context.workspace.market, _weights(found)
    assert market is not None
    context.workspace.moving = Moving(market)  # what it costs is what it costs, whatever the run left out of account
    read = MarketDay(day.asset, State(market=found.market), context)
    charts = {pool: rows or [] for pool, rows in source.charts(sorted(weights), day.until).items()}
    came = outcome(weights, charts, day.day, (day.until - day.day).days, costs_of(read, weights, AMOUNT_USD))
    events = events_of(read, weights)
    return Recorded(
        day.name,
        came.net_apy,
        _drawdown(came.returns),
        events.expected_loss,
        events.cvar_95,
        weights,
        alarms=0,
        differences=None,
        seconds=0.0,
    )


def _drawdown(returns: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Return the largest fall from a peak, the start counting as one; 0 without any."""
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    return float(np.max(1.0 - wealth / np.maximum.accumulate(wealth)))


def _weights(found: Recommendation) -> dict[str, float]:
    return {} if found.choice is None else {pool.pool_id: pool.weight for pool in found.choice.pools}


def _seat(seats: Seats) -> Seat | None:
    return None if seats is None else seats()


def text_alarms(found: Recommendation) -> int:
    """Count the figures of a run's text that the checker cannot resolve in its record."""
    return len(check_text(found.model_dump(mode="json")))


class Change(NamedTuple):
    """What a part's absence changes in one measure, over the cases that both have: the mean with its interval."""

    mean: Interval
    cases: int


def change(whole: Sequence[float | None], without: Sequence[float | None]) -> Change | None:
    """Compare a measure case by case; the bootstrap resamples the pairs. None where no case has both.

    Raises ValueError for a different number of cases.
    """
    pairs = [b - a for a, b in zip(whole, without, strict=True) if a is not None and b is not None]
    return Change(bootstrap(np.array(pairs)), len(pairs)) if pairs else None


def decided_otherwise(
    whole: Sequence[Mapping[str, float]], without: Sequence[Mapping[str, float]]
) -> tuple[int, float]:
    """Return in how many cases the money lies elsewhere, and the mean share of it over all cases.

    An answer where there was none, or none where there was one, moves all of it.
    """
    shares = [float(bool(a) != bool(b)) if not (a and b) else moved(a, b) for a, b in zip(whole, without, strict=True)]
    return sum(share > _MOVED for share in shares), sum(shares) / len(shares)


class Study(NamedTuple):
    """The answers to all cases by part, the whole program first; ``model`` names who sat in the seat, if anybody."""

    served: Mapping[Part, Sequence[Served]]
    recorded: Mapping[Part, Sequence[Recorded]]
    model: str | None


def study(
    source: Source,
    check: Check,
    model: str | None = None,
    seats: Seats = None,
    cases: Sequence[RegretCase] | None = None,
    days: Sequence[Day] = DAYS,
    progress: Progress | None = None,
) -> Study:
    """Answer every case with the whole program and without each part.

    A limit is not lifted on the frozen markets: there the caps are the case's own, and nothing fails.
    """
    cases = served_cases() if cases is None else cases
    agents_off = (WHOLE, *parts(model is not None))
    everything = (*agents_off, *limits())
    total, done = len(agents_off) * len(cases) + len(everything) * len(days), 0

    def told() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    if days:
        answer_day(source, days[0], WHOLE, check, seats)  # what is read once a process is not the first part's time
    served: dict[Part, list[Served]] = {part: [] for part in agents_off}
    for case in cases:
        for part in agents_off:
            served[part].append(answer_served(case, part, seats))
            told()
    recorded: dict[Part, list[Recorded]] = {part: [] for part in everything}
    for day in days:
        for part in everything:
            recorded[part].append(answer_day(source, day, part, check, seats))
            told()
    return Study(served, recorded, model)
