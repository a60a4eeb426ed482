"""Market data: sources, point-in-time store, evidence, quality checks, names."""
