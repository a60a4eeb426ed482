"""Write the tables of ``docs/claim.md``: ``python -m evals.claim --source FOLDER --out docs/claim.md``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evals.allocation_tables import around, rewrite
from evals.claim.study import PERIODS, study
from evals.claim.tables import GENERATED, page_lines
from tools.errors import PlimsollError
from tools.market.sources.folder import FolderSource


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated part of the page from a recorded market."""
    parser = argparse.ArgumentParser(prog="python -m evals.claim", description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the folder of the recorded market")
    parser.add_argument("--out", type=Path, default=Path("docs/claim.md"), help="the page")
    given = parser.parse_args(arguments)
    try:
        source = FolderSource(given.source)
        around(given.out, GENERATED)  # before any work
        rewrite(given.out, list(page_lines([study(source, period) for period in PERIODS])), GENERATED)
    except PlimsollError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
