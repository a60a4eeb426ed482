"""Which pools may be held, and how pools become candidates: allowed tokens, profiles, limits, universe, candidate generation."""
