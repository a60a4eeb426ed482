"""What a user waits for: help, a whole recommendation, and the screening of the whole market."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ROOT, Case, Measured, Unavailable, interleaved, market_folder

HEAVY = ["numpy", "pandas", "scipy", "networkx", "langgraph", "langchain_core", "langchain_openai", "pydantic", "httpx"]
QUESTION = "Put 2 million dollars of stablecoins to work, low risk, no more than 25% in one pool"
LIBRARIES = "import langgraph.graph, pandas, scipy.optimize, networkx, jinja2"
WHOLE_MARKET = "2025-11-03"
_HELP = """
import sys
from plimsoll.cli import main
sys.argv = ["plimsoll", "--help"]
try:
    main()
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without a model's key in its environment: the embedded policy is what is timed."""
    keyless = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI")}
    return subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=keyless | environment,
        stdin=subprocess.DEVNULL,
    )


def _plimsoll() -> str:
    command = Path(sys.executable).with_name("plimsoll")
    if not command.exists():
        raise Unavailable("the command plimsoll is not installed beside this Python")
    return str(command)


def _modules_of_help() -> Measured:
    loaded = set(_run(sys.executable, "-c", _HELP).stderr.split())
    heavy = [name for name in HEAVY if name in loaded]
    return Measured(len(heavy), ", ".join(heavy) or f"{len(loaded)} modules, none heavy")


def _seconds_of_help() -> Measured:
    command = _plimsoll()
    helped, bare = interleaved(lambda: _run(command, "--help"), lambda: _run(sys.executable, "-c", ""))
    return Measured(helped, f"bare python takes {bare:.2f} s")


def _recommendation() -> Measured:
    command, source = _plimsoll(), str(market_folder())
    with tempfile.TemporaryDirectory() as scratch:

        def ask() -> None:
            out = tempfile.mkdtemp(dir=scratch)
            options = ("--source", source, "--as-of", "2025-02-28", "--out", f"{out}/run")
            _run(command, "ask", QUESTION, *options, PLIMSOLL_HOME=f"{out}/home")

        asked, imported = interleaved(ask, lambda: _run(sys.executable, "-c", LIBRARIES))
    return Measured(asked / imported, f"{asked:.2f} s against {imported:.2f} s")


def _whole_market() -> Measured:
    path = market_folder() / "pools" / f"{WHOLE_MARKET}.json.gz"
    if not path.exists():
        raise Unavailable(f"the recorded market has no snapshot of {WHOLE_MARKET}")
    from tools.market.quality import parse_rows
    from tools.strategies.universe import screen

    text = gzip.decompress(path.read_bytes())
    answer = json.loads(text)
    rows = answer["data"] if isinstance(answer, dict) else answer
    screened, parsed = interleaved(lambda: screen(parse_rows(rows), "USD"), lambda: json.loads(text))
    return Measured(screened / parsed, f"{len(rows):,} pools: {screened * 1e3:.0f} ms against {parsed * 1e3:.0f} ms")


CASES = (
    Case("help-modules", "heavy libraries imported by plimsoll --help", "", "<=", 0.0, _modules_of_help),
    Case("help-seconds", "plimsoll --help", "s", "<=", 0.3, _seconds_of_help),
    Case("ask", "one recommendation / importing its libraries", "x", "<=", 2.0, _recommendation),
    Case("screen", "parsing and screening the whole market / json.loads", "x", "<=", 5.0, _whole_market),
)
