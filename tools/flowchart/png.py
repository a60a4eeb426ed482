"""The picture as PNG, by resvg with the shipped typeface alone: the same on every machine, also without fonts."""

from __future__ import annotations

from importlib import resources

SCALE = 0.85
_FACES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")


def to_png(svg: str, scale: float = SCALE) -> bytes:
    """Render an SVG of ``to_svg`` as PNG, ``scale`` px to the unit; raise ValueError when it is not an SVG."""
    import resvg_py

    folder = resources.files("tools.flowchart").joinpath("fonts")
    with resources.as_file(folder) as fonts:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg,
                zoom=scale,
                skip_system_fonts=True,
                font_files=[str(fonts / face) for face in _FACES],
                font_family="DejaVu Sans",
                sans_serif_family="DejaVu Sans",
            )
        )
