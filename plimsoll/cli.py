"""The command line. Heavy libraries are imported where they are used: ``plimsoll --help`` answers at once."""

from __future__ import annotations

import datetime as dt
import enum
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.allocation import allocate
from plimsoll.backtest import backtest
from plimsoll.evaluation import app as eval_app
from plimsoll.events import listener
from plimsoll.forecast import app as forecast_app
from plimsoll.options import AssetName, day_of, open_market
from plimsoll.risk import app as risk_app
from tools.errors import PlimsollError, UsageError, VerificationError

if TYPE_CHECKING:
    from agents.journal import Journal
    from agents.models import Seat
    from plimsoll.asking import Asked
    from tools.market.snapshot import Market
    from tools.strategies.universe import Universe

app = typer.Typer(
    name="plimsoll",
    help="Where to earn yield on ETH, BTC or dollars: what to hold, why, and a record that a program can check.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Market data: fetch, status, list, export of the point-in-time store.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(risk_app, name="risk")
app.add_typer(forecast_app, name="forecast")
app.add_typer(eval_app, name="eval")
app.command("allocate")(allocate)
app.command("backtest")(backtest)


class Format(enum.StrEnum):
    """How ``ask`` prints its answer."""

    text = "text"
    json = "json"
    md = "md"


class TableFormat(enum.StrEnum):
    """How ``data list`` prints its rows."""

    table = "table"
    csv = "csv"


class PresetName(enum.StrEnum):
    """Market conditions for the score."""

    bull = "bull"
    neutral = "neutral"
    uncertain = "uncertain"


class HazardName(enum.StrEnum):
    """How often things are taken to fail: an end of the range, or its centre."""

    low = "low"
    central = "central"
    high = "high"


SOURCE_HELP = "live, demo, a folder, or a base URL that serves DefiLlama's /pools and /chart/{pool}"
Source_ = Annotated[str, typer.Option("--source", envvar="PLIMSOLL_SOURCE", help=SOURCE_HELP)]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", envvar="PLIMSOLL_AS_OF", metavar="DATE", help="decide as of the end of this UTC day"),
]
Seed = Annotated[
    int, typer.Option("--seed", envvar="PLIMSOLL_SEED", help="seed of the simulation, and of the demo market")
]
Asset_ = Annotated[AssetName, typer.Option("--asset", help="the asset to look at")]
Table_ = Annotated[TableFormat, typer.Option("--format", help="how to print the rows")]
Refresh = Annotated[bool, typer.Option("--refresh", help="ask the network again for what the store knows")]
Run = Annotated[Path, typer.Argument(help="a run folder that ask wrote")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="PLIMSOLL_MODEL",
        help="an OpenAI-compatible model; OPENAI_BASE_URL and OPENAI_API_KEY say where",
    ),
]
RequireModel = Annotated[
    bool, typer.Option("--require-model", envvar="PLIMSOLL_REQUIRE_MODEL", help="fail when the model does")
]
Output = Annotated[Format, typer.Option("--format", envvar="PLIMSOLL_FORMAT", help="how to print the answer")]
Events = Annotated[bool, typer.Option("--events", help="tell what happens, as it happens, as lines of JSON")]
Approve = Annotated[bool, typer.Option("--approve", help="ask before the choice is final")]
Off = Annotated[
    list[str] | None, typer.Option("--off", metavar="SWITCH", help="switch off an agent or a use of the model")
]
AllowTracing = Annotated[
    bool, typer.Option("--allow-tracing", help="let the environment's tracing variables send the prompts elsewhere")
]
Preset_ = Annotated[
    PresetName, typer.Option("--preset", envvar="PLIMSOLL_PRESET", help="market condition for the score")
]
Hazard_ = Annotated[
    HazardName, typer.Option("--hazard", envvar="PLIMSOLL_HAZARD", help="how often exploits and depegs happen")
]


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        from plimsoll.terminal import echo

        echo(f"plimsoll {importlib.metadata.version('plimsoll')}")
        raise typer.Exit


@app.callback()
def defaults(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Read plimsoll.toml for the options that neither a flag nor the environment sets."""
    from plimsoll.settings import from_file

    settings = from_file(Path.cwd())
    if "format" in settings:
        settings["output"] = settings.pop("format")  # ``format`` is a built-in, so the parameter is called otherwise
    context.default_map = {"ask": settings, "chat": settings}


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="what you hold and what you want, in words")],
    source: Source_ = "live",
    as_of: AsOf = None,
    model: Model = None,
    require_model: RequireModel = False,
    output: Output = Format.text,
    events: Events = False,
    approve: Approve = False,
    off: Off = None,
    allow_tracing: AllowTracing = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="where to write the run folder")] = None,
    seed: Seed = 0,
    preset: Preset_ = PresetName.neutral,
    hazard: Hazard_ = HazardName.central,
    set_hazard: Annotated[
        list[str] | None,
        typer.Option("--set-hazard", metavar="NODE=RATE", help="events a year of your own, as protocol:aave=0.01"),
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option("--facts", envvar="PLIMSOLL_FACTS", metavar="FILE", help="facts of protocols of your own"),
    ] = None,
    refresh: Refresh = False,
) -> None:
    """Answer one question with one recommendation, and write a run folder that can be verified and replayed."""
    listen = listener(events)
    if events and listen is not None:
        listen({"event": "started", "command": "ask"})
    if listen is not None:  # what was understood is told before the libraries that answer are loaded
        from tools.question import read

        said = read(question).mandate.model_dump(mode="json", exclude_defaults=True)
        listen({"event": "understood", "mandate": said})
    from plimsoll import asking, runs
    from plimsoll.threads import new_name

    day = day_of(as_of)
    if out is not None:
        runs.check_writable(out)
    if facts is not None and not facts.is_file():
        raise UsageError(f"--facts {facts} is no file")
    asked = asking.Asked(
        question=question,
        source=source,
        as_of=day.isoformat() if day else None,
        model=model,
        require_model=require_model,
        output=output.value,
        out=str(out.absolute()) if out else None,
        seed=seed,
        preset=preset.value,
        hazard=hazard.value,
        hazard_rates=_rates(set_hazard or []),
        facts=str(facts.absolute()) if facts else None,
        refresh=refresh,
        off=off or [],
        approve=approve,
        allow_tracing=allow_tracing,
    )
    folder = asking.begin(asked, new_name(dt.datetime.now(dt.UTC)))
    raise typer.Exit(asking.carry_out(asked, folder, _seat_of, listen))


@app.command()
def resume(
    name: Annotated[str | None, typer.Argument(help="a run that was stopped; none: the newest")] = None,
    events: Events = False,
) -> None:
    """Go on with a run of ask that was stopped: the market is not read again, and no call to a model is paid twice."""
    listen = listener(events)
    if events and listen is not None:
        listen({"event": "started", "command": "resume"})
    from plimsoll import asking

    asked, folder = asking.recall(name)
    raise typer.Exit(asking.carry_out(asked, folder, _seat_of, listen))


@app.command()
def chat(
    thread: Annotated[
        str | None, typer.Option("--thread", envvar="PLIMSOLL_THREAD", metavar="NAME", help="go on with this thread")
    ] = None,
    source: Source_ = "live",
    as_of: AsOf = None,
    model: Model = None,
    require_model: RequireModel = False,
    output: Output = Format.text,
    events: Events = False,
    approve: Approve = False,
    off: Off = None,
    allow_tracing: AllowTracing = False,
    seed: Seed = 0,
    preset: Preset_ = PresetName.neutral,
    hazard: Hazard_ = HazardName.central,
    memory: Annotated[
        str | None,
        typer.Option("--memory", envvar="PLIMSOLL_MEMORY", metavar="URL", help="remember in this PostgreSQL database"),
    ] = None,
) -> None:
    """Talk: a conversation with memory, on a terminal or through a pipe; --thread goes on with an earlier one."""
    listen = listener(events)
    if events and listen is not None:
        listen({"event": "started", "command": "chat"})
    from agents.state import Settings
    from plimsoll.chat import Options, converse

    day = day_of(as_of)
    settings = Settings(as_of=day, preset=preset.value, seed=seed, hazard=hazard.value, off=tuple(off or ()))
    open_market(source, seed, False)  # a source that is none is said at once
    converse(
        thread,
        Options(
            source=source,
            settings=settings,
            open_source=lambda: open_market(source, seed, False),
            open_seat=lambda journal: _seat(model, require_model, journal, allow_tracing),
            output=output.value,
            approve=approve,
            memory=memory,
            allow_tracing=allow_tracing,
            listen=listen,
        ),
    )


threads_app = typer.Typer(
    help="Threads of conversation: list, show, delete.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(threads_app, name="threads")
Memory_ = Annotated[
    str | None,
    typer.Option("--memory", envvar="PLIMSOLL_MEMORY", metavar="URL", help="the PostgreSQL database that remembers"),
]


@threads_app.command("list")
def threads_list(memory: Memory_ = None) -> None:
    """List the threads that are remembered, the one that was spoken in last first."""
    from agents.memory import memory as open_memory
    from plimsoll import threads
    from plimsoll.terminal import echo

    with open_memory(threads.database(), memory) as opened:
        for thread in threads.listed(opened):
            echo(f"{thread.name}  {thread.turns} turns  {thread.last}  {thread.line}")


@threads_app.command("show")
def threads_show(name: Annotated[str, typer.Argument(help="a thread")]) -> None:
    """Print a thread as Markdown: each line, and what was answered."""
    from plimsoll import threads
    from plimsoll.terminal import echo

    echo(threads.as_markdown(name).rstrip("\n"))


@threads_app.command("delete")
def threads_delete(name: Annotated[str, typer.Argument(help="a thread")], memory: Memory_ = None) -> None:
    """Forget a thread: what was said, and its answers."""
    from agents.memory import memory as open_memory
    from plimsoll import threads
    from plimsoll.terminal import echo

    with open_memory(threads.database(), memory) as opened:
        threads.delete(opened, name)
    echo(f"{name} is forgotten")


@app.command()
def parse(question: Annotated[str, typer.Argument(help="a question in words")]) -> None:
    """Print the mandate read from a question, as JSON."""
    import json

    from plimsoll.terminal import echo
    from tools.question import read

    echo(json.dumps(read(question).mandate.model_dump(mode="json"), indent=1, ensure_ascii=False))


@app.command()
def verify(folder: Run) -> None:
    """Check a saved recommendation.

    Hashes, every figure of its text, and what the record computes from the market rows.
    """
    from plimsoll.terminal import echo
    from tools.verify import is_answer, verify_answer
    from tools.verify import verify as check

    if not folder.is_dir():
        raise UsageError(f"{folder} {'is not a run folder' if folder.exists() else 'does not exist'}")
    report = verify_answer(folder) if is_answer(folder) else check(folder)
    for difference in report.differences:
        echo(str(difference), error=True)
    if report.differences:
        raise VerificationError(f"{folder}: {len(report.differences)} differences")
    echo(
        f"{folder}: verified: {report.figures} figures, {report.claims} comparisons,"
        f" {report.recomputed} values computed again"
    )


@app.command()
def replay(folder: Run) -> None:
    """Run a saved recommendation, or the runs of an answer, again from its own files: equal bytes, or what differs."""
    from plimsoll import runs
    from plimsoll.terminal import echo
    from tools.verify import is_answer

    if not folder.is_dir():
        raise UsageError(f"{folder} {'is not a run folder' if folder.exists() else 'does not exist'}")
    result = runs.replay_answer(folder) if is_answer(folder) else runs.replay(folder)
    for difference in result.differences:
        echo(difference, error=True)
    if result.differences:
        raise VerificationError(f"{folder}: the replay differs in {len(result.differences)} places")
    echo(f"{folder}: replayed to the same bytes")


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(help="recommendation, mandate, candidate, …; none: list them")] = None,
) -> None:
    """Print the JSON Schema of a record."""
    import json

    from plimsoll.terminal import echo
    from tools import records
    from tools.dialogue.answer import Answer
    from tools.dialogue.records import Turn

    known = {
        key.lower(): value
        for key, value in (vars(records) | {"answer": Answer, "turn": Turn}).items()
        if isinstance(value, type) and issubclass(value, records.Record) and value is not records.Record
    }
    if name is None:
        echo("\n".join(sorted(known)))
        return
    model = known.get(name.lower().replace("_", "").replace("-", ""))
    if model is None:
        raise UsageError(f"no record is called {name!r}; known are {', '.join(sorted(known))}")
    echo(json.dumps(model.model_json_schema(mode="serialization"), indent=1))


@app.command()
def doctor(
    source: Source_ = "demo",
    as_of: AsOf = None,
    model: Model = None,
) -> None:
    """Say what works here and what does not; exits 0 unless something that a run needs is broken."""
    from plimsoll.doctor import examine
    from plimsoll.terminal import echo

    broken = False
    open_seat = (lambda: _seat(model, required=True)) if model else None
    for finding in examine(lambda: open_market(source, 0, False), day_of(as_of), open_seat):
        broken |= finding.needed and not finding.works
        mark = "ok    " if finding.works else "BROKEN" if finding.needed else "absent"
        echo(f"{mark} {finding.what}: {finding.detail}")
    raise typer.Exit(1 if broken else 0)


@data_app.command("fetch")
def data_fetch(
    asset: Annotated[AssetName, typer.Argument(help="the asset to fetch for")],
    source: Source_ = "live",
    as_of: AsOf = None,
    seed: Seed = 0,
    refresh: Refresh = False,
) -> None:
    """Fetch what a question about an asset needs into the point-in-time store."""
    from plimsoll.market import look
    from plimsoll.terminal import echo, progress_bar

    with progress_bar("Fetching") as progress:
        market, universe = look(open_market(source, seed, refresh), asset.value, day_of(as_of), progress)
    echo(
        f"{market.as_of.isoformat()}: {market.pools_total} pools, {len(market.screened)} screened,"
        f" {len(universe.pools)} eligible for {asset.value}"
    )


@data_app.command("status")
def data_status() -> None:
    """Say what the point-in-time store holds."""
    from plimsoll.terminal import echo
    from tools.market.store import Store

    store = Store()
    try:
        status = store.status()
    finally:
        store.close()
    for line in status_lines(status):
        echo(line)


def _looked_at(asset: AssetName, source: str, as_of: str | None, seed: int) -> tuple[Market, Universe]:
    from plimsoll.market import look
    from plimsoll.terminal import progress_bar

    with progress_bar("Reading the market") as progress:
        return look(open_market(source, seed, False), asset.value, day_of(as_of), progress)


@data_app.command("list")
def data_list(
    asset: Asset_ = AssetName.USD,
    eligible: Annotated[bool, typer.Option("--eligible", help="with the reason for each exclusion")] = False,
    output: Table_ = TableFormat.table,
    source: Source_ = "live",
    as_of: AsOf = None,
    seed: Seed = 0,
) -> None:
    """List the pools of a market; with --eligible each with whether it may be held, or why not."""
    from plimsoll.market import print_pools

    market, universe = _looked_at(asset, source, as_of, seed)
    print_pools(market, universe, reasons=eligible, csv=output is TableFormat.csv)


@data_app.command("features")
def data_features(
    asset: Asset_ = AssetName.USD,
    output: Table_ = TableFormat.table,
    source: Source_ = "live",
    as_of: AsOf = None,
    seed: Seed = 0,
) -> None:
    """Print what each eligible pool's history says: level, trend, persistence, spikes, liquidity, correlation."""
    from plimsoll.market import print_features

    _, universe = _looked_at(asset, source, as_of, seed)
    print_features(universe, csv=output is TableFormat.csv)


@data_app.command("export")
def data_export(
    source: Annotated[str, typer.Argument(help="a source of the store, as status names it")],
    day: Annotated[str, typer.Argument(metavar="DATE", help="a day of the store")],
    folder: Annotated[Path, typer.Argument(help="where to write")],
) -> None:
    """Write a day of the store as a folder that --source takes."""
    from plimsoll.terminal import echo
    from tools.market.store import Store

    exact = day_of(day)
    assert exact is not None
    store = Store()
    try:
        written = store.export(source, exact, folder)
    finally:
        store.close()
    echo(f"{len(written)} files in {folder}")


def status_lines(status: Any) -> list[str]:
    """Return the lines of ``data status``."""
    if not status.sources:
        return ["the store is empty"]
    lines = [
        f"{source.source}: {len(source.days)} days with a snapshot"
        f"{f' ({source.days[0]} to {source.days[-1]})' if source.days else ''},"
        f" {sum(source.observations.values())} answers"
        for source in status.sources
    ]
    return [*lines, f"{status.bytes:,} bytes in {status.path}"]


def _rates(settings: list[str]) -> dict[str, float]:
    """Read NODE=RATE; raises UsageError for what is none."""
    rates: dict[str, float] = {}
    for setting in settings:
        node, sign, text = setting.rpartition("=")
        try:
            rates[node] = float(text)
        except ValueError:
            sign = ""
        if not sign or not node:
            raise UsageError(f"--set-hazard must be a node and a rate such as protocol:aave=0.01, not {setting!r}")
    return rates


def _seat_of(asked: Asked, journal: Journal) -> Seat:
    return _seat(asked.model, asked.require_model, journal, asked.allow_tracing)


def _seat(model: str | None, required: bool, journal: Journal | None = None, allow_tracing: bool = False) -> Seat:
    from agents.models import policy_seat

    if model is None:
        if required:
            raise UsageError("--require-model needs a model: name one with --model")
        return policy_seat()
    from agents.cache import PromptCache
    from agents.endpoint import model_seat

    return model_seat(
        model,
        base_url=os.environ.get("OPENAI_BASE_URL"),
        api_key=os.environ.get("OPENAI_API_KEY"),
        required=required,
        journal=journal,
        cache=PromptCache.at_home(),
        allow_tracing=allow_tracing,
    )


def main() -> None:
    """Run the command line; foreseen errors end with one line on stderr and their exit code."""
    # A command is short, and most of what it makes lives as long as it: collecting at the default of 700 objects would
    # take a sixth of its time.
    gc.set_threshold(500_000, 20, 100)
    try:
        app()
    except PlimsollError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        sys.exit(130)


def _complain(message: str) -> None:
    from plimsoll.terminal import echo

    echo(f"plimsoll: {message}", error=True)
