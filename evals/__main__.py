"""Print how many questions are read right in every field, and those that are not."""

import sys

from evals.intake import load_cases, run

outcomes = run(load_cases())
for held_out in (False, True):
    of = [outcome for outcome in outcomes if outcome.case.held_out is held_out]
    right = sum(not outcome.wrong for outcome in of)
    sys.stdout.write(f"{'held out' if held_out else 'in use'}: {right} of {len(of)} read right in every field\n")
for outcome in outcomes:
    if outcome.wrong:
        sys.stdout.write(f"{outcome.case.id} {outcome.case.question!r}: {dict(outcome.wrong)}\n")
