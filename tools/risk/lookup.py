"""The protocol risks of one market: of the protocols behind its pools, and of those that issue their tokens."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path

from tools.market.names import family_aliases, family_of
from tools.market.snapshot import Market
from tools.records import ProtocolEvidence, RiskCap, ScoreComponent
from tools.risk.protocol import Component, ProtocolAssessment, assess_all

STORED_DECIMALS = 12  # the last bits of a sum depend on the machine


class ProtocolRisks:
    """Risks as known at the market's day, from 0 (safest) to 1; each protocol is assessed once.

    ``extra`` is a file of the user's own facts, see ``tools.risk.protocol_facts.load_facts``.
    """

    def __init__(self, market: Market, extra: Path | None = None) -> None:
        self._market, self._extra = market, extra
        projects = sorted({market.rows[pool_id].project for pool_id in market.screened})
        self._assessments = assess_all(
            {project: market.protocol_tvl_usd.get(family_of(project)) for project in projects},
            as_of=market.as_of,
            hacks=market.hacks,
            extra=extra,
        )
        self._issuer = functools.cache(self._assess_issuer)

    def project(self, project: str) -> float:
        """Return the risk of the protocol behind a screened pool's project; raises KeyError for another project."""
        return round(self._assessments[project].risk, STORED_DECIMALS)

    def issuer(self, issuer: str) -> float | None:
        """Return the risk of the protocol that issues a token; None for a custodian, which no such score can judge.

        Custodians (Circle, Tether, Coinbase) are watched by the share of the money behind one issuer instead.
        """
        assessed = self._issuer(issuer)
        return round(assessed.risk, STORED_DECIMALS) if assessed else None

    def evidence(self, project: str) -> ProtocolEvidence:
        """Return what ``project`` is computed from, for the record; raises KeyError for another project."""
        return _as_record(self._assessments[project])

    def issuer_evidence(self, issuer: str) -> ProtocolEvidence | None:
        """Return what ``issuer`` is computed from; None for a custodian."""
        assessed = self._issuer(issuer)
        return _as_record(assessed) if assessed else None

    def _assess_issuer(self, issuer: str) -> ProtocolAssessment | None:
        family = family_aliases().get(issuer.lower())
        if family is None:
            return None
        market = self._market
        assessed = assess_all({family: None}, as_of=market.as_of, hacks=market.hacks, extra=self._extra)[family]
        return _without_tvl(assessed)


def _without_tvl(assessed: ProtocolAssessment) -> ProtocolAssessment:
    """Judge an issuer by everything but TVL, its weight spread over the other parts.

    What its token's pools hold says nothing about the size of the issuer.
    """
    parts = {key: component for key, component in assessed.components.items() if key != "tvl"}
    whole = math.fsum(part.weight for part in parts.values())
    score = math.fsum(part.weight * part.score for part in parts.values()) / whole
    risk = min(1.0, max([1.0 - score, *(cap.risk_at_least for cap in assessed.caps)]))
    spread = {key: replace(part, weight=part.weight / whole) for key, part in parts.items()}
    return replace(assessed, risk=risk, components=spread)


def _as_record(assessed: ProtocolAssessment) -> ProtocolEvidence:
    return ProtocolEvidence(
        project=assessed.project,
        family=assessed.family,
        risk=round(assessed.risk, STORED_DECIMALS),
        components={key: _component(part) for key, part in assessed.components.items()},
        caps=[RiskCap(risk_at_least=cap.risk_at_least, reason=cap.reason) for cap in assessed.caps],
        known=assessed.known,
    )


def _component(part: Component) -> ScoreComponent:
    return ScoreComponent(
        score=round(part.score, STORED_DECIMALS),
        weight=round(part.weight, STORED_DECIMALS),
        evidence=part.evidence,
        sources=list(part.sources),
        known_since=part.known_since.isoformat() if part.known_since else None,
    )
