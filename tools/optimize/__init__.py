"""Weights of a portfolio: one function per method, within limits, with proof of how good; or a named conflict."""

from tools.optimize.limits import Infeasible
from tools.optimize.linear import SolverFailed
from tools.optimize.methods import METHODS, optimize, solve, solve_problem
from tools.optimize.moments import Undefined
from tools.optimize.problem import Binding, Problem, Solution
from tools.optimize.rounding import round_weights
from tools.optimize.simple import stable_share

__all__ = [
    "METHODS",
    "Binding",
    "Infeasible",
    "Problem",
    "Solution",
    "SolverFailed",
    "Undefined",
    "optimize",
    "round_weights",
    "solve",
    "solve_problem",
    "stable_share",
]
