"""The ledger of figures: what a text may say, where each figure comes from, and the text with its slots filled.

A template never holds a number. It calls the ledger with a JSON Pointer (RFC 6901) into the record; the ledger returns
a mark, and when the whole text stands, ``bind`` replaces each mark by the figure and notes its place. Figures that
follow from others are derived here, with their formula, so that a checker can compute them again. A comparison is
written only if it is true.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tools.figures.show import show
from tools.records import Claim, Derived, Figure, Unit

Operator = Literal["<", "<=", ">", ">=", "==", "!="]

_FIGURE, _OPEN, _CLOSE, _END = "\ue000", "\ue001", "\ue002", "\ue003"
_MARK = re.compile(f"{_FIGURE}(\\d+){_END}|{_OPEN}(\\d+){_END}|{_CLOSE}(\\d+){_END}")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class UntrueClaim(ValueError):
    """A text was about to compare two figures in a way that they do not bear out."""


class BoundText(NamedTuple):
    """A text with its figures and claims; offsets count code points."""

    markdown: str
    figures: list[Figure]
    claims: list[Claim]


class _Slot(NamedTuple):
    text: str
    pointer: str
    unit: Unit


class Ledger:
    """Figures of one record.

    Parameters
    ----------
    record
        The recommendation as plain data, without its rationale. Derived figures are added under ``derived``.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.derived: dict[str, Derived] = {}
        self._record = dict(record)
        self._slots: list[_Slot] = []
        self._claims: list[tuple[str, Operator, str]] = []

    def value(self, pointer: str) -> Any:
        """Return what a pointer points at; raise KeyError when nothing is there."""
        node: Any = self._record
        if pointer.startswith("/derived/"):
            node = {"derived": {name: entry.model_dump() for name, entry in self.derived.items()}}
        start, *tokens = pointer.split("/")
        if start:
            raise KeyError(f"{pointer!r} is no pointer: it does not begin with a slash")
        for token in tokens:
            key = token.replace("~1", "/").replace("~0", "~")
            try:
                node = node[_index(key)] if isinstance(node, list) else node[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise KeyError(f"the record has nothing at {pointer!r}") from None
        return node

    def derive(self, name: str, formula: str, *inputs: str) -> str:
        """Compute ``formula`` over a, b, c … = ``inputs`` in order and return the pointer to its value.

        It is stored under ``/derived/name``.
        Arithmetic and len, sum, min, max, abs, date, pluck, unique and count are known. The same name must always mean
        the same formula and inputs.
        """
        values = {chr(ord("a") + position): self.value(pointer) for position, pointer in enumerate(inputs)}
        entry = Derived(
            value=_evaluate(ast.parse(formula, mode="eval").body, values), formula=formula, inputs=list(inputs)
        )
        if self.derived.setdefault(name, entry) != entry:
            raise ValueError(f"derived figure {name!r} is already something else")
        return f"/derived/{name}/value"

    def figure(self, pointer: str, unit: Unit, digits: int = 0, *, short: bool = False) -> str:
        """Return the mark of a figure: the value at ``pointer`` in ``unit``."""
        value = self.value(pointer)
        if value is None:
            raise KeyError(f"{pointer!r} is null: a text must say why, not show it")
        self._slots.append(_Slot(show(value, unit, digits, short=short), pointer, unit))
        return f"{_FIGURE}{len(self._slots) - 1}{_END}"

    def claim(self, words: str, left: str, op: Operator, right: str) -> str:
        """Return ``words`` marked as the claim that left op right; raise UntrueClaim when it does not hold."""
        if not _COMPARE[op](self.value(left), self.value(right)):
            raise UntrueClaim(f"{words!r}: {left} {op} {right} does not hold")
        self._claims.append((left, op, right))
        number = len(self._claims) - 1
        return f"{_OPEN}{number}{_END}{words}{_CLOSE}{number}{_END}"

    def holds(self, left: str, op: Operator, right: str) -> bool:
        """Tell whether a comparison could be claimed."""
        return _COMPARE[op](self.value(left), self.value(right))

    def bind(self, marked: str) -> BoundText:
        """Replace every mark by its figure and note where figures and claims stand."""
        out: list[str] = []
        length = 0
        figures: list[Figure] = []
        opened: dict[int, int] = {}
        claims: list[Claim] = []
        position = 0
        for match in _MARK.finditer(marked):
            between = marked[position : match.start()]
            out.append(between)
            length += len(between)
            position = match.end()
            if match[1] is not None:
                slot = self._slots[int(match[1])]
                figures.append(
                    Figure(
                        text=slot.text, start=length, end=length + len(slot.text), pointer=slot.pointer, unit=slot.unit
                    )
                )
                out.append(slot.text)
                length += len(slot.text)
            elif match[2] is not None:
                opened[int(match[2])] = length
            else:
                left, op, right = self._claims[int(match[3])]
                claims.append(Claim(start=opened[int(match[3])], end=length, left=left, op=op, right=right))
        out.append(marked[position:])
        return BoundText("".join(out), figures, claims)


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def _index(token: str) -> int:
    """Read an index as RFC 6901 writes it: no sign, no leading zero, no other digits than 0 to 9."""
    if not re.fullmatch("0|[1-9][0-9]*", token):
        raise ValueError(token)
    return int(token)


def _sum(values: Sequence[float] | Mapping[str, float]) -> float:
    return sum(values.values() if isinstance(values, Mapping) else values)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "sum": _sum,
    "min": min,
    "max": max,
    "abs": abs,
    "date": lambda moment: moment[:10],
    "pluck": lambda entries, key: [entry[key] for entry in entries],
    "unique": lambda values: sorted(set(values)),
    "count": lambda values, wanted: sum(value == wanted for value in values),
}


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, values)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(argument, values) for argument in args))
    raise ValueError(f"a formula cannot hold {ast.dump(node)}")
