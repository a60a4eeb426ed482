"""The run as a flowchart: one networkx graph, built from the record, and its writers (SVG, PNG, Mermaid, node-link)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.flowchart.graph import build_graph, node_link
from tools.flowchart.mermaid import to_mermaid
from tools.flowchart.png import to_png
from tools.flowchart.svg import to_svg

__all__ = ["RenderedFlowchart", "build_graph", "node_link", "render", "to_mermaid", "to_png", "to_svg"]


@dataclass(frozen=True)
class RenderedFlowchart:
    """One graph in every form: node-link data, Mermaid text, an SVG document and its PNG."""

    graph: dict[str, Any]
    mermaid: str
    svg: str
    png: bytes


def render(record: Mapping[str, Any]) -> RenderedFlowchart:
    """Build the graph of a recommendation (plain data) and write it in every form; files are the caller's."""
    graph = build_graph(record)
    svg = to_svg(graph)
    return RenderedFlowchart(node_link(graph), to_mermaid(graph), svg, to_png(svg))
