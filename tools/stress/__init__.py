"""What dated events, scenarios of the user's own, and the worst simulated paths would do to a portfolio."""

from tools.stress.effect import replay
from tools.stress.events import EVENTS, Event, Shock, events_known, load_events, load_scenarios
from tools.stress.prices import Holding, PathDay, PricePath, replay_prices, replay_through
from tools.stress.tails import BlackSwan, black_swan, worst_paths

__all__ = [
    "EVENTS",
    "BlackSwan",
    "Event",
    "Holding",
    "PathDay",
    "PricePath",
    "Shock",
    "black_swan",
    "events_known",
    "load_events",
    "load_scenarios",
    "replay",
    "replay_prices",
    "replay_through",
    "worst_paths",
]
