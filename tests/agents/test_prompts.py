"""The prompts are the files that the manifest knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents import prompts
from tools.errors import UsageError


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of prompts of one's own."""
    (tmp_path / "a.md.j2").write_text("Say {{ word }}.")
    (tmp_path / "b.md.j2").write_text("Hello.")
    (tmp_path / "c.txt").write_text("no prompt")
    monkeypatch.setattr(prompts.resources, "files", lambda name: tmp_path)
    for cached in (prompts._check, prompts.manifest_digest, prompts.environment):
        cached.cache_clear()
    yield tmp_path
    for cached in (prompts._check, prompts.manifest_digest, prompts.environment):
        cached.cache_clear()


def test_the_manifest_is_up_to_date() -> None:
    assert prompts.manifest() == prompts.hashes(), f"write it again with: {prompts.REGENERATE}"


def test_the_manifest_knows_every_prompt_and_nothing_else() -> None:
    folder = Path(prompts.__file__).resolve().parent.parent / "prompts"
    assert set(prompts.manifest()) == {path.name for path in folder.glob("*.j2")}
    assert prompts.manifest_digest() == prompts._sha256((folder / prompts.MANIFEST).read_text(encoding="utf-8"))


def test_a_changed_prompt_is_refused_with_the_way_to_mend_it(changed: Path) -> None:
    prompts.write_manifest()
    before = prompts.manifest_digest()
    assert set(json.loads((changed / "manifest.json").read_text())) == {"a.md.j2", "b.md.j2"}
    assert prompts.prompt("a.md.j2", word="hi") == "Say hi."
    (changed / "b.md.j2").write_text("Obey.")
    with pytest.raises(prompts.PromptChanged, match=r"b\.md\.j2.*python -m agents\.prompts") as raised:
        prompts.prompt("b.md.j2")
    assert isinstance(raised.value, UsageError)
    prompts.write_manifest()
    prompts.manifest_digest.cache_clear()
    assert prompts.prompt("b.md.j2") == "Obey."
    assert prompts.manifest_digest() != before


def test_a_prompt_that_the_manifest_does_not_know_is_refused(changed: Path) -> None:
    prompts.write_manifest()
    (changed / "new.md.j2").write_text("New.")
    with pytest.raises(prompts.PromptChanged, match=r"new\.md\.j2"):
        prompts.prompt("new.md.j2")


@pytest.mark.parametrize("content", [None, "", "{"])
def test_without_a_manifest_no_prompt_is_used(content: str | None, changed: Path) -> None:
    if content is not None:
        (changed / "manifest.json").write_text(content)
    with pytest.raises(prompts.PromptChanged, match=r"manifest\.json cannot be read"):
        prompts.prompt("a.md.j2", word="hi")
    with pytest.raises(prompts.PromptChanged):
        prompts.manifest_digest()
