"""What a pool depends on, looked through to the end: protocol, token, issuer, oracle, bridge, chain, curator.

Ids are ``kind:name``; what is not known is a node of its own (``unknown:collateral``). See ``docs/design/exposure.md``.
"""

from tools.exposure.contagion import Contagion, contagion, contagion_table, falls_with
from tools.exposure.graph import build_graph
from tools.exposure.look_through import Exposures, Hit, exposures
from tools.exposure.portfolio import effective_number, portfolio_exposure

__all__ = [
    "Contagion",
    "Exposures",
    "Hit",
    "build_graph",
    "contagion",
    "contagion_table",
    "effective_number",
    "exposures",
    "falls_with",
    "portfolio_exposure",
]
