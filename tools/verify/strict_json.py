"""JSON as the checker reads it: one meaning per text, or none. And pointers into it (RFC 6901)."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

# A number longer than this, or beyond these powers of ten, is no figure of this domain but fills the memory.
PLAIN_LENGTH = 25
MAX_NUMBER_LENGTH = 300
MAX_EXPONENT = 300
SMALLEST_EXPONENT = 330  # the smallest float is 5e-324
MAX_CONTAINERS = 1_000_000  # an empty list takes 3 bytes of text and 20 times that in memory

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class NotStrictJsonError(ValueError):
    """The text is not JSON, or could be read in more than one way."""


class PointerError(LookupError):
    """A JSON Pointer that is none, or that leads nowhere."""


def parse(data: bytes, *, exact: bool = False) -> Any:
    """Read UTF-8 JSON; with ``exact``, numbers with a fraction or an exponent become ``Decimal`` as written.

    Raises ``NotStrictJsonError`` for duplicate keys, NaN and infinity, numbers out of all bounds, nesting too deep, too
    many parts, and anything that is no JSON.
    """
    if data.count(b"[") + data.count(b"{") > MAX_CONTAINERS:
        raise NotStrictJsonError("has too many parts")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_exact_number if exact else _number,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise NotStrictJsonError("is nested too deeply") from error
    except NotStrictJsonError:
        raise
    except ValueError as error:
        raise NotStrictJsonError(f"is not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotStrictJsonError(f"has the key {_repeated(pairs)!a} more than once in one object")
    return made


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return key[:40]


def _refuse_constant(name: str) -> Any:
    raise NotStrictJsonError(f"contains {name}, which is no JSON number")


def _exact_number(literal: str) -> Decimal:
    if len(literal) > MAX_NUMBER_LENGTH:
        raise NotStrictJsonError("contains a number that is too long")
    number = Decimal(literal)
    if not number.is_finite() or not -SMALLEST_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
        raise NotStrictJsonError(f"contains the number {literal[:40]}, which is out of all bounds")
    return number


def _number(literal: str) -> float:
    # Most numbers are plain and short, and within all bounds by that alone.
    if len(literal) <= PLAIN_LENGTH and "e" not in literal and "E" not in literal:
        return float(literal)
    return float(_exact_number(literal))


def _integer(literal: str) -> int:
    if len(literal) > MAX_NUMBER_LENGTH:
        raise NotStrictJsonError("contains a number that is too long")
    return int(literal)


def canonical_sha256(value: Any) -> str:
    """Return the SHA-256 (hex) of canonical JSON: sorted keys, no spaces, UTF-8.

    Raises ``NotStrictJsonError`` where there is none.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
    except (RecursionError, ValueError) as error:
        raise NotStrictJsonError(f"has no canonical form: {error}") from error


def escape(key: str) -> str:
    """Write a key as one step of a pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def resolve(document: Any, pointer: str) -> Any:
    """Return what a pointer leads to. Raises ``PointerError`` with the reason when it leads nowhere."""
    value = document
    for token in tokens(pointer):
        value = _step(value, token)
    return value


def value_at(document: Any, pointer: str) -> Any:
    """Resolve the pointer of a figure or an input, which never leads into the text itself."""
    if tokens(pointer)[:1] == ["rationale"]:
        raise PointerError("is in the text itself")
    return resolve(document, pointer)


def tokens(pointer: str) -> list[str]:
    """Return the unescaped steps of a pointer; raises ``PointerError`` when it is not one."""
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise PointerError("does not begin with /")
    if re.search(r"~(?![01])", pointer):
        raise PointerError("has a ~ that is neither ~0 nor ~1")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        if token in value:
            return value[token]
        raise PointerError(f"finds no {token[:40]!a}")
    if isinstance(value, list):
        if _INDEX.fullmatch(token) and int(token) < len(value):
            return value[int(token)]
        raise PointerError(f"finds no entry {token[:40]!a} in a list of {len(value)}")
    raise PointerError(f"goes on to {token[:40]!a} from a value that has no parts")
