"""What makes a mandate impossible by itself, however it was made."""

from __future__ import annotations

from tools.errors import MandateError
from tools.records import Mandate

_ROUNDING = 1e-9


def check_mandate(mandate: Mandate) -> None:
    """Raise MandateError when limits of the mandate contradict each other, or a name is both let in and kept out."""
    low, high, weight = mandate.min_pools, mandate.max_pools, mandate.max_weight
    if low is not None and high is not None and low > high:
        raise MandateError(f"min_pools ({low}) is above max_pools ({high}); lower the first or raise the second")
    if weight is not None and high is not None and weight * high < 1 - _ROUNDING:
        raise MandateError(
            f"max_weight ({weight:.12g}) times max_pools ({high}) is {weight * high:.4g}, less than 1: "
            "the money cannot all be placed; raise the weight or the number of pools"
        )
    for kind in ("chains", "protocols", "tokens"):
        both = sorted(set(getattr(mandate, f"{kind}_include")) & set(getattr(mandate, f"{kind}_exclude")))
        if both:
            raise MandateError(f"{', '.join(both)} stands in both {kind}_include and {kind}_exclude; decide for one")
    for name in ("max_drawdown", "max_var_95"):
        value = getattr(mandate, name)
        if value is not None and value > 1:
            raise MandateError(f"{name} is {value:.12g}, above 1 (100 %); a loss cannot be larger than what is held")
