"""Derived values: each formula is evaluated again, by an interpreter that knows arithmetic and nothing else."""

from __future__ import annotations

import ast
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tools.verify.report import Findings, close, printable
from tools.verify.strict_json import PointerError, escape, value_at

MAX_FORMULA = 300
MAX_ENTRIES = 200  # of ``derived``
MAX_LIST = 5_000  # values that one function looks at
RELATIVE = 1e-9
ABSOLUTE = 1e-12

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FormulaError(ValueError):
    """A formula that is none, or that its inputs do not fit."""


def check_derived(record: dict[str, Any], findings: Findings) -> None:
    """Recompute every entry of ``derived`` from its inputs."""
    derived = record.get("derived")
    if not isinstance(derived, dict):
        findings.at("/derived", "holds no derived values to check", "an object")
        return
    circular = _circular(derived)
    if len(derived) > MAX_ENTRIES:
        findings.at("/derived", f"holds more than {MAX_ENTRIES} values", MAX_ENTRIES, len(derived))
    for name in list(derived)[:MAX_ENTRIES]:
        pointer = f"/derived/{escape(name)}"
        entry = derived[name]
        if name in circular:
            findings.at(pointer, "is computed from itself", "other values")
        elif _is_entry(entry):
            findings.recomputed += 1
            _check_entry(entry, pointer, record, findings)


def _is_entry(entry: object) -> bool:
    """Return whether the entry can be computed; what is wrong with its shape is reported with the record's."""
    if not isinstance(entry, dict) or not isinstance(entry.get("formula"), str) or "value" not in entry:
        return False
    inputs = entry.get("inputs")
    return isinstance(inputs, list) and all(isinstance(pointer, str) for pointer in inputs)


def _circular(derived: Mapping[str, Any]) -> set[str]:
    """Return the names that lead back to themselves.

    What is left after taking away, again and again, what depends on nothing left.
    """
    needs = {name: _needs(entry, derived) for name, entry in derived.items()}
    users: dict[str, list[str]] = {name: [] for name in derived}
    for name, needed in needs.items():
        for other in needed:
            users[other].append(name)
    free = [name for name, needed in needs.items() if not needed]
    while free:
        name = free.pop()
        for user in users[name]:
            needs[user].discard(name)
            if not needs[user]:
                free.append(user)
    return {name for name, needed in needs.items() if needed}


def _needs(entry: object, derived: Mapping[str, Any]) -> set[str]:
    needed: set[str] = set()
    for pointer in entry["inputs"] if isinstance(entry, dict) and _is_entry(entry) else []:
        steps = pointer.split("/")
        if pointer == "" or steps[1:] == ["derived"]:
            return set(derived)
        if steps[1:2] == ["derived"]:
            needed |= {steps[2].replace("~1", "/").replace("~0", "~")} & set(derived)
    return needed


def _check_entry(entry: Mapping[str, Any], pointer: str, record: dict[str, Any], findings: Findings) -> None:
    try:
        expected = evaluate(entry["formula"], [value_at(record, source) for source in entry["inputs"]])
    except PointerError as error:
        findings.at(pointer, f"cannot be computed: an input {error}", "inputs that exist", printable(entry["inputs"]))
        return
    except FormulaError as error:
        formula = printable(entry["formula"])
        findings.at(pointer, f"cannot be computed from '{formula}': {printable(str(error))}", "a formula", formula)
        return
    if not _agree(entry["value"], expected):
        shown = printable(entry["formula"])
        findings.at(
            pointer, f"is {printable(entry['value'])}, but {shown} is {printable(expected)}", expected, entry["value"]
        )


def _agree(value: object, expected: object) -> bool:
    if isinstance(value, bool) or isinstance(expected, (str, list, dict)) or isinstance(value, str):
        return isinstance(value, str) and isinstance(expected, str) and value == expected
    if not isinstance(value, (int, float)) or not isinstance(expected, (int, float)):
        return False
    if isinstance(expected, int):
        return value == expected
    return close(float(value), expected, RELATIVE, ABSOLUTE)


def evaluate(formula: str, inputs: Sequence[Any]) -> Any:
    """Evaluate a formula over a, b, c … = the inputs.

    Raises ``FormulaError`` for everything but arithmetic and the functions below.
    """
    if len(formula) > MAX_FORMULA or len(inputs) > len(string.ascii_lowercase):
        raise FormulaError("is too long")
    names = dict(zip(string.ascii_lowercase, inputs, strict=False))
    try:
        value = _evaluate(ast.parse(formula.strip(), mode="eval").body, names)
    except FormulaError:
        raise
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise FormulaError(f"{type(error).__name__}: {error}") from error
    if isinstance(value, str):
        return value
    return _number(value)


def _evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=constant) if isinstance(constant, (bool, int, float, str)):
            return constant
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_evaluate(operand, names))
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            apply = _OPERATIONS[type(operation)]
            return _number(apply(_number(_evaluate(left, names)), _number(_evaluate(right, names))))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [_evaluate(argument, names) for argument in arguments])
    raise FormulaError(f"{ast.unparse(node)} is not arithmetic on its inputs")


def _number(value: object) -> int | float:
    """Accept a finite number within what a float holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise FormulaError(f"{printable(value, 40)} is no number")
    return value


def _power(base: float, exponent: float) -> float:
    """Raise to a power in floating point, where a tower of powers overflows instead of filling the memory."""
    return math.pow(float(base), float(exponent))


_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Pow: _power,
}


def _call(name: str, arguments: list[Any]) -> Any:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise FormulaError(f"{name} does not take {len(arguments)} arguments")
    return function(*arguments)


def _entries(value: object) -> list[Any]:
    if not isinstance(value, (list, dict)):
        raise FormulaError(f"{printable(value, 40)} is no list")
    if len(value) > MAX_LIST:
        raise FormulaError(f"{printable(value, 40)} is too long")
    return value if isinstance(value, list) else list(value.values())


def _sum(value: object) -> int | float:
    numbers = [_number(entry) for entry in _entries(value)]
    return sum(numbers) if all(isinstance(number, int) for number in numbers) else math.fsum(numbers)


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        numbers = [_number(entry) for entry in (_entries(arguments[0]) if len(arguments) == 1 else arguments)]
        if not numbers:
            raise FormulaError("nothing to choose from")
        return choose(numbers)

    return function


def _date(value: object) -> str:
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise FormulaError(f"{printable(value, 40)} is no moment")
    return value[:10]


def _pluck(value: object, key: object) -> list[Any]:
    entries = _entries(value)
    if not isinstance(key, str) or not all(isinstance(entry, dict) and key in entry for entry in entries):
        raise FormulaError(f"an entry has no {printable(key, 40)}")
    return [entry[key] for entry in entries]


def _unique(value: object) -> list[Any]:
    entries = _entries(value)
    if any(isinstance(entry, (list, dict)) for entry in entries):
        raise FormulaError("unique takes plain values")
    return list(dict.fromkeys(entries))


def _count(value: object, wanted: object) -> int:
    return sum(
        1 for entry in _entries(value) if entry == wanted and isinstance(entry, bool) == isinstance(wanted, bool)
    )


_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (lambda value: abs(_number(value)), 1, 1),
    "count": (_count, 2, 2),
    "date": (_date, 1, 1),
    "len": (lambda value: len(_entries(value)), 1, 1),
    "max": (_extreme(max), 1, len(string.ascii_lowercase)),
    "min": (_extreme(min), 1, len(string.ascii_lowercase)),
    "pluck": (_pluck, 2, 2),
    "sum": (_sum, 1, 1),
    "unique": (_unique, 1, 1),
}
