"""Run folders and answers as the checker takes them, for the suites that ask it.

The faces write the same files with their pictures, safely beside what is there (``plimsoll.runs``); evaluations may not
import a face, and need neither.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.state import Context
from tools.dialogue.answer import Answer
from tools.flowchart import build_graph, to_png, to_svg
from tools.records import Recommendation

MANIFEST = "manifest.json"
THUMBNAIL = 0.1  # of the picture that a person is shown: nobody looks at this one


def write_run(folder: Path, recommendation: Recommendation, context: Context, *, pictures: bool = False) -> Path:
    """Write a run into a new folder and return it; the pictures of its risk are never drawn."""
    folder.mkdir(parents=True)
    record, settings = recommendation.model_dump(mode="json"), context.settings
    svg = to_svg(build_graph(record))
    request = {
        "question": recommendation.question,
        "created_at": recommendation.created_at,
        "model": context.seat.name,
        "preset": settings.preset,
        "seed": settings.seed,
        "hazard": settings.hazard,
        "hazard_rates": dict(settings.hazard_rates),
        "off": list(settings.off),
        "assumed": dict(settings.assumed),
    }
    (folder / "recommendation.json").write_text(_json(record), encoding="utf-8")
    (folder / "rationale.md").write_text(recommendation.rationale.markdown, encoding="utf-8")
    (folder / "request.json").write_text(_json(request), encoding="utf-8")
    (folder / "flowchart.svg").write_text(svg, encoding="utf-8")
    (folder / "flowchart.png").write_bytes(to_png(svg, THUMBNAIL))
    (folder / "flowchart.mmd").write_text(recommendation.flowchart.mermaid, encoding="utf-8")
    context.source.save(folder / "inputs.json.gz")
    write_manifest(folder)
    return folder


def write_answer(folder: Path, answer: Answer) -> None:
    """Write an answer beside its runs; what the turn's journal held has served."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "journal", ignore_errors=True)
    (folder / "answer.json").write_text(_json(answer.model_dump(mode="json")), encoding="utf-8")
    (folder / "answer.md").write_text(answer.rationale.markdown, encoding="utf-8")
    write_manifest(folder)


def write_manifest(folder: Path) -> None:
    """Hash the plain files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / MANIFEST).write_text(_json({"files": hashes}), encoding="utf-8")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
