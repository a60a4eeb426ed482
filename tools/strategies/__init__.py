"""Which pools may be held, and how pools become candidates.

Allowed tokens, profiles, limits, universe, candidate generation.
"""
