"""What every picture is made of: text that shows as it is and means nothing to a machine."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tools.flowchart import elements
from tools.verify.flowchart import ACTIVE_SVG

_ACTIVE = ACTIVE_SVG


@pytest.mark.parametrize(
    "name", ["x onload=alert(1)", "a HREF = b", "JavaScript:alert(1)", "onclick=onclick=x", "<script>"]
)
def test_a_name_that_looks_active_is_shown_and_is_not_active(name: str) -> None:
    assert _ACTIVE.search(f" {name}".encode())
    written = elements.clean(name)
    assert not _ACTIVE.search(f" {written}".encode())
    assert ElementTree.fromstring(f"<a>{written}</a>").text == name


def test_other_text_is_only_escaped() -> None:
    assert elements.clean("limit: 5 = 5 & 'x' < y") == "limit: 5 = 5 &amp; &#x27;x&#x27; &lt; y"


def test_what_the_face_lacks_is_replaced() -> None:
    assert elements.clean("\u65e5\x1b\u202e\x00 x") == "□□□□ x"
