"""Speed as ratios: each against its limit or its peer, measured side by side in one run. ``python -m benchmarks``.

Linear algebra is pinned to one thread here, before anything imports numpy, so that the ratios carry from machine to
machine.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
