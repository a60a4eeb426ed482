"""The graph as Mermaid text, for pages and documents that draw it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.flowchart.graph import LANE_OF_KIND, LANES, id_number
from tools.flowchart.svg import LOOKS
from tools.flowchart.typeface import REPLACEMENT
from tools.flowchart.wording import MARKS

if TYPE_CHECKING:
    import networkx as nx

# Anything else becomes an entity: nothing in a label can end its quotes, open a tag, a directive, a link or an entity.
_PLAIN = frozenset(" .,+%()/→−–…“”·≥≤×□✓✗?★$-")
_ARROWS = {"flow": "-->", "chosen": "==>", "untested": "-.->", "back": "-.->"}


def to_mermaid(graph: nx.DiGraph[str]) -> str:
    """Write the graph as a Mermaid ``flowchart LR``, a subgraph per lane and a class per verdict.

    Labels are quoted, and every character that Mermaid or a browser could read as markup is a numeric entity.
    """
    nodes = sorted(graph.nodes, key=id_number)
    lines = ["flowchart LR"]
    for lane, name in enumerate(LANES):
        members = [node for node in nodes if LANE_OF_KIND[graph.nodes[node]["kind"]] == lane]
        if members:
            lines += [
                f'  subgraph lane{lane + 1}["{name}"]',
                "    direction TB",
                *(f"    {_node(graph, node)}" for node in members),
                "  end",
            ]
    for source, target in sorted(graph.edges, key=lambda edge: (id_number(edge[0]), id_number(edge[1]))):
        lines.append(f"  {_edge(graph, source, target)}")
    lines += [f"  classDef {verdict} {_look(verdict)}" for verdict in LOOKS]
    return "\n".join(lines) + "\n"


def _node(graph: nx.DiGraph[str], node: str) -> str:
    attributes = graph.nodes[node]
    first, *rest = attributes["label"]
    title = f"{MARKS[attributes['verdict']]} {first}".strip()
    return f'{node}["{"<br/>".join(_entities(line) for line in [title, *rest])}"]:::{attributes["verdict"]}'


def _edge(graph: nx.DiGraph[str], source: str, target: str) -> str:
    attributes = graph.edges[source, target]
    label = f'|"{_entities(attributes["label"])}"|' if attributes["label"] else ""
    return f"{source} {_ARROWS[attributes['style']]}{label} {target}"


def _entities(text: str) -> str:
    return "".join(_entity(c) for c in text)


def _entity(c: str) -> str:
    """Return a character as Mermaid may read it; what does not print (controls, bidi marks) is replaced."""
    if (c.isascii() and c.isalnum()) or c in _PLAIN:
        return c
    return f"#{ord(c)};" if c.isprintable() else REPLACEMENT


def _look(verdict: str) -> str:
    look = LOOKS[verdict]
    dashes = f",stroke-dasharray:{look.dashes}" if look.dashes else ""
    return f"fill:{look.fill},stroke:{look.border},color:{look.text},stroke-width:{look.line:g}px{dashes}"
