"""The embedded synthetic market (``--source demo``): two years of invented pools, with faults that real feeds show.

    catalogue (which pools) → series (their days) → oddities (what is wrong with some) → source (DefiLlama's rows)

Token symbols and most project names are real, because allowed-token lists and protocol scores work on them; every
figure is invented. The bytes depend on the seed and the day alone.
"""

from tools.market.demo.catalogue import FIRST_DAY, LAST_DAY
from tools.market.demo.source import DemoSource

__all__ = ["FIRST_DAY", "LAST_DAY", "DemoSource"]
