"""When to cut a position and when to leave it, what then remains, and where the rest goes.

``data/thresholds.toml`` holds, for each level of risk and measure, two thresholds with a reason, and the emergency
allocation of each asset. Every limit that fires leaves a ``LimitEvent``; no argument switches one off.
"""

from __future__ import annotations

import math
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, ValidationError, model_validator

from tools.errors import UsageError
from tools.records import Asset, EmergencyMove, Fraction, LimitEvent, LimitState, Record, RiskLevel, Tripwire

THRESHOLDS = Path(__file__).parent / "data" / "thresholds.toml"
STATES: tuple[LimitState, ...] = ("normal", "reduce", "emergency")

# Measures of the whole strategy, and those of one position; for all of them higher is worse.
PORTFOLIO_MEASURES = ("cvar_95", "single_point", "expected_loss_share")
POSITION_MEASURES = ("protocol_risk", "position_share", "token_discount", "utilisation", "tvl_fall")
MEASURES = (*PORTFOLIO_MEASURES, *POSITION_MEASURES)

STORED_DECIMALS = 12
_SLACK = 1e-6

Values = Mapping[str, float | None]


class Threshold(Record):
    """Above ``reduce`` cut, above ``emergency`` leave; and why there."""

    reduce: Annotated[float, Field(gt=0.0)]
    emergency: Annotated[float, Field(gt=0.0)]
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Threshold:
        if self.emergency < self.reduce:
            raise ValueError(f"emergency {self.emergency} lies below reduce {self.reduce}")
        return self

    def state(self, value: float | None) -> LimitState:
        """Return the state of a value. None (not measured) is normal: nothing shows that a threshold is crossed."""
        if value is None or value <= self.reduce:
            return "normal"
        return "reduce" if value <= self.emergency else "emergency"

    def kept(self, value: float | None) -> float:
        """Return the fraction of a position that a value leaves: all, in proportion back to ``reduce``, or nothing."""
        state = self.state(value)
        if state == "normal" or value is None:
            return 1.0
        return self.reduce / value if state == "reduce" else 0.0


class Distance(Record):
    """At ``reduce`` or nearer to liquidation cut, at ``emergency`` or nearer close; and why there."""

    reduce: Annotated[float, Field(gt=0.0, lt=1.0)]
    emergency: Annotated[float, Field(gt=0.0, lt=1.0)]
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Distance:
        if self.emergency > self.reduce:
            raise ValueError(f"emergency {self.emergency} lies above reduce {self.reduce}, and less distance is worse")
        return self

    def state(self, distance: float) -> LimitState:
        """Return the state of a distance; raises ValueError unless it is a fraction."""
        if not 0.0 <= distance <= 1.0:
            raise ValueError(f"the distance is {distance}, not a fraction")
        if distance > self.reduce:
            return "normal"
        return "reduce" if distance > self.emergency else "emergency"


class Refuge(Record):
    """One line of an emergency allocation; ``token`` is what it is a claim on, None for none that could be struck."""

    asset: Asset
    state: Literal["reduce", "emergency"]
    target: Annotated[str, Field(min_length=1)]
    share: Fraction
    reason: Annotated[str, Field(min_length=1)]
    token: str | None = None


class Limits(NamedTuple):
    """The file, read: thresholds by level, asset and measure, refuges by asset and state, distances to liquidation."""

    thresholds: Mapping[tuple[RiskLevel, Asset], Mapping[str, Threshold]]
    refuges: Mapping[tuple[Asset, LimitState], tuple[Refuge, ...]]
    liquidation: Mapping[str, Distance]


class Reduction(NamedTuple):
    """What the limits leave: weights by pool, the fraction of the money set free and where it goes, and the events."""

    weights: dict[str, float]
    freed: float
    moves: list[EmergencyMove]
    events: list[LimitEvent]


def tripwires(level: RiskLevel, asset: Asset, values: Values) -> list[Tripwire]:
    """Return every measure with its value, its two thresholds and its state, in the order of ``MEASURES``.

    A measure that is not among ``values``, or is None, has no value and is in the state normal: it is to be watched,
    and nothing shows that it is crossed. Raises ValueError for an unknown measure, NaN or infinity.
    """
    _check(values, MEASURES, "the strategy")
    table = load_thresholds().thresholds[level, asset]
    return [_tripwire(measure, values.get(measure), table[measure]) for measure in MEASURES]


def overall_state(wires: Iterable[Tripwire]) -> LimitState:
    """Return the worst state among the tripwires; normal when there are none."""
    return max((wire.state for wire in wires), key=STATES.index, default="normal")


def emergency_allocation(asset: Asset, state: LimitState, struck: Collection[str] = ()) -> list[EmergencyMove]:
    """Return where the money goes that a limit sets free; the shares sum to 1. Nothing moves in the state normal.

    Targets in a ``struck`` token are left out and the others take their part. Where every target is struck, raises
    ValueError: that needs a person.
    """
    if state == "normal":
        return []
    refuges = [r for r in load_thresholds().refuges[asset, state] if r.token is None or r.token not in struck]
    total = math.fsum(refuge.share for refuge in refuges)
    if total <= 0.0:
        raise ValueError(f"every target of the emergency allocation of {asset} is struck: {', '.join(sorted(struck))}")
    return [EmergencyMove(target=refuge.target, share=round(refuge.share / total, 12)) for refuge in refuges]


def reduce(
    level: RiskLevel,
    asset: Asset,
    weights: Mapping[str, float],
    portfolio: Values,
    positions: Mapping[str, Values],
    struck: Collection[str] = (),
) -> Reduction:
    """Scale positions back to the thresholds; what is set free goes to the emergency allocation.

    A measure above ``reduce`` cuts what it speaks of in the proportion threshold / value, one above ``emergency`` takes
    all of it; a measure of the whole strategy (``portfolio``) cuts every position, one of a position (``positions``, by
    pool) that position. The strictest measure counts, so no weight ever rises. For a share of the money (cvar_95,
    single_point, position_share) the proportion is what brings the measure back to the threshold; for the others, which
    a smaller position does not change, it is how much less to hold.

    Each measure that fires leaves an event: the weight before, and what this measure alone leaves of it. ``moves`` is
    the allocation of the worst state reached. Raises ValueError for weights that are no fractions or above 1 in sum, a
    position without a weight, an unknown measure, NaN or infinity.
    """
    _check_weights(weights, positions)
    _check(portfolio, PORTFOLIO_MEASURES, "the strategy")
    table = load_thresholds().thresholds[level, asset]
    kept = dict.fromkeys(sorted(weights), 1.0)
    events: list[LimitEvent] = []
    invested = math.fsum(weights.values())
    for measure in PORTFOLIO_MEASURES:
        share = _fire(measure, portfolio.get(measure), table[measure], "strategy", invested, events)
        kept = {pool: min(before, share) for pool, before in kept.items()}
    for pool in sorted(positions):
        _check(positions[pool], POSITION_MEASURES, pool)
        for measure in POSITION_MEASURES:
            share = _fire(measure, positions[pool].get(measure), table[measure], pool, weights[pool], events)
            kept[pool] = min(kept[pool], share)
    reduced = {pool: weights[pool] * share for pool, share in kept.items()}
    freed = math.fsum([invested, *(-weight for weight in reduced.values())])
    state: LimitState = "emergency" if any(event.action == "emergency" for event in events) else "reduce"
    return Reduction(reduced, freed, emergency_allocation(asset, state, struck) if events else [], events)


def _fire(
    measure: str,
    value: float | None,
    threshold: Threshold,
    subject: str,
    weight: float,
    events: list[LimitEvent],
) -> float:
    """Return the fraction that a measure leaves of its subject, and write down that it fired."""
    state, kept = threshold.state(value), threshold.kept(value)
    if state == "normal":
        return kept
    events.append(
        LimitEvent(
            rule=measure,
            subject=subject,
            limit=threshold.reduce if state == "reduce" else threshold.emergency,
            before=round(weight, STORED_DECIMALS),
            after=round(weight * kept, STORED_DECIMALS),
            action="reduced" if state == "reduce" else "emergency",
        )
    )
    return kept


def _tripwire(measure: str, value: float | None, threshold: Threshold) -> Tripwire:
    return Tripwire(
        measure=measure,
        value=value,
        reduce=threshold.reduce,
        emergency=threshold.emergency,
        state=threshold.state(value),
    )


@lru_cache(maxsize=4)
def load_thresholds(path: Path = THRESHOLDS) -> Limits:
    """Read and check the file of thresholds, once per path.

    Raises UsageError naming the file and the level, measure or line that is wrong: unreadable TOML, a measure missing
    or unknown, thresholds out of order, an asset or state without an allocation, shares that do not sum to 1.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the thresholds {path.name}: {error}") from error
    if odd := set(raw) ^ {*get_args(RiskLevel), "emergency", "liquidation"}:
        raise UsageError(f"{path.name}: missing or unknown: {', '.join(sorted(odd))}")
    thresholds = {
        (level, asset): _level(raw[level], asset, f"{path.name}: [{level}]")
        for level in get_args(RiskLevel)
        for asset in get_args(Asset)
    }
    return Limits(thresholds, _refuges(raw["emergency"], path.name), _distances(raw["liquidation"], path.name))


def _level(table: Any, asset: Asset, where: str) -> dict[str, Threshold]:
    """Return the thresholds of a level, with what differs for the asset in their place."""
    if not isinstance(table, dict) or not isinstance(table.get(asset, {}), dict):
        raise UsageError(f"{where} is no table")
    own = {key: value for key, value in table.items() if key not in get_args(Asset)} | table.get(asset, {})
    if odd := set(own) ^ set(MEASURES):
        raise UsageError(f"{where}: missing or unknown measures: {', '.join(sorted(odd))}")
    return {measure: _record(Threshold, own[measure], f"{where} {measure}") for measure in MEASURES}


def _distances(table: Any, name: str) -> dict[str, Distance]:
    if not isinstance(table, dict) or set(table) != {"same_asset", "other_asset"}:
        raise UsageError(f"{name}: [liquidation] needs exactly same_asset and other_asset")
    return {key: _record(Distance, table[key], f"{name}: [liquidation] {key}") for key in sorted(table)}


def _refuges(entries: Any, name: str) -> dict[tuple[Asset, LimitState], tuple[Refuge, ...]]:
    found: dict[tuple[Asset, LimitState], list[Refuge]] = defaultdict(list)
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        refuge = _record(Refuge, entry, f"{name}: emergency {number}")
        found[refuge.asset, refuge.state].append(refuge)
    for asset in get_args(Asset):
        for state in STATES[1:]:
            total = math.fsum(refuge.share for refuge in found[asset, state])
            if abs(total - 1.0) > _SLACK:
                raise UsageError(f"{name}: the shares of {asset} in the state {state} sum to {total}, not 1")
    return {key: tuple(refuges) for key, refuges in found.items()}


def _record(model: type[Any], entry: Any, where: str) -> Any:
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _check(values: Values, known: tuple[str, ...], subject: str) -> None:
    for measure, value in values.items():
        if measure not in known:
            raise ValueError(f"{measure!r} is no measure of {subject}; known: {', '.join(known)}")
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{measure} of {subject} is {value}")


def _check_weights(weights: Mapping[str, float], positions: Mapping[str, Values]) -> None:
    for pool, weight in weights.items():
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"the weight of {pool} is {weight}, not a fraction")
    if math.fsum(weights.values()) > 1.0 + _SLACK:
        raise ValueError("the weights sum to more than 1")
    if strangers := sorted(set(positions) - set(weights)):
        raise ValueError(f"{strangers[0]} has measures but no weight")
