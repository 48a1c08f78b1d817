"""A drawing is nothing but a drawing, or it is named what else it is."""

import pytest

from gapbench.figures.style import drawn, new_figure
from gapbench.leaderboard.svg import active_parts

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ("<SCRIPT/>", "<script>"),
        ('<g onclick="alert(1)"/>', "handler onclick"),
        ('<g ONLOAD="alert(1)"/>', "handler onload"),
        ("<foreignObject/>", "<foreignobject>"),
        ('<a href="https://example.org"/>', "<a>"),
        ('<image href="https://example.org/x.png"/>', "elsewhere in href"),
        ('<use xlink:href="other.svg#x"/>', "elsewhere in href"),
        ('<image href=" data:image/svg+xml;base64,AAAA"/>', "elsewhere in href"),
        ('<g style="fill: url(https://example.org/x)"/>', "elsewhere in style"),
        ('<g fill="url( &quot;//example.org&quot; )"/>', "elsewhere in fill"),
        ("<style>@import 'x.css';</style>", "style from elsewhere"),
        ('<set attributeName="href" to="javascript:alert(1)"/>', "<set>"),
        ('<g x="java&#10;script:alert(1)"/>', "elsewhere in x"),
        ("<h:script xmlns:h='http://www.w3.org/1999/xhtml'/>", "<script>"),
        ("<g>", "no readable SVG"),
    ],
)
def test_what_is_more_than_a_drawing_is_named(tmp_path, inside, words):
    path = tmp_path / "x.svg"
    path.write_text(f"{HEAD}{inside}</svg>")
    assert any(words in part for part in active_parts(path)), active_parts(path)


def test_instructions_and_entities_are_named(tmp_path):
    path = tmp_path / "x.svg"
    path.write_text(f'<?xml-stylesheet href="x.css"?><!DOCTYPE svg [<!ENTITY a "b">]>{HEAD}&a;</svg>')
    assert active_parts(path) == ["the instruction xml-stylesheet", "the entity a"]
    path.write_bytes(b"\xff\xfe\x00")
    assert "no readable SVG" in active_parts(path)[0]
    assert "no readable SVG" in active_parts(tmp_path / "nothing.svg")[0]


def test_what_matplotlib_draws_is_a_drawing(tmp_path):
    def draw():
        figure = new_figure(3, 3)
        axes = figure.subplots()
        axes.scatter([1, 2], [1, 2], label="https://example.org <script>")
        axes.imshow([[0, 1], [1, 0]])
        axes.legend()
        return figure

    for path in drawn(tmp_path / "x", "source", draw):
        if path.suffix == ".svg":
            assert active_parts(path) == []
