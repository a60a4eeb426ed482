"""The thirteen return metrics of a strategy, from its simple daily returns. Imports numpy alone."""

from tools.metrics.missing import missing_reasons
from tools.metrics.returns import RETURN_METRICS, compute_metrics

__all__ = ["RETURN_METRICS", "compute_metrics", "missing_reasons"]
