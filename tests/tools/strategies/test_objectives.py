"""What each level of risk asks of the weights: the file, who may ask for what, and that a wrong edit is named."""

from __future__ import annotations

from importlib import resources
from typing import get_args

import pytest

from tools.errors import UsageError
from tools.records import WeightMethod
from tools.strategies.objectives import CONFIDENCES, METHOD_WORDS, allowed_methods, load_objectives
from tools.strategies.profiles import RISK_ORDER

TEXT = resources.files("tools.strategies").joinpath("data", "objectives.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("risk", RISK_ORDER)
def test_a_level_plans_the_simple_rule_first_and_only_what_it_allows(risk):
    objective = load_objectives()[risk]
    assert objective.methods[0] == "equal"
    assert len(set(objective.methods)) == len(objective.methods)
    assert set(objective.methods) <= set(allowed_methods(risk))
    assert objective.confidence in CONFIDENCES
    assert objective.words.strip() == objective.words != ""


def test_a_bolder_level_allows_what_the_one_below_does():
    low, medium, high = (allowed_methods(risk) for risk in RISK_ORDER)
    assert set(low) < set(medium) < set(high)
    assert set(high) <= set(get_args(WeightMethod))
    assert all(len(set(methods)) == len(methods) for methods in (low, medium, high))
    assert not {"net_yield", "max_sharpe", "yield_less_loss"} & set(low)
    assert "net_yield" not in medium


def test_every_method_has_words():
    assert set(METHOD_WORDS) == set(get_args(WeightMethod))


def test_aversion_to_loss_never_grows_with_risk():
    aversions = [load_objectives()[risk].loss_aversion for risk in RISK_ORDER]
    assert aversions == sorted(aversions, reverse=True)


def test_the_file_that_comes_along_can_be_edited(tmp_path):
    path = tmp_path / "objectives.toml"
    path.write_text(TEXT, encoding="utf-8")
    assert load_objectives(path) == load_objectives()
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("confidence = 0.95", "confidence = 0.9", 1), encoding="utf-8")
    assert load_objectives(path)["low"].confidence == 0.9
    assert load_objectives(path)["medium"].confidence == 0.95


LOW_METHODS = next(line for line in TEXT.splitlines() if line.startswith("methods = "))
LOW_WORDS = next(line for line in TEXT.splitlines() if line.startswith("words = "))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (LOW_METHODS, "methods = []", ("[low]", "methods")),
        (LOW_METHODS, 'methods = ["equal", "moon"]', ("[low]", "methods.1")),
        (LOW_METHODS, 'methods = "equal"', ("[low]", "methods")),
        (LOW_METHODS, "", ("[low]", "methods")),
        ("confidence = 0.95", "confidence = 1.0", ("[low]", "confidence")),
        ("confidence = 0.95", "confidence = 0.5", ("[low]", "confidence")),
        ("confidence = 0.95", "confidence = nan", ("[low]", "confidence")),
        ("confidence = 0.95", 'confidence = "0.95"', ("[low]", "confidence")),
        ("loss_aversion = ", "loss_aversion = -", ("[low]", "loss_aversion")),
        (LOW_WORDS, LOW_WORDS + "\ngreed = 1.0", ("[low]", "greed")),
        (LOW_WORDS, "words = 7", ("[low]", "words")),
        ("[medium]", "[mediocre]", ("medium", "mediocre")),
    ],
)
def test_a_wrong_edit_is_named(old, new, named, tmp_path):
    assert old in TEXT
    path = tmp_path / "objectives.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        load_objectives(path)
    assert all(part in str(raised.value) for part in (str(path), *named))


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "objectives.toml"
    for text in ("", "= nonsense"):
        path.write_text(text, encoding="utf-8")
        load_objectives.cache_clear()
        with pytest.raises(UsageError, match="objectives"):
            load_objectives(path)
    with pytest.raises(UsageError, match="missing"):
        load_objectives(tmp_path / "missing.toml")
