from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.errors import UsageError
from tools.forecast.model_store import Manifest, code_sha256, load, save, series_sha256

MANIFEST = Manifest("lstm", "d" * 64, "c" * 64, {"hidden": 4, "rate": 0.5, "amounts": [1.0, 2.0]}, 3, "cpu", "2.13.0")
ARRAYS = {"weights/a": np.arange(6.0).reshape(2, 3), "count": np.array(7), "few": np.float32([1.5, -2.5])}
WANTED = {
    "kind": "lstm",
    "data_sha256": MANIFEST.data_sha256,
    "code_sha256": MANIFEST.code_sha256,
    "settings": MANIFEST.settings,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "model.npz"
    save(path, MANIFEST, ARRAYS)
    return path


def test_a_model_comes_back_as_it_was(model: Path) -> None:
    manifest, arrays = load(model, **WANTED)  # type: ignore[arg-type]
    assert manifest == MANIFEST
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert [path.name for path in model.parent.iterdir()] == ["model.npz"]


def test_the_same_model_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    save(tmp_path / "again.npz", MANIFEST, dict(reversed(ARRAYS.items())))
    assert (tmp_path / "again.npz").read_bytes() == model.read_bytes()
    with zipfile.ZipFile(model) as archive:
        assert {part.date_time[:3] for part in archive.infolist()} == {(1980, 1, 1)}  # and not the day of the training


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", "dqn", "of another kind"),
        ("data_sha256", "e" * 64, "other data"),
        ("code_sha256", "e" * 64, "another version of the code"),
        ("settings", {"hidden": 5}, "other settings"),
    ],
)
def test_a_model_of_anything_else_is_refused(model: Path, field: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(model, **(WANTED | {field: value}))


def test_a_damaged_file_is_refused_wherever_the_damage_is(model: Path) -> None:
    whole = model.read_bytes()
    with zipfile.ZipFile(model) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in parts:  # a tidy zip with one bit changed in one part: only the seal can tell
        body = bytearray(parts[name])
        body[-3 if name == "manifest.json" else -1] ^= 1
        with zipfile.ZipFile(model, "w") as archive:
            for other, content in parts.items():
                archive.writestr(other, bytes(body) if other == name else content)
        with pytest.raises(UsageError, match=r"damaged|other"):
            load(model, **WANTED)  # type: ignore[arg-type]
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        model.write_bytes(whole[:cut])
        with pytest.raises(UsageError, match="damaged"):
            load(model, **WANTED)  # type: ignore[arg-type]


def test_a_manifest_that_claims_other_data_breaks_the_seal(model: Path) -> None:
    with zipfile.ZipFile(model) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    outer = json.loads(parts["manifest.json"])
    outer["body"] = outer["body"].replace("d" * 64, "e" * 64)
    parts["manifest.json"] = json.dumps(outer).encode()
    with zipfile.ZipFile(model, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(UsageError, match="seal"):
        load(model, **(WANTED | {"data_sha256": "e" * 64}))  # type: ignore[arg-type]


def test_a_file_with_a_pickle_in_it_is_never_unpickled(model: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return pytest.fail, ("a model file was unpickled",)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("trap.npy", buffer.getvalue())
    with pytest.raises(UsageError, match="damaged"):
        load(model, **WANTED)  # type: ignore[arg-type]


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no model at .*none\.npz"):
        load(tmp_path / "none.npz", **WANTED)  # type: ignore[arg-type]


def test_objects_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        save(tmp_path / "m.npz", MANIFEST, {"a": np.array([object()])})
    assert not (tmp_path / "m.npz").exists()


def test_the_hash_of_the_data_knows_values_order_and_bounds() -> None:
    one, two = np.array([1.0, 2.0]), np.array([3.0])
    base = series_sha256([one, two])
    assert base == series_sha256([one.copy(), np.array([3.0, 9.0])[:1]])
    others = [[two, one], [np.array([1.0]), np.array([2.0, 3.0])], [one], [one, np.array([np.nextafter(3.0, 4.0)])]]
    assert len({base, *map(series_sha256, others)}) == 5


def test_the_hash_of_the_code_follows_the_source() -> None:
    store, training = "tools.forecast.model_store", "tools.errors"
    assert code_sha256([store, training]) == code_sha256([training, store])
    assert code_sha256([store]) != code_sha256([training])


def test_a_manifest_names_everything_that_made_the_model() -> None:
    assert {field.name for field in dataclasses.fields(Manifest)} == {
        "kind",
        "data_sha256",
        "code_sha256",
        "settings",
        "done",
        "device",
        "torch",
    }
