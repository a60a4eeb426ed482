"""Figures with receipts.

Every number in a text is a slot, filled from the record and bound to the place it comes from.
"""

from tools.figures.ledger import BoundText, Ledger, UntrueClaim
from tools.figures.show import show

__all__ = ["BoundText", "Ledger", "UntrueClaim", "show"]
