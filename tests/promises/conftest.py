"""What the promise suites share: the ledger that their figures end in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tallies import FULL, OUT, Ledger


@pytest.fixture(scope="module")
def ledger(request: pytest.FixtureRequest, published: list[str]) -> Iterator[Ledger]:
    """The tallies of a module; printed at the end, and in the full run written where PROMISES_OUT says."""
    kept = Ledger()
    yield kept
    published += [tally.line() for tally in kept.tallies]
    if OUT and FULL:
        kept.write(Path(OUT), Path(str(request.fspath)).stem.removeprefix("test_"))
