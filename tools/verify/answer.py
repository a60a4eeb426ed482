"""An answer of a conversation: its text over the runs beside it, each of which is checked like any other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.verify import folder as run_folder
from tools.verify.checker import verify
from tools.verify.formula import check_derived
from tools.verify.report import Findings, Report, printable
from tools.verify.shape import (
    CLAIM,
    FIGURE,
    MANDATE,
    MAX_CLAIMS,
    MOMENT,
    OPTIONAL,
    SCHEMA_VERSION,
    SHA256,
    Fields,
    Listed,
    Mapped,
    OneOf,
    Optional,
    anything,
    count,
    flag,
    number_or_text,
    plain_value,
    text,
)
from tools.verify.text import check_markdown

ANSWER, TEXT, RUNS = "answer.json", "answer.md", "runs"
MAX_RUNS = 40
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")

KINDS = (
    "recommend", "what_if", "why", "why_not", "explain", "changed", "prices", "flips", "mind", "compare",
    "out_of_scope", "unclear",
)  # fmt: skip
CHANGE = Fields({"field": text, "before": Optional(plain_value), "after": Optional(plain_value)})
ASKED = Fields(
    {
        "kind": OneOf(KINDS),
        "mandate": Optional(MANDATE),
        "changes": Listed(CHANGE, 100),
        "subject": Optional(Mapped(anything)),
        **dict.fromkeys(("concept", "since", "reason"), Optional(text)),
        **dict.fromkeys(("limits", "notes"), Listed(text, 100)),
        "forget": flag,
    }
)
SHAPE = Fields(
    {
        "schema_version": OneOf((SCHEMA_VERSION,)),
        "thread": text,
        "turn": count,
        "created_at": MOMENT,
        "question": text,
        "asked": ASKED,
        "reason": Optional(text),
        "runs": Mapped(Fields({"what": text, "run_id": text, "sha256": SHA256})),
        "subjects": Listed(
            Fields({"pool_id": text, "name": text, "apy": OPTIONAL, "tvl_usd": OPTIONAL}), 100
        ),
        "findings": Mapped(anything),
        "derived": Mapped(Fields({"value": number_or_text, "formula": text, "inputs": Listed(text, 100)})),
        "rationale": Fields(
            {
                "author": text,
                "refused": Optional(text),
                "markdown": text,
                "figures": Listed(FIGURE),
                "claims": Listed(CLAIM, MAX_CLAIMS),
            }
        ),
        "usage": anything,
    }
)  # fmt: skip


def is_answer(folder: Path) -> bool:
    """Tell whether a folder holds an answer rather than a run."""
    return (Path(folder) / ANSWER).is_file()


def verify_answer(folder: Path) -> Report:
    """Check a saved answer: every run beside it as ``verify`` does, then each figure of the text against them.

    Nothing is raised for bad content.
    """
    findings = Findings()
    files = run_folder.read_files(Path(folder), findings, (ANSWER, TEXT, run_folder.MANIFEST), RUNS)
    run_folder.check_manifest(files, findings)
    exact = run_folder.read_json(files, ANSWER, findings, exact=True)
    plain = run_folder.read_json(files, ANSWER, Findings())
    if exact is None or plain is None:
        return findings.report()
    if not SHAPE(plain, "", findings):
        findings.add(ANSWER, "has not the shape of an answer, so its runs were not checked")
        return findings.report()
    exact["runs"] = _runs(Path(folder), plain["runs"], findings, exact=True)
    check_markdown(exact, files.get(TEXT), findings)
    plain["runs"] = _runs(Path(folder), plain["runs"], Findings(), exact=False)
    check_derived(plain, findings)
    _check_flips(plain, findings)
    return findings.report()


def _runs(folder: Path, listed: Mapping[str, Any], findings: Findings, *, exact: bool) -> dict[str, Any]:
    """Return the records of the runs, each checked (once, with the exact numbers)."""
    records: dict[str, Any] = {}
    if len(listed) > MAX_RUNS:
        findings.at("/runs", f"holds more than {MAX_RUNS} runs", MAX_RUNS, len(listed))
    for name in list(listed)[:MAX_RUNS]:
        if not _NAME.fullmatch(name):
            findings.at("/runs", f"names a run {printable(name)}", "a plain name", name)
            continue
        place = folder / RUNS / name
        if exact:
            _check_run(place, name, listed[name]["sha256"], findings)
        files = run_folder.read_files(place, Findings())
        record = run_folder.read_json(files, run_folder.RECORD, Findings(), exact=exact)
        records[name] = record or {}
    return records


def _check_run(place: Path, name: str, sha256: str, findings: Findings) -> None:
    report = verify(place)
    for difference in report.differences:
        findings.add(f"{RUNS}/{name}/{difference.where}", difference.what, difference.expected, difference.found)
    findings.figures += report.figures
    findings.claims += report.claims
    findings.recomputed += report.recomputed
    try:
        found = hashlib.sha256((place / run_folder.RECORD).read_bytes()).hexdigest()
    except OSError:
        return  # its absence is reported already
    findings.same(f"/runs/{name}/sha256", sha256, found, "the SHA-256 of its record")


def _check_flips(answer: Mapping[str, Any], findings: Findings) -> None:
    """See that of each pair of runs of a flip point the one holds the pool and the other does not, at their rates."""
    flips = answer["findings"].get("flips")
    for place, flip in enumerate(flips if isinstance(flips, list) else []):
        sides = flip.get("runs") if isinstance(flip, dict) else None
        for side, name in sides.items() if isinstance(sides, dict) else ():
            record = answer["runs"].get(name)
            assumed = record.get("assumptions") if isinstance(record, dict) else None
            if not assumed:
                findings.at(f"/findings/flips/{place}", f"names no run for {printable(side)}", "a run", name)
                continue
            held = any(pool["pool_id"] == flip["pool_id"] for pool in (record["choice"] or {"pools": []})["pools"])
            findings.same(
                f"/findings/flips/{place}/runs/{side}", side == "kept", held, "whether the run holds the pool"
            )
            findings.number(f"/findings/flips/{place}/{side}_at", flip[f"{side}_at"], assumed[0]["apy"], "its rate")
