"""The flowchart: its graph holds together, and the files beside the record are the ones it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tools.verify.folder import MERMAID
from tools.verify.report import Findings, printable
from tools.verify.strict_json import PointerError, resolve

# A picture needs no script, no event handler and no link.
ACTIVE_SVG = re.compile(rb"<script|<foreignObject|\son\w+\s*=|href\s*=|javascript:", re.IGNORECASE)
ACTIVE_MERMAID = re.compile(rb"^\s*(click|link|href)\b|javascript:", re.IGNORECASE | re.MULTILINE)


def check_flowchart(record: dict[str, Any], files: Mapping[str, bytes], findings: Findings) -> None:
    """Check the node-link graph, the Mermaid text against its file, and that every named file exists."""
    flowchart = record["flowchart"]
    _check_graph(flowchart["graph"], record, findings)
    if MERMAID in files:
        findings.recomputed += 1
        if files[MERMAID].decode("utf-8", errors="replace") != flowchart["mermaid"]:
            findings.add(MERMAID, "differs from /flowchart/mermaid")
    for name in sorted(files):
        active = ACTIVE_SVG if name.endswith(".svg") else ACTIVE_MERMAID if name == MERMAID else None
        if active and (found := active.search(files[name])):
            findings.add(name, f"holds something active: {printable(found.group().decode('utf-8', 'replace'))}")
    for name in flowchart["files"]:
        if name not in files:
            findings.at("/flowchart/files", f"names {printable(name)}, which is not in the folder", "a file", name)


def _check_graph(graph: dict[str, Any], record: dict[str, Any], findings: Findings) -> None:
    nodes, edges = graph.get("nodes"), graph.get("edges", graph.get("links"))
    if not isinstance(nodes, list) or not isinstance(edges, list):
        findings.at("/flowchart/graph", "is no node-link graph", "nodes and edges")
        return
    ids = [node.get("id") for node in nodes if isinstance(node, dict)]
    known = {str(name) for name in ids}
    if len(known) != len(nodes) or not all(isinstance(name, (str, int)) for name in ids):
        findings.at("/flowchart/graph/nodes", "do not each have an id of their own", "an id each")
    for place, node in enumerate(nodes):
        _check_pointers(node, place, record, findings)
    for place, edge in enumerate(edges):
        ends = [edge.get("source"), edge.get("target")] if isinstance(edge, dict) else [None]
        if not all(isinstance(end, (str, int)) and str(end) in known for end in ends):
            findings.at(
                f"/flowchart/graph/edges/{place}",
                "leads to or from a node that does not exist",
                "two nodes",
                printable(str(ends)[:80]),
            )


def _check_pointers(node: object, place: int, record: dict[str, Any], findings: Findings) -> None:
    """See that what a node says it was made of exists."""
    pointers = node.get("pointers", []) if isinstance(node, dict) else []
    for pointer in pointers if isinstance(pointers, list) else []:
        try:
            resolve(record, str(pointer))
        except PointerError as error:
            findings.at(f"/flowchart/graph/nodes/{place}", f"points to {printable(pointer)}, which {error}")
