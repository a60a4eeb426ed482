"""What importing costs, and the rules of the house that a machine can check on the source."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("agents", "evals", "plimsoll", "prompts", "tools")
HEAVY = (
    "numpy", "pandas", "scipy", "networkx", "langgraph", "langchain_core", "langchain_openai", "openai", "pydantic",
    "httpx", "rich", "jinja2", "numba", "clarabel", "torch", "statsforecast", "joblib", "distributed",
)  # fmt: skip
BANNED_NAMES = {"utils", "helpers", "common", "misc"}
MAY_CATCH_EVERYTHING = {"agents/endpoint.py"}  # the boundary to other people's servers
# Programs that are run with -m and print a table, and the faces.
MAY_WRITE_TO_STDOUT = {
    "evals/__main__.py",
    "evals/forecasts.py",
    "evals/hazard_calibration.py",
    "evals/rebalancing.py",
    "evals/volatility.py",
    "plimsoll/market.py",
    "plimsoll/terminal.py",
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(statement):
    """The modules that are there after a statement in a fresh interpreter."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import plimsoll.cli", HEAVY),
        ("import tools.question", tuple(name for name in HEAVY if name != "pydantic")),
        ("import tools.market.names, tools.units, tools.errors", HEAVY),
        ("import tools.verify", (*HEAVY, "tools.records", "tools.units", "tools.errors")),
        ("import tools.market.sources, tools.market.load", ("pandas", "scipy", "networkx", "langgraph", "rich")),
        (
            "import tools.candidates, tools.scoring, tools.figures",
            ("pandas", "scipy", "networkx", "langgraph", "httpx"),
        ),
    ],
)
def test_heavy_libraries_are_imported_only_where_they_are_used(statement, absent):
    modules = imported(statement)
    assert not [name for name in absent if name in modules]


@pytest.mark.parametrize("package", [p for p in PACKAGES if p != "prompts"])
def test_only_agents_import_language_model_libraries(package):
    for path in (ROOT / package).rglob("*.py"):
        names = {name.partition(".")[0] for name in _imports(path)}
        if package != "agents":
            assert not names & {"langgraph", "langchain_core", "langchain_openai", "langchain", "openai"}, path


def _imports(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path):
    return path.relative_to(ROOT).as_posix()


def test_there_is_source_to_check():
    assert len(FILES) > 80


@pytest.mark.parametrize("path", FILES, ids=where)
def test_the_source_keeps_the_rules_of_the_house(path):
    tree = tree_of(path)
    assert not list(_prints(tree)), "results go through plimsoll/terminal.py"
    assert where(path) in MAY_CATCH_EVERYTHING or not list(_swallowed(tree)), "an except that catches everything"
    assert where(path) in MAY_WRITE_TO_STDOUT or not list(_written(tree)), (
        "these files alone write to the standard output"
    )
    assert path.stem not in BANNED_NAMES
    assert not {part.lower() for part in path.relative_to(ROOT).parts} & BANNED_NAMES
    assert not list(_star_imports(tree)), "a star import hides what a module uses"


def _prints(tree):
    """Yield calls of the built-in print (a console's own print is a method)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno


def _swallowed(tree):
    """Yield handlers of everything that do not end by raising: one that tidies up and raises again is fine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not isinstance(node.body[-1], ast.Raise):
            yield node.lineno


def _is_broad(kind):
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(k is None or (isinstance(k, ast.Name) and k.id in {"Exception", "BaseException"}) for k in kinds)


def _written(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"stdout", "__stdout__"}:
            yield node.lineno


def _star_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield node.module


BAD = {
    _prints: "print(1)",
    _swallowed: "try:\n    x()\nexcept Exception:\n    pass",
    _written: "import sys\nsys.stdout.write('x')",
    _star_imports: "from os import *",
}
GOOD = {
    _prints: "console.print(1)",
    _swallowed: "try:\n    x()\nexcept BaseException:\n    tidy()\n    raise",
    _written: "import sys\nsys.stderr.write('x')",
    _star_imports: "from os import path",
}


@pytest.mark.parametrize("rule", BAD, ids=lambda rule: rule.__name__)
def test_each_rule_sees_its_breach(rule):
    assert list(rule(ast.parse(BAD[rule])))
    assert not list(rule(ast.parse(GOOD[rule])))


@pytest.mark.parametrize("source", ["except:", "except (ValueError, Exception):", "except BaseException as error:"])
def test_every_way_to_catch_everything_is_seen(source):
    assert list(_swallowed(ast.parse(f"try:\n    x()\n{source}\n    pass")))


def test_the_command_line_starts_quickly():
    """Half a second would still be bearable on a busy machine; the heavy libraries together take several."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import plimsoll.cli"], cwd=ROOT, capture_output=True, text=True
    )
    cumulative = int(done.stderr.splitlines()[-1].split("|")[1])
    assert cumulative < 500_000, "microseconds"
