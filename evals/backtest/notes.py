"""What a reader must know before believing a figure of a backtest."""

from __future__ import annotations

from collections.abc import Sequence

from evals.backtest.records import DayDecisions, Request, StrategyResult
from tools.units import DAYS_PER_YEAR

ALWAYS = (
    "Survivors only: a recorded market holds the pools that still existed, or that somebody had chosen, when it was "
    "recorded. Pools that failed before are mostly missing, so every strategy looks safer than it was, and those that "
    "took the most risk look safest.",
    "Look-ahead of people: token lists, limits, profiles, hazards and the aversion to loss were written by people who "
    "knew these months. Facts carry the day on which they became known; what was thought worth writing down does not.",
    "Look-ahead of models: these decisions are the embedded policy's, which has no trained weights. With a language "
    "model in the seat, dates before its training cut-off prove nothing about that model.",
    "Every new decision is carried out in full, however little it gains; one that repeats the last moves nothing. Only "
    "patient leaves out those that would not pay back within a month what moving costs.",
    "Rates are those that were paid without the own deposit, times the share that the day's model says is left with it "
    "in. Nobody else is taken to move because of it.",
)

SHORT_DAYS = 90  # a window below this is annualised all the same, and the reader is told what that does


def notes_of(request: Request, decided: Sequence[DayDecisions], results: Sequence[StrategyResult]) -> list[str]:
    """Say what a reader must know before believing a figure."""
    unusable = sorted({f"{one.day} ({one.reason})" for one in decided if not one.decisions})
    derived = sorted({one.day for one in decided if one.snapshot == "from charts"})
    at_par = sorted({token for one in results for token in one.at_par})
    unpriced = sorted({what for one in results for move in one.rebalancings for what in move.unpriced})
    found = list(ALWAYS)
    days = len(results[0].curve_net) - 1
    if days < SHORT_DAYS:
        found.append(
            f"{days} days are stated for a year: what is paid once, going in and out, weighs "
            f"{DAYS_PER_YEAR / days:.0f} times as much as it would on a holder who stays a year."
        )
    idle = sorted(one.strategy for one in results if one.idle_days == days)
    if idle:
        found.append(f"Held nothing at all, for nothing passed the limits: {', '.join(idle)}.")
    if request.asset != "USD":
        found.append(f"The book is kept in {request.asset}, so its price plays no part; no token's price is recorded.")
    elif at_par:
        found.append(f"With prices, {', '.join(at_par)} are held at par: no prices of them are recorded.")
    if unpriced:
        found.append(f"Not charged, for nobody knows the price: {'; '.join(unpriced)}.")
    if derived:
        found.append(
            f"No snapshot was recorded on {', '.join(derived)}: the market of these days is made from the charts, and "
            "what a pool is called may come from a later snapshot."
        )
    if unusable:
        found.append(f"Nothing could be decided on {'; '.join(unusable)}: what was held stayed.")
    return found
