"""Evaluations: cases as data, scorers as pure functions.

So far one suite: how well questions are read (``evals.intake``). ``python -m evals`` prints its figures.
"""
