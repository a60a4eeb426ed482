"""The protocol risks of one market: of the protocols behind its pools, and of those that issue their tokens."""

from __future__ import annotations

import functools
import math

from tools.market.names import family_aliases, family_of
from tools.market.snapshot import Market
from tools.risk.protocol import ProtocolAssessment, assess_all

STORED_DECIMALS = 12  # the last bits of a sum depend on the machine


class ProtocolRisks:
    """Risks as known at the market's day, from 0 (safest) to 1; each protocol is assessed once."""

    def __init__(self, market: Market) -> None:
        self._market = market
        projects = sorted({market.rows[pool_id].project for pool_id in market.screened})
        self._assessments = assess_all(
            {project: market.protocol_tvl_usd.get(family_of(project)) for project in projects},
            as_of=market.as_of,
            hacks=market.hacks,
        )
        self._issuer = functools.cache(self._assess_issuer)

    def project(self, project: str) -> float:
        """Return the risk of the protocol behind a screened pool's project; raises KeyError for another project."""
        return round(self._assessments[project].risk, STORED_DECIMALS)

    def issuer(self, issuer: str) -> float | None:
        """Return the risk of the protocol that issues a token; None for a custodian, which no such score can judge.

        Custodians (Circle, Tether, Coinbase) are watched by the share of the money behind one issuer instead.
        """
        return self._issuer(issuer)

    def _assess_issuer(self, issuer: str) -> float | None:
        if issuer.lower() not in family_aliases():
            return None
        assessed = assess_all({issuer: None}, as_of=self._market.as_of, hacks=self._market.hacks)[issuer]
        return round(_without_tvl(assessed), STORED_DECIMALS)


def _without_tvl(assessed: ProtocolAssessment) -> float:
    """Judge an issuer by everything but TVL, its weight spread over the other parts.

    What its token's pools hold says nothing about the size of the issuer.
    """
    parts = [component for key, component in assessed.components.items() if key != "tvl"]
    score = math.fsum(part.weight * part.score for part in parts) / math.fsum(part.weight for part in parts)
    return min(1.0, max([1.0 - score, *(cap.risk_at_least for cap in assessed.caps)]))
