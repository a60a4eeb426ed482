"""``plimsoll eval``: list the suites, run them, write the report."""

from __future__ import annotations

import datetime as dt
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.terminal import echo, progress_bar
from tools.errors import UsageError

if TYPE_CHECKING:
    from evals.comparison import Comparison
    from evals.executors import Executor
    from evals.records import Subject, SuiteResult

app = typer.Typer(
    help="Evaluations: how good the advice is, suite by suite, for the embedded policy or a model.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
OUT = Path("out/evals")
OPENAI = "https://api.openai.com/v1"
Folder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="where results are kept")]


@app.command("list")
def list_suites() -> None:
    """List the suites and what each asks."""
    from evals.registry import SUITES

    for name, (_, words) in SUITES.items():
        echo(f"{name:<12} {words}")


@app.command("run")
def run(
    suite: Annotated[str, typer.Argument(help="a suite, or all")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            envvar="PLIMSOLL_MODEL",
            help="an OpenAI-compatible model in the seat; OPENAI_BASE_URL and OPENAI_API_KEY say where",
        ),
    ] = None,
    out: Folder = OUT,
    fast: Annotated[bool, typer.Option("--fast", help="the fast subset alone")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=256, help="processes to work in")] = 1,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", metavar="PERCENT", min=0.0, max=100.0, help="fail when fewer cases pass"),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="BASELINE", help="earlier results, a folder or one file, to compare with"),
    ] = None,
) -> None:
    """Run a suite, or the rest of one that was stopped, and write its results and the report.

    Exits 1 when a suite passes less than --fail-under, or when a case that passed in the baseline no longer does.
    """
    from evals.registry import SUITES, suite_named

    names = list(SUITES) if suite == "all" else [suite]
    for name in names:
        suite_named(name)  # an unknown one ends here, before any work
    baselines = {} if compare is None else _baselines(compare)
    subject, executor = _subject(model), _executor(workers)
    results = [_run(name, out, subject, executor, fast) for name in names]
    compared = [_compared(result, baselines) for result in results]
    _write_report(out, results, compared)
    failed = [result.suite for result in results if fail_under is not None and 100.0 * result.pass_rate < fail_under]
    for name in failed:
        echo(f"{name}: fewer than {fail_under:g}% of the cases passed", error=True)
    worse = [comparison for comparison in compared if comparison is not None and comparison.regressions]
    raise typer.Exit(1 if failed or worse else 0)


@app.command("report")
def report(out: Folder = OUT) -> None:
    """Write the report of all results in a folder as one HTML file."""
    from evals.journal import load_results

    results = load_results(out)
    _write_report(out, results, [None] * len(results))


def _run(name: str, out: Path, subject: Subject, executor: Executor, fast: bool) -> SuiteResult:
    from evals.runner import run_suite

    with progress_bar(name) as progress:
        result = run_suite(name, out, subject=subject, executor=executor, fast=fast, progress=progress)
    passed = sum(case.passed for case in result.cases)
    seconds = sum(case.seconds for case in result.cases)
    echo(f"{name}: {passed} of {len(result.cases)} cases passed, {seconds:.1f} s")
    for case in result.cases:
        if not case.passed:
            why = case.error or "; ".join(
                f"{score}: {found.explanation}" for score, found in case.scores.items() if found.passed is False
            )
            echo(f"  {case.case}: {why}")
    return result


def _baselines(path: Path) -> dict[tuple[str, str], SuiteResult]:
    """Read earlier results, by suite and subject; raises UsageError where there are none."""
    from evals.journal import load_result, load_results

    found = load_results(path) if path.is_dir() else [load_result(path)]
    return {(result.suite, result.subject): result for result in found}


def _compared(result: SuiteResult, baselines: dict[tuple[str, str], SuiteResult]) -> Comparison | None:
    """Compare with the same suite of the same subject, or of the only subject that the baseline has."""
    from evals.comparison import compare

    known = [found for (suite, _), found in baselines.items() if suite == result.suite]
    baseline = baselines.get((result.suite, result.subject)) or (known[0] if len(known) == 1 else None)
    if baseline is None:
        if baselines:
            echo(f"{result.suite}: the baseline does not have this suite", error=True)
        return None
    comparison = compare(result, baseline)
    for name, (found, cases) in comparison.differences.items():
        if found.low > 0.0 or found.high < 0.0:
            echo(f"  {name}: {found.value:+.4g} ({found.low:+.4g} to {found.high:+.4g}) over {cases} cases")
    for case in comparison.regressions:
        echo(f"  no longer passed: {case}", error=True)
    return comparison


def _write_report(out: Path, results: list[SuiteResult], compared: list[Comparison | None]) -> None:
    from evals.report import page
    from tools.market.store import write_atomically

    target = out / "report.html"
    write_atomically(target, page(results, dt.datetime.now(dt.UTC), compared).encode())
    echo(f"report: {target}")


def _subject(model: str | None) -> Subject:
    from evals.records import Endpoint, Subject

    if model is None:
        return Subject()
    from agents.endpoint import model_seat

    base_url, api_key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
    seat = functools.partial(model_seat, model, base_url=base_url, api_key=api_key)
    seat()  # an address that is none ends here, before any work
    return Subject(model, seat, Endpoint(model, base_url or OPENAI, api_key))


def _executor(workers: int) -> Executor:
    from evals.executors import Processes, Serial

    if workers > (os.cpu_count() or 1) * 4:
        raise UsageError(f"--workers {workers}: this machine has {os.cpu_count()} processors")
    return Serial() if workers == 1 else Processes(workers)
