"""Evaluations: cases as data, scorers as pure functions.

``registry`` lists the suites, ``runner`` runs one, ``report`` tells what came of it; ``plimsoll eval`` is the face.
Beside them stand the studies on a recorded market (``allocation``, ``forecasts``, ``rebalancing``, ``volatility``),
each with a page of its own, and ``python -m evals``, which prints how well questions are read.
"""
