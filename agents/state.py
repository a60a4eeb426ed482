"""What flows through the workflow: the channels of its state, and the context of one run."""

from __future__ import annotations

import datetime as dt
import operator
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, TypeVar

from tools.errors import UsageError
from tools.records import (
    Alternatives,
    Approval,
    Assumption,
    Candidate,
    Choice,
    Conflict,
    Emptied,
    Forecast,
    HazardLevel,
    Infeasible,
    LimitEvent,
    Mandate,
    MarketSummary,
    OutcomeKind,
    Plan,
    PoolFeatures,
    ProfileId,
    ProtocolEvidence,
    Reason,
    Recommendation,
    RequestAgent,
    ToolRequest,
    TraceStep,
    digest,
)
from tools.strategies.profiles import Preset

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from agents.journal import Journal
    from agents.models import Seat
    from agents.world import Moving
    from tools.candidates import Assessed, CandidateSet, Measured
    from tools.candidates.outlook import Outlook
    from tools.candidates.posing import Weighing
    from tools.exposure import Exposures
    from tools.market.evidence import Evidence
    from tools.market.snapshot import Market, Progress
    from tools.risk.hazards import Hazards
    from tools.risk.lookup import ProtocolRisks
    from tools.strategies.universe import Universe

T = TypeVar("T")


class Switch(StrEnum):
    """What a run can go without (``Settings.off``); the workflow still ends in a typed outcome, and the record says so.

    A use of the model that is off is the embedded policy's; an agent that is off does the least that its successor
    needs, and decides nothing.
    """

    INTAKE_MODEL = "intake_model"
    """the question is read by the program's own reader alone"""
    PLAN_MODEL = "plan_model"
    """nobody is asked for a plan: the objective's methods, and no requests to the tools"""
    DECISION_MODEL = "decision_model"
    """nobody is asked to choose or to write: the best score, for the score's reasons"""
    PROSE_MODEL = "prose_model"
    """the model chooses and gives reasons, the words are the program's"""
    DATA = "data"
    """no quality screen of histories: spikes count as rates, days without a row take the last one however many they
    are, changes of unit, stale, stuck, zero and spiking yields stay, and no profile asks about the trend. What is left
    is what the arithmetic needs: rows that can be read, within bounds and once each, tokens of the asset, a size above
    the smallest minimum of any profile, and 30 days since the first row of a history."""
    QUANT = "quant"
    """no optimiser: equal weights, as far as the caps allow them"""
    RISK = "risk"
    """gates are computed and recorded and veto nothing; nothing is sent back. The page opens with a warning."""
    DECISION = "decision"
    """scores are recorded and decide nothing: the first candidate that passed, by profile from the safest and by id"""
    FORECAST = "forecast"
    """no forecast"""
    SIZING = "sizing"
    """the own deposit takes nothing off the rates"""
    HAZARDS = "hazards"
    """the score looks at yields alone; events and costs are computed and recorded, and gates hold them as ever"""


def switches(names: Iterable[str]) -> tuple[Switch, ...]:
    """Return what is named, each once, in the order of ``Switch``; raise UsageError for what is no switch."""
    given = list(names)
    for name in given:
        if name not in set(Switch):
            known = ", ".join(Switch)
            raise UsageError(f"nothing is called {name!r} that could be switched off; known: {known}")
    return tuple(switch for switch in Switch if switch in given)


class Question(TypedDict):
    """The input: one question in words."""

    question: str


class State(TypedDict, total=False):
    """The channels. Records and plain values only: arrays stay in the run's workspace."""

    question: str
    """the user's words"""
    mandate: Mandate
    """what was read from them"""
    outcome: OutcomeKind
    """set by the node that ends the search"""
    reason: str
    """one sentence on the outcome"""
    market: MarketSummary | None
    """what market was seen"""
    assumptions: list[Assumption]
    """rates that the run was told to assume instead of the market's"""
    plan: Plan | None
    """which weight methods quant tries, and for what; made before the market is read, with requests to other tools"""
    requests: dict[RequestAgent, list[ToolRequest]]
    """what each agent was asked for by the plan, and what came of it"""
    round: int
    """how often quant has built candidates"""
    vetoed: dict[ProfileId, dict[str, str]]
    """profile → pool → rule: what risk sent back to quant"""
    emptied: list[Emptied]
    """profiles without a candidate"""
    candidates: list[Candidate]
    """all candidates with figures, gates and scores"""
    conflicts: list[Conflict]
    """limits that kept every candidate out"""
    infeasible: Infeasible | None
    """the smallest set of the user's limits in conflict, and the ways out"""
    limit_events: Annotated[list[LimitEvent], operator.add]
    """every limit that fired, with what it found and left"""
    protocols: list[ProtocolEvidence]
    """what the protocol risks of the candidates' pools rest on"""
    decided: str
    """the candidate that the seat proposes"""
    reasons: list[Reason]
    """the figures that a model names for it; none: those of the score"""
    approval: Approval | None
    """what a person said to it, where one was asked"""
    choice: Choice | None
    """the decision"""
    forecast: Forecast | str
    """what the choice is forecast to yield, or why nothing can be said"""
    alternatives: Alternatives | None
    """what doing nothing earns"""
    prose: dict[str, list[str]]
    """passages a model wrote, with slots for the figures"""
    trace: Annotated[list[TraceStep], operator.add]
    """every call of a tool"""
    recommendation: Recommendation
    """the record that leaves"""


@dataclass
class Workspace:
    """Arrays of the run that are too heavy for the state; each node leaves its product for the next."""

    market: Market | None = None
    risks: ProtocolRisks | None = None
    universe: Universe | None = None
    screened: Universe | None = None
    features: Mapping[str, PoolFeatures] = field(default_factory=dict)
    hits: Exposures | None = None
    hazards: Hazards | None = None
    outlook: Outlook | None = None
    weighing: Weighing | None = None
    moving: Moving | None = None
    drafts: CandidateSet | None = None
    measured: tuple[Measured, ...] = ()
    assessed: tuple[Assessed, ...] = ()

    def shared(self) -> Workspace:
        """Return what was read, for another run on the same market and asset; what is quick is computed anew."""
        return Workspace(
            market=self.market,
            risks=self.risks,
            universe=self.universe,
            features=self.features,
            moving=self.moving,
        )


EDITION = 2
"""Of the rules by which weights and choice come about, so that an older run is run again by its own.

1: every position has 5 % of the money at least, and the score alone decides. 2: see ``Plan.prefers``, ``least_weight``.
"""


@dataclass(frozen=True)
class Settings:
    """What a run was asked to do beside the question; saved, so that it can be run again."""

    as_of: dt.date | None = None
    preset: Preset = "neutral"
    seed: int = 0
    paths: int = 100_000
    hazard: HazardLevel = "central"
    facts: Path | None = None
    hazard_rates: Mapping[str, float] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    """what is switched off: names of ``Switch``"""
    assumed: Mapping[str, float] = field(default_factory=dict)
    """pool → the APY of the day that it is assumed to pay, whatever the market says"""
    approve: bool = False
    """a person is asked before the choice is final"""
    edition: int = EDITION
    """of the rules, see ``EDITION``"""

    def __post_init__(self) -> None:
        """Check what is switched off. Raises UsageError for a name that is no switch."""
        object.__setattr__(self, "off", tuple(map(str, switches(self.off))))


@dataclass
class Context:
    """The world of one run: its market, the model's seat, its settings and its clock.

    What one run read may serve another of the same market and day: see ``Workspace.shared``.
    """

    source: Evidence
    seat: Seat
    settings: Settings = field(default_factory=Settings)
    given: Mandate | None = None
    """the mandate, where a conversation has read it already: the question is then kept, and not read"""
    workspace: Workspace = field(default_factory=Workspace)
    journal: Journal | None = None
    """where the market rows are kept once they are read, so that a killed run goes on with the same"""
    progress: Progress | None = None
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)


class Steps:
    """Records the tools that one agent calls: arguments and results by hash, and the time each took.

    Each call is told to whoever listens to the graph, as it begins and as it ends.
    """

    def __init__(self, agent: str, state: State, runtime: Runtime[Context]) -> None:
        self._agent = agent
        self._first = len(state.get("trace", []))
        self._tell = runtime.stream_writer
        self.taken: list[TraceStep] = []

    def call(self, tool: str, arguments: Mapping[str, Any], function: Callable[[], T], result: Callable[[T], Any]) -> T:
        """Call a tool and note it; ``arguments`` and ``result`` give the plain data that stand for it in the hashes."""
        self._tell({"event": "tool", "agent": self._agent, "tool": tool})
        started = time.perf_counter()
        value = function()
        taken = TraceStep(
            agent=self._agent,
            step=self._first + len(self.taken),
            tool=tool,
            arguments_sha256=digest(arguments),
            result_sha256=digest(result(value)),
            seconds=round(time.perf_counter() - started, 4),
        )
        self.taken.append(taken)
        self._tell({"event": "tool_done", "agent": self._agent, "tool": tool, "seconds": taken.seconds})
        return value
