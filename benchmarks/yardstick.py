"""The books, the evaluator and the reference solvers of the optimisers' tests, which the benchmarks judge by too."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from benchmarks.measure import ROOT

sys.path.append(str(ROOT / "tests" / "tools" / "optimize"))
problems: Any = importlib.import_module("optimizer_problems")
objectives: Any = importlib.import_module("optimizer_objectives")
reference: Any = importlib.import_module("optimizer_reference")
verdict: Any = importlib.import_module("optimizer_verdict")
