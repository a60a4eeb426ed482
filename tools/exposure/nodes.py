"""The ids of nodes, ``kind:name``, and how they are shown."""

from __future__ import annotations

from typing import TypeGuard, get_args

from tools.errors import UsageError
from tools.market.names import display_project, family_aliases
from tools.records import NodeKind

KINDS: frozenset[str] = frozenset(get_args(NodeKind))
POOL = "pool"
UNKNOWN_ORACLE = "unknown:oracle"
UNKNOWN_BRIDGE = "unknown:bridge"
UNKNOWN_ISSUER = "unknown:issuer"
UNKNOWN_CURATOR = "unknown:curator"
UNKNOWN_COLLATERAL = "unknown:collateral"


def split(node_id: str) -> tuple[NodeKind, str]:
    """Return kind and name of a node's id; raises ``UsageError`` for what is no ``kind:name``."""
    kind, colon, name = node_id.partition(":")
    if not _is_kind(kind) or not colon or not name.strip():
        raise UsageError(f"{node_id!r} is no node: kind:name with a kind among {', '.join(sorted(KINDS))}")
    return kind, name


def shown(node_id: str) -> str:
    """Return the name to show: ``protocol:rocket-pool`` → ``Rocket Pool``, ``unknown:oracle`` → ``unknown oracle``."""
    kind, name = split(node_id)
    if kind == "protocol":
        return display_project(name)
    return f"unknown {name}" if kind == "unknown" else name


def what_it_is(node_id: str) -> str:
    """Return the kind of thing that a node is; of an unknown one, the kind of thing that is not known."""
    kind, name = split(node_id)
    return name if kind == "unknown" else kind


def party(issuer: str, bridges: frozenset[str]) -> str:
    """Return the node of who answers for a token: a protocol family, a bridge, or an issuer that is neither."""
    family = family_aliases().get(issuer.lower())
    if family:
        return f"protocol:{family}"
    return f"bridge:{issuer}" if issuer in bridges else f"issuer:{issuer}"


def _is_kind(text: str) -> TypeGuard[NodeKind]:
    return text in KINDS
