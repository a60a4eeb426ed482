"""Trained models on disk: the arrays, what they were trained on and with, and a seal over both.

A model is one zip file in numpy's ``npz`` format: its arrays, and ``manifest.json``. It is read with ``allow_pickle``
off, so that a file from elsewhere can hold numbers and nothing that runs; safetensors would do the same at the price of
one more dependency, and torch's own format is a pickle behind a filter. The dates inside the zip are fixed: the same
training writes the same bytes.

The manifest names the SHA-256 of the training data, the settings, and the SHA-256 of the code that trained it. A model
is used only where all three are what they were: anything else would be a forecast that nobody can make again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tools.errors import UsageError
from tools.market.store import write_atomically
from tools.units import FloatArray

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Kind = Literal["lstm", "lstm checkpoint", "dqn", "dqn checkpoint"]

_MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip file knows


@dataclass(frozen=True)
class Manifest:
    """What a model is: ``settings`` is flat JSON, ``done`` counts the finished rounds, ``device`` is where they ran."""

    kind: Kind
    data_sha256: str
    code_sha256: str
    settings: Mapping[str, Any]
    done: int
    device: str
    torch: str


def series_sha256(series: Sequence[FloatArray]) -> str:
    """Hash float arrays of any shape: their number, shapes and values, in the order given."""
    seal = hashlib.sha256(f"{len(series)}".encode())
    for one in series:
        seal.update(f"|{np.shape(one)}|".encode())
        seal.update(np.ascontiguousarray(one, dtype="<f8").tobytes())
    return seal.hexdigest()


def code_sha256(modules: Sequence[str]) -> str:
    """Hash the source of imported modules, whatever the line ends of the checkout."""
    seal = hashlib.sha256()
    for name in sorted(modules):
        source = sys.modules[name].__file__
        assert source is not None
        seal.update(f"|{name}|".encode())
        seal.update(Path(source).read_bytes().replace(b"\r\n", b"\n"))
    return seal.hexdigest()


def save(path: Path, manifest: Manifest, arrays: Arrays) -> None:
    """Write a model so that a reader sees the old file or the new one, never a part. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(dataclasses.asdict(manifest), sort_keys=True)
    content = {_MANIFEST: json.dumps({"seal": _seal(body, arrays), "body": body}).encode()}
    for name in sorted(arrays):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(arrays[name]), allow_pickle=False)
        content[f"{name}.npy"] = buffer.getvalue()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, part in content.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), part)
    write_atomically(path, packed.getvalue())


def load(
    path: Path, kind: Kind, data_sha256: str, code_sha256: str, settings: Mapping[str, Any]
) -> tuple[Manifest, dict[str, npt.NDArray[Any]]]:
    """Read a model that was trained on these data, by this code, with these settings.

    Raises UsageError, saying what differs, for any other model and for a file that is missing or damaged.
    """
    manifest, arrays = _read(path)
    wanted = {"kind": kind, "data_sha256": data_sha256, "code_sha256": code_sha256, "settings": dict(settings)}
    named = {
        "kind": "is of another kind",
        "data_sha256": "was trained on other data",
        "code_sha256": "was trained by another version of the code",
        "settings": "was trained with other settings",
    }
    for field, value in wanted.items():
        found = getattr(manifest, field)
        if found != value:
            raise UsageError(f"{path} {named[field]} ({_short(found)}, not {_short(value)}): train it again")
    return manifest, arrays


def read_manifest(path: Path) -> Manifest:
    """Return what a model is; raises UsageError for a file that is missing, damaged or none of Plimsoll's."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Manifest, dict[str, npt.NDArray[Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            outer = json.loads(archive.read(_MANIFEST))
            names = [name for name in archive.namelist() if name != _MANIFEST]
            arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in names}
        body = outer["body"]
        if outer["seal"] != _seal(body, arrays):
            raise ValueError("the seal does not fit the content")
        return Manifest(**json.loads(body)), arrays
    except FileNotFoundError as error:
        raise UsageError(f"there is no model at {path}") from error
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is damaged or no model of Plimsoll's ({error}): train it again") from error


def _array(body: bytes) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    return array


def _seal(body: str, arrays: Arrays) -> str:
    seal = hashlib.sha256(body.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        seal.update(f"|{name}|{array.dtype.str}|{np.shape(arrays[name])}|".encode())
        seal.update(array.tobytes())
    return seal.hexdigest()


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else json.dumps(value, sort_keys=True)
