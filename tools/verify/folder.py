"""The files of a run: read within bounds, compared with the manifest."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.verify import strict_json
from tools.verify.report import Findings, printable

MANIFEST = "manifest.json"
RECORD = "recommendation.json"
RATIONALE = "rationale.md"
INPUTS = "inputs.json.gz"
REQUEST = "request.json"
MERMAID = "flowchart.mmd"
REQUIRED = (RECORD, RATIONALE, "flowchart.svg", "flowchart.png", MERMAID, INPUTS, REQUEST, MANIFEST)

MAX_FILES = 32
MAX_FILE_BYTES = 16 * 2**20
MAX_UNPACKED_BYTES = 48 * 2**20

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_files(
    folder: Path, findings: Findings, required: Sequence[str] = REQUIRED, beside: str | None = None
) -> dict[str, bytes]:
    """Read every plain file of a folder, and leave a folder called ``beside`` in it alone.

    What cannot be read, is no plain file, is too large or is missing becomes a difference.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(
                (entry for _, entry in zip(range(MAX_FILES + 1), listing, strict=False)), key=lambda e: e.name
            )
    except (OSError, ValueError) as error:
        findings.add(printable(str(folder)), f"cannot be read as a folder ({type(error).__name__})", "a folder")
        return {}
    if len(entries) > MAX_FILES:
        findings.add(printable(str(folder)), f"holds more than {MAX_FILES} files", MAX_FILES)
    files: dict[str, bytes] = {}
    for entry in entries[:MAX_FILES]:
        if entry.name == beside and entry.is_dir(follow_symlinks=False):
            continue
        content = _read(entry, findings)
        if content is not None:
            files[entry.name] = content
    present = {entry.name for entry in entries}
    for name in required:
        if name not in present:
            findings.add(name, "is missing", "the file", "nothing")
    return files


def _read(entry: os.DirEntry[str], findings: Findings) -> bytes | None:
    name = printable(entry.name)
    try:
        if not entry.is_file(follow_symlinks=False):
            findings.add(name, "is not a plain file", "a plain file")
            return None
        with Path(entry.path).open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        findings.add(name, f"cannot be read ({type(error).__name__})", "a readable file")
        return None
    if len(content) > MAX_FILE_BYTES:
        findings.add(name, f"is larger than {MAX_FILE_BYTES} bytes", MAX_FILE_BYTES)
        return None
    return content


def check_manifest(files: Mapping[str, bytes], findings: Findings) -> None:
    """Compare every file with its SHA-256 in the manifest, both ways."""
    manifest = read_json(files, MANIFEST, findings)
    if manifest is None:
        return
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(manifest) != {"files"}:
        findings.add(MANIFEST, 'is not of the form {"files": {name: sha256}}')
        return
    for name in sorted(set(listed) | set(files) - {MANIFEST}):
        _check_listed(name, listed.get(name), files.get(name), findings)


def _check_listed(name: str, expected: object, content: bytes | None, findings: Findings) -> None:
    if expected is None:
        findings.add(printable(name), "is in the folder, but not in the manifest", "no such file", "a file")
    elif not isinstance(expected, str) or not _SHA256.fullmatch(expected):
        findings.add(MANIFEST, f"gives no SHA-256 for {printable(name)}", "64 hexadecimal digits", expected)
    elif content is None:
        findings.add(printable(name), "is in the manifest, but cannot be read from the folder", expected, "nothing")
    else:
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            findings.add(
                printable(name), f"was changed: its SHA-256 is {found}, the manifest says {expected}", expected, found
            )


def read_json(
    files: Mapping[str, bytes], name: str, findings: Findings, *, exact: bool = False
) -> dict[str, Any] | None:
    """Read a file that holds one JSON object.

    None, and a difference, when it does not (a missing file is reported elsewhere).
    """
    if name not in files:
        return None
    return _parse_object(files[name], name, findings, exact=exact)


def read_packed_json(files: Mapping[str, bytes], name: str, findings: Findings) -> dict[str, Any] | None:
    """Read a gzip file that holds one JSON object, within bounds; None and a difference when it is not one."""
    if name not in files:
        return None
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(files[name], MAX_UNPACKED_BYTES + 1)
    except zlib.error as error:
        findings.add(name, f"is not a gzip file ({error})")
        return None
    if len(content) > MAX_UNPACKED_BYTES:
        findings.add(name, f"unpacks to more than {MAX_UNPACKED_BYTES} bytes", MAX_UNPACKED_BYTES)
        return None
    if not unpacker.eof or unpacker.unused_data:
        findings.add(name, "is cut off, or has something after its end")
        return None
    return _parse_object(content, name, findings)


def _parse_object(content: bytes, name: str, findings: Findings, *, exact: bool = False) -> dict[str, Any] | None:
    try:
        value = strict_json.parse(content, exact=exact)
    except strict_json.NotStrictJsonError as error:
        findings.add(name, printable(str(error), 200), "strict JSON")
        return None
    if not isinstance(value, dict):
        findings.add(name, "does not hold a JSON object", "an object", value)
        return None
    return value
