"""Run folders: everything about one recommendation, written whole or not at all, and run again from what was saved."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.models import RecordedSeat, Seat, policy_seat
from agents.state import Context, Settings
from agents.workflow import advise
from tools.errors import UsageError, VerificationError
from tools.flowchart import build_graph, to_png, to_svg
from tools.market.sources import SavedSource
from tools.pictures import draw
from tools.records import Mandate, Recommendation

RECORD, TEXT, INPUTS, REQUEST, MANIFEST = (
    "recommendation.json",
    "rationale.md",
    "inputs.json.gz",
    "request.json",
    "manifest.json",
)
FACTS = "facts.toml"  # the user's own, where there are any
PICTURE_SCALE = 1.0  # their text is smaller than the flowchart's
FIRST_EDITION = 1  # of the rules: that of the runs that do not say theirs
# What may differ between two runs on the same inputs.
VOLATILE = ("created_at", "run_id", "seconds", "source")


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay: what differs, by place."""

    differences: tuple[str, ...]


def save(folder: Path, recommendation: Recommendation, context: Context, *, pictures: bool = True) -> Path:
    """Write a run folder; ``folder`` must be new, empty, or hold an earlier run, which is replaced.

    Without ``pictures`` only the flowchart is drawn, not those of the choice's risk.

    All files are written beside it first and moved into place at once, so that nobody ever sees half a run.

    Raises
    ------
    UsageError
        When the folder holds something else, or cannot be written.
    """
    check_writable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error
    old = staging.with_name(f"{staging.name}-old")
    try:
        _write_files(staging, recommendation, context, pictures=pictures)
        staging.chmod(0o755)
        if folder.exists():
            folder.replace(old)
        staging.replace(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.replace(folder)
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return folder


def check_writable(folder: Path) -> None:
    """Raise UsageError unless ``folder`` can become a run folder; called before anything is computed."""
    if not folder.name:
        raise UsageError("--out needs the name of a folder")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} is not empty and is no earlier run; name another folder")
    parent = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"cannot write to {parent}")


def _write_files(folder: Path, recommendation: Recommendation, context: Context, *, pictures: bool = True) -> None:
    record = recommendation.model_dump(mode="json")
    svg = to_svg(build_graph(record))
    settings = context.settings
    request = {
        "question": recommendation.question,
        "as_of": settings.as_of.isoformat() if settings.as_of else None,
        "created_at": recommendation.created_at,
        "preset": settings.preset,
        "seed": settings.seed,
        "paths": settings.paths,
        "hazard": settings.hazard,
        "hazard_rates": dict(settings.hazard_rates),
        "off": list(settings.off),
        "assumed": dict(settings.assumed),
        "edition": settings.edition,
        "given": None if context.given is None else context.given.model_dump(mode="json"),
        "approved": None if recommendation.approval is None else recommendation.approval.chosen,
        "model": context.seat.name,
        "transcript": context.seat.transcript,
    }
    contents: dict[str, bytes] = {
        RECORD: as_json(record).encode(),
        TEXT: recommendation.rationale.markdown.encode(),
        REQUEST: as_json(request).encode(),
        "flowchart.svg": svg.encode(),
        "flowchart.png": to_png(svg),
        "flowchart.mmd": recommendation.flowchart.mermaid.encode(),
    }
    if settings.facts:
        contents[FACTS] = settings.facts.read_bytes()
    for stem, picture in (draw(record) if pictures else {}).items():
        contents |= {f"{stem}.svg": picture.encode(), f"{stem}.png": to_png(picture, PICTURE_SCALE)}
    for name, body in contents.items():
        (folder / name).write_bytes(body)
    context.source.save(folder / INPUTS)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_bytes(as_json({"files": hashes}).encode())


def as_json(value: Any) -> str:
    """Write a record for people and programs: indented, UTF-8, without NaN or infinity, with a newline at the end."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def replay(folder: Path) -> Replay:
    """Run a saved recommendation again from its own files and compare everything but times, ids and the source's name.

    Raises
    ------
    VerificationError
        When the folder lacks what a replay needs.
    """
    saved = _read_json(folder / RECORD)
    request = _read_json(folder / REQUEST)
    try:
        settings = Settings(
            as_of=dt.date.fromisoformat(request["as_of"]) if request["as_of"] else None,
            preset=request["preset"],
            seed=request["seed"],
            paths=request["paths"],
            hazard=request["hazard"],
            hazard_rates=request["hazard_rates"],
            facts=folder / FACTS if (folder / FACTS).is_file() else None,
            off=tuple(request["off"]),
            assumed=request["assumed"],
            approve=request["approved"] is not None,
            edition=request.get("edition", FIRST_EDITION),
        )
        given = None if request["given"] is None else Mandate.model_validate(request["given"])
        seat = _seat(request)
        now = dt.datetime.fromisoformat(request["created_at"])
        again, context = advise(
            request["question"],
            SavedSource(folder),
            given=given,
            seat=seat,
            settings=settings,
            ask=lambda _: request["approved"],
            now=now,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"{folder / REQUEST} does not hold what a replay needs: {error}") from error
    differences = list(_differences(saved, again.model_dump(mode="json"), ""))
    with tempfile.TemporaryDirectory(prefix="plimsoll-replay-") as scratch:
        _write_files(Path(scratch), again, context, pictures=(folder / "losses.svg").is_file())
        for path in sorted(Path(scratch).iterdir()):
            if path.name in (RECORD, REQUEST, MANIFEST):
                continue
            kept = folder / path.name
            if not kept.is_file() or kept.read_bytes() != path.read_bytes():
                differences.append(f"{path.name}: other bytes")
    return Replay(tuple(differences))


def replay_answer(folder: Path) -> Replay:
    """Run every run of a saved answer again, and write its text again from them.

    Raises
    ------
    VerificationError
        When the folder lacks what a replay needs.
    """
    from agents.answers import tell
    from agents.inquiry import Inquiry
    from tools.dialogue.answer import Answer

    try:
        answer = Answer.model_validate_json((folder / "answer.json").read_bytes())
        records = {
            name: Recommendation.model_validate_json((folder / "runs" / name / RECORD).read_bytes())
            for name in answer.runs
        }
    except (OSError, ValueError) as error:
        raise VerificationError(f"{folder} does not hold what a replay needs: {error}") from error
    differences = [f"{name}: {line}" for name in answer.runs for line in replay(folder / "runs" / name).differences]
    told = tell(answer.asked, Inquiry(answer.findings, answer.subjects, answer.reason), records)
    if told.text.markdown != answer.rationale.markdown:
        differences.append("answer.md: other bytes")
    return Replay(tuple(differences))


def _seat(request: dict[str, Any]) -> Seat:
    return policy_seat() if request["model"] == "policy" else RecordedSeat.of(request["model"], request["transcript"])


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerificationError(f"cannot read {path}: {error}") from error


def _differences(saved: Any, again: Any, pointer: str) -> Iterator[str]:
    """Yield where two JSON values differ, leaving out what may."""
    if isinstance(saved, dict) and isinstance(again, dict):
        for key in sorted(saved.keys() | again.keys()):
            if key == "seconds" or (key in VOLATILE and pointer in {"", "/market"}):
                continue
            if key not in saved or key not in again:
                yield f"{pointer}/{key}: only in the {'saved record' if key in saved else 'replay'}"
            else:
                yield from _differences(saved[key], again[key], f"{pointer}/{key}")
    elif isinstance(saved, list) and isinstance(again, list):
        if len(saved) != len(again):
            yield f"{pointer}: {len(saved)} entries saved, {len(again)} in the replay"
        for index, (left, right) in enumerate(zip(saved, again, strict=False)):
            yield from _differences(left, right, f"{pointer}/{index}")
    elif type(saved) is not type(again) or saved != again:
        yield f"{pointer}: saved {saved!r}, replayed {again!r}"[:300]
