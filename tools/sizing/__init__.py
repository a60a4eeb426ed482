"""What an own deposit does to a pool's rate, and the allocation that knows it."""

from tools.sizing.allocate import SizedAllocation, allocate
from tools.sizing.break_even import break_even_days, bridge_cost
from tools.sizing.dilution import RateCurve, at_size, curve_of, flat
from tools.sizing.envelope import Leaving
from tools.sizing.lending import dilution_tables

__all__ = [
    "Leaving",
    "RateCurve",
    "SizedAllocation",
    "allocate",
    "at_size",
    "break_even_days",
    "bridge_cost",
    "curve_of",
    "dilution_tables",
    "flat",
]
