"""``plimsoll chat``: a conversation with memory, on a terminal or through a pipe."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll import runs, threads
from plimsoll.events import JsonLines, Listener
from plimsoll.terminal import echo, show_answer
from tools.errors import PlimsollError, UsageError

if TYPE_CHECKING:
    from agents.conversation import Conversation, Room
    from agents.journal import Journal
    from agents.models import Seat
    from agents.state import Settings
    from tools.market.snapshot import Source
    from tools.records import Asset

HELP = """Ask in your own words, then go on: less risk · and without Curve? · make it 4 pools · same for BTC ·
why not sUSDe? · what does each limit cost me? · what would change your mind? · what changed since Monday? ·
explain CVaR to me

/why       why this choice            /save DIR  keep the last answer
/threads   what is remembered         /quit      leave; the thread is kept"""


@dataclass(frozen=True)
class Options:
    """How a conversation is to be held."""

    source: str
    settings: Settings
    open_source: Callable[[], Source]
    open_seat: Callable[[Journal], Seat]
    output: str
    approve: bool
    memory: str | None
    allow_tracing: bool
    listen: Listener | None


def converse(name: str | None, options: Options) -> None:
    """Hold a conversation until its lines end; a line that cannot be carried out is said, and the next one read."""
    from agents.conversation import build_conversation, pending
    from agents.memory import memory

    thread = threads.check_name(name) if name else threads.new_name(dt.datetime.now(dt.UTC))
    with threads.held(thread) as folder, memory(threads.database(), options.memory) as opened:
        conversation = build_conversation(opened)
        room = _room(thread, folder, options)
        if sys.stdin.isatty():
            echo(f"Thread {thread}. /help says what can be asked.", error=True)
        left = pending(conversation, thread)
        if left is not None:
            echo(f"The last line was not answered: {left!r}. Going on with it.", error=True)
            _say(conversation, room, None, options)
        for line in _lines():
            if line in {"/quit", "/exit"}:
                break
            _carry_out(line, conversation, room, options, opened)


def _carry_out(line: str, conversation: Conversation, room: Room, options: Options, opened: Any) -> None:
    """Carry out one line: a command, or something to be answered."""
    command, _, rest = line.partition(" ")
    try:
        if command == "/save":
            echo(f"saved: {save_last(room, rest.strip())}", error=True)
        elif command == "/help":
            echo(HELP)
        elif command == "/threads":
            for thread in threads.listed(opened):
                echo(f"{thread.name}  {thread.turns} turns  {thread.last}  {thread.line}")
        elif command in {"/why", "/go"}:
            _say(conversation, room, None if command == "/go" else "why?", options)
        elif command.startswith("/"):
            raise UsageError(f"{command} is no command; /help lists them")
        else:
            _say(conversation, room, line, options)
    except PlimsollError as error:
        echo(f"plimsoll: {error}", error=True)
    except KeyboardInterrupt:
        echo("stopped; /go goes on with it", error=True)


def _say(conversation: Conversation, room: Room, line: str | None, options: Options) -> None:
    """Answer a line and print the answer."""
    from agents.conversation import answer
    from tools.dialogue.answer import Answer

    state: Mapping[str, Any] = answer(conversation, room, line, dt.datetime.now(dt.UTC))
    folder = room.turn_folder(len(state["said"]))
    told = Answer.model_validate_json((folder / "answer.json").read_bytes())
    if isinstance(options.listen, JsonLines):
        options.listen(
            {
                "event": "answer",
                "turn": told.turn,
                "kind": told.asked.kind,
                "folder": str(folder),
                "markdown": told.rationale.markdown,
            }
        )
    elif options.output == "json":
        echo(runs.as_json(told.model_dump(mode="json")).rstrip("\n"))
    elif options.output == "md":
        echo(told.rationale.markdown.rstrip("\n"))
    else:
        show_answer(told, folder)


def save_last(room: Room, where: str) -> Path:
    """Copy the last answer: a recommendation's run folder, or the answer with its runs.

    Raises UsageError when there is none, or the place is not free.
    """
    if not where:
        raise UsageError("/save needs the name of a folder")
    target = Path(where).expanduser()
    turns = sorted(path for path in room.folder.glob("turn-*") if (path / "answer.json").is_file())
    if not turns:
        raise UsageError("nothing was answered yet")
    if target.exists():
        raise UsageError(f"{target} exists already; name another folder")
    run = turns[-1] / "runs" / "choice"
    try:
        shutil.copytree(run if run.is_dir() else turns[-1], target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _room(thread: str, folder: Path, options: Options) -> Room:
    from agents.conversation import Room
    from agents.solving import Solver

    return Room(
        thread=thread,
        folder=folder,
        solver=Solver(_markets(folder, options), options.settings),
        open_seat=options.open_seat,
        save=runs.save,
        keep=threads.keep,
        approve=options.approve,
        allow_tracing=options.allow_tracing,
        listen=options.listen,
        ask=approve_on_terminal,
    )


def _markets(folder: Path, options: Options) -> Callable[[Asset | None, dt.date | None], Source]:
    """Return where markets come from: what an earlier turn of the thread read of the same day and asset, or the source.

    So a conversation is about one market, whatever the source says a minute later, until another day is asked for.
    """

    def source_for(asset: Asset | None, day: dt.date | None) -> Source:
        kept = _kept(folder, asset, day)
        return kept or options.open_source()

    return source_for


def _kept(folder: Path, asset: str | None, day: dt.date | None) -> Source | None:
    import json

    from tools.market.sources import SavedSource

    for record in sorted(folder.glob("turn-*/runs/*/recommendation.json"), reverse=True):
        found = json.loads(record.read_bytes())
        market = found["market"]
        same = market and found["mandate"]["asset"] == asset and not found["assumptions"]
        if same and (day is None or market["snapshot_date"] == day.isoformat()):
            source = SavedSource(record.parent)
            source.label = market["source"]
            return source
    return None


def approve_on_terminal(proposal: Mapping[str, Any]) -> str | None:
    """Ask the person to approve a choice: an empty answer takes what is proposed, a number another one, n declines."""
    shortlist = proposal["shortlist"]
    echo("The decision agent proposes:", error=True)
    for place, candidate in enumerate(shortlist, start=1):
        mark = "→" if candidate["id"] == proposal["proposed"] else " "
        figures = (
            f"expected to keep {candidate['net_apy']:.2%} a year, mean loss in bad years {candidate['cvar_95']:.1%}"
        )
        echo(f" {mark} {place}. {candidate['id']}: {figures}", error=True)
        pools = sorted(candidate["pools"].items(), key=lambda pool: (-pool[1], pool[0]))
        echo("      " + "; ".join(f"{name} {weight:.1%}" for name, weight in pools), error=True)
    echo(f"Doing nothing pays {proposal['risk_free']:.2%} a year.", error=True)
    for _ in range(3):
        echo("Enter takes the proposal, a number another one, n none of them.", error=True)
        answer = sys.stdin.readline()
        if not answer or answer.strip().lower() in {"n", "no"}:
            return None
        if not answer.strip() or answer.strip().lower() in {"y", "yes"}:
            return str(proposal["proposed"])
        if answer.strip().isdecimal() and 0 < int(answer) <= len(shortlist):
            return str(shortlist[int(answer) - 1]["id"])
    return None


def _lines() -> Iterator[str]:
    """Yield the lines of the standard input, prompted for on a terminal; empty ones are passed over."""
    while True:
        if sys.stdin.isatty():
            import readline  # noqa: F401 - editing and history at the prompt

            try:
                line = input("> ")
            except EOFError:
                return
            except KeyboardInterrupt:
                echo("", error=True)
                continue
        else:
            line = sys.stdin.readline()
            if not line:
                return
        if line.strip():
            yield line.strip()
