"""The limits that veto.

Each candidate against every limit, what the risk agent sends back, and which limits conflict when nothing passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.candidates.all_in import Loss, gate_view_of
from tools.candidates.measure import Measured, SharpeEvidence, sharpe_evidence
from tools.records import Conflict, Gate, LargestShare, Mandate, ProfileId, RiskReport, RiskView
from tools.strategies.profiles import Limits, Profile, permitted
from tools.strategies.universe import Pool
from tools.units import significant

LOSS_RULES = ("var_95", "cvar_95", "max_drawdown")
_EPSILON = 1e-9  # weights sum to 1 within this


@dataclass(frozen=True)
class Assessed:
    """A measured candidate with its risk report and its gates."""

    measured: Measured
    risk: RiskReport
    gates: tuple[Gate, ...]

    @property
    def passed(self) -> bool:
        """Tell whether no gate vetoes the candidate."""
        return all(gate.passed for gate in self.gates)


def assess_candidates(
    measured: Sequence[Measured],
    losses: Sequence[Loss],
    mandate: Mandate,
    profiles: Mapping[ProfileId, Profile],
    limits: Limits,
    amount_usd: float | None,
    risk_free_rate: float,
) -> tuple[Assessed, ...]:
    """Report the risk of every candidate and hold it against every limit.

    ``losses`` are the all-in views of the same candidates. ``limits`` are those of the mandate's risk with the user's
    own in their place; ``amount_usd`` None leaves the position gate untested; ``risk_free_rate`` is per year.
    """
    evidence = sharpe_evidence(measured, risk_free_rate)
    assessed = []
    for candidate, loss, proof in zip(measured, losses, evidence, strict=True):
        report = risk_report(candidate, loss, proof, gate_view_of(mandate.risk), amount_usd)
        assessed.append(Assessed(candidate, report, tuple(_gates(candidate, report, mandate, profiles, limits))))
    return tuple(assessed)


def risk_report(
    candidate: Measured, loss: Loss, proof: SharpeEvidence, view: RiskView, amount_usd: float | None
) -> RiskReport:
    """Collect what can be said of a candidate's risk.

    ``var_95``, ``cvar_95`` and ``max_drawdown`` are historical simulation on carry alone; ``loss`` has the view with
    events and costs.
    """
    draft, metrics = candidate.draft, candidate.metrics
    pools = list(zip(draft.pools, (float(w) for w in draft.weights), strict=True))
    families: dict[str, float] = {}
    issuers: dict[str, float] = {}
    chains: dict[str, float] = {}
    for pool, weight in pools:
        families[pool.family] = families.get(pool.family, 0.0) + weight
        chains[pool.row.chain] = chains.get(pool.row.chain, 0.0) + weight
        for issuer, share in pool.issuer_shares.items():
            issuers[issuer] = issuers.get(issuer, 0.0) + weight * share
    split = [
        (pool, weight) for pool, weight in pools if pool.row.apy_base is not None or pool.row.apy_reward is not None
    ]
    counted = math.fsum(weight * pool.row.apy for pool, weight in split)
    rewards = math.fsum(weight * (pool.row.apy_reward or 0.0) for pool, weight in split)
    mean_risk = significant(math.fsum(weight * pool.protocol_risk for pool, weight in pools))
    portfolio_apy = _known(metrics["portfolio_apy"])
    return RiskReport(
        basis="carry_only",
        var_95=_known(metrics["var_95"]),
        cvar_95=_known(metrics["cvar_95"]),
        max_drawdown=_known(metrics["max_drawdown"]),
        protocol_risk_max=max(pool.protocol_risk for pool, _ in pools),
        protocol_risk_mean=mean_risk,
        risk_adjusted_apy=significant(
            math.fsum(weight * pool.row.apy * (1.0 - pool.protocol_risk) for pool, weight in pools)
        ),
        reward_share=significant(min(1.0, rewards / counted)) if counted > 0.0 and portfolio_apy > 0.0 else None,
        reward_share_known_weight=min(1.0, significant(math.fsum(weight for _, weight in split))),
        largest_weight=max(weight for _, weight in pools),
        largest_protocol=_largest(families),
        largest_issuer=_largest(issuers),
        largest_chain=_largest(chains),
        largest_position_share=None
        if amount_usd is None
        else max(position_share(weight, amount_usd, pool.row.tvl_usd) for pool, weight in pools),
        smallest_history_days=min(pool.history.days for pool, _ in pools),
        smallest_tvl_usd=min(pool.row.tvl_usd for pool, _ in pools),
        gate_view=view,
        all_in=loss.all_in,
        exposure=loss.exposure,
        stress=list(loss.stress),
        sharpe_probability=proof.probability,
        deflated_sharpe=proof.deflated,
        trials=proof.trials,
        missing=dict(proof.missing),
    )


def position_share(weight: float, amount_usd: float, tvl_usd: float) -> float:
    """Return the position as a share of what can be withdrawn from the pool."""
    return significant(weight * amount_usd / tvl_usd)


def _known(value: float | None) -> float:
    assert value is not None  # defined for every series of at least one day
    return value


def _largest(shares: Mapping[str, float]) -> LargestShare:
    if not shares:
        return LargestShare(name="none", share=0.0)
    name = min(shares, key=lambda key: (-round(shares[key], 9), key))
    return LargestShare(name=name, share=significant(shares[name]))


def _gates(
    candidate: Measured, report: RiskReport, mandate: Mandate, profiles: Mapping[ProfileId, Profile], limits: Limits
) -> list[Gate]:
    """List the gates in the order in which they decide: the ones that mean something on carry data first."""
    draft, metrics = candidate.draft, candidate.metrics
    count = float(len(draft.pools))
    gates = [
        _profile_gate(draft.profile_id, mandate, profiles),
        _at_most("protocol_risk", report.protocol_risk_max, limits.protocol_risk),
        _at_most("position_share", report.largest_position_share, limits.position_share),
        _at_most("max_weight", report.largest_weight, limits.max_weight),
        _at_most("protocol_share", report.largest_protocol.share, limits.protocol_share),
        _at_most("issuer_share", report.largest_issuer.share, limits.issuer_share),
        _reward_gate(report, limits),
        _at_most("apy_multiple", max(pool.apy_multiple for pool in draft.pools), limits.apy_multiple),
        _at_least("history_days", float(report.smallest_history_days), float(limits.history_days)),
    ]
    if mandate.min_tvl_usd is not None:
        gates.append(_at_least("min_tvl", report.smallest_tvl_usd, mandate.min_tvl_usd))
    if mandate.min_apy is not None:
        gates.append(_at_least("min_apy", metrics["portfolio_apy"], mandate.min_apy))
    if mandate.min_pools is not None:
        gates.append(_at_least("min_pools", count, float(mandate.min_pools)))
    if mandate.max_pools is not None:
        gates.append(_at_most("max_pools", count, float(mandate.max_pools)))
    return [*gates, *_loss_gates(report, limits)]


def _loss_gates(report: RiskReport, limits: Limits) -> list[Gate]:
    """Hold the limits on loss against the view that the level of risk asks for.

    Carry alone cannot show a loss, so passing on it proves nothing.
    """
    if report.gate_view == "all_in":
        losses = (report.all_in.var_95, report.all_in.cvar_95, report.all_in.drawdown_95)
    else:
        losses = (report.var_95, report.cvar_95, report.max_drawdown)
    gates = [_at_most(rule, loss, getattr(limits, rule)) for rule, loss in zip(LOSS_RULES, losses, strict=True)]
    if report.gate_view == "all_in":
        return gates
    return [gate.model_copy(update={"tested": not gate.passed}) for gate in gates]


def _profile_gate(profile_id: ProfileId, mandate: Mandate, profiles: Mapping[ProfileId, Profile]) -> Gate:
    """A named profile is used whatever the risk; otherwise the risk decides which may be chosen."""
    if mandate.profile is not None:
        return Gate(
            rule="profile_risk",
            limit=mandate.profile,
            value=profile_id,
            passed=profile_id == mandate.profile,
            tested=True,
        )
    level = profiles[profile_id].level
    return Gate(
        rule="profile_risk",
        limit=mandate.risk,
        value=level,
        passed=permitted(profiles[profile_id], mandate.risk),
        tested=True,
    )


def _reward_gate(report: RiskReport, limits: Limits) -> Gate:
    """Where the split of the APY is not known for all the money, passing proves nothing."""
    gate = _at_most("reward_share", report.reward_share, limits.reward_share)
    complete = report.reward_share_known_weight >= 1.0 - _EPSILON
    return gate.model_copy(update={"tested": gate.tested and (complete or not gate.passed)})


def _at_most(rule: str, value: float | None, limit: float) -> Gate:
    return Gate(
        rule=rule, limit=limit, value=value, passed=value is None or value <= limit + _EPSILON, tested=value is not None
    )


def _at_least(rule: str, value: float | None, limit: float) -> Gate:
    return Gate(
        rule=rule, limit=limit, value=value, passed=value is None or value >= limit - _EPSILON, tested=value is not None
    )


def vetoes(
    assessed: Sequence[Assessed],
    pools: Sequence[Pool],
    mandate: Mandate,
    profiles: Mapping[ProfileId, Profile],
    limits: Limits,
) -> dict[ProfileId, dict[str, str]]:
    """Say what to send back to be built again.

    For each permitted profile all of whose candidates failed: every pool that breaks, by itself, a limit that they
    failed, with the rule. Profiles for which no pool is to blame are not sent back: building them again would change
    nothing.
    """
    sent_back: dict[ProfileId, dict[str, str]] = {}
    for profile_id in profiles:
        own = [candidate for candidate in assessed if candidate.measured.draft.profile_id == profile_id]
        if not own or any(candidate.passed for candidate in own) or not own[0].gates[0].passed:
            continue
        failed = {gate.rule for candidate in own for gate in candidate.gates if not gate.passed}
        broken = {pool.id: rule for pool in pools if (rule := _broken_alone(pool, mandate, limits, failed)) is not None}
        if broken:
            sent_back[profile_id] = broken
    return sent_back


def _broken_alone(pool: Pool, mandate: Mandate, limits: Limits, rules: set[str]) -> str | None:
    """Return the first of the rules that a portfolio of this pool alone would break."""
    checks = (
        ("protocol_risk", pool.protocol_risk > limits.protocol_risk),
        ("history_days", pool.history.days < limits.history_days),
        ("reward_share", (pool.row.apy_reward or 0.0) > limits.reward_share * pool.row.apy),
        ("apy_multiple", pool.apy_multiple > limits.apy_multiple),
        ("min_apy", mandate.min_apy is not None and pool.row.apy < mandate.min_apy),
    )
    return next((rule for rule, breaks in checks if breaks and rule in rules), None)


def conflicts(assessed: Sequence[Assessed]) -> list[Conflict]:
    """Name the limits that kept every candidate from passing, most vetoes first, with the value that came nearest."""
    by_rule: dict[str, list[Gate]] = {}
    for candidate in assessed:
        for gate in candidate.gates:
            if not gate.passed:
                by_rule.setdefault(gate.rule, []).append(gate)
    found = [
        Conflict(rule=rule, limit=gates[0].limit, nearest=_nearest(gates), vetoed=len(gates))
        for rule, gates in by_rule.items()
    ]
    return sorted(found, key=lambda conflict: (-conflict.vetoed, conflict.rule))


def _nearest(gates: Sequence[Gate]) -> float | str | None:
    pairs = [(gate.value, gate.limit) for gate in gates]
    numbers = [(value, limit) for value, limit in pairs if isinstance(value, float) and isinstance(limit, float)]
    if len(numbers) < len(pairs):
        return gates[0].value
    return min(numbers, key=lambda pair: (abs(pair[0] - pair[1]), pair[0]))[0]
