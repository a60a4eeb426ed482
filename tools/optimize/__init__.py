"""Weights of a portfolio: one function per method, within caps per asset and per group, or a named conflict."""

from tools.optimize.limits import Infeasible
from tools.optimize.linear import SolverFailed
from tools.optimize.methods import METHODS, optimize
from tools.optimize.rounding import round_weights

__all__ = ["METHODS", "Infeasible", "SolverFailed", "optimize", "round_weights"]
