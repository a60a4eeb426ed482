"""The suites: each module holds one as ``SUITE``."""
