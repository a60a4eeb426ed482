"""Prompts and rationale templates: data only."""
