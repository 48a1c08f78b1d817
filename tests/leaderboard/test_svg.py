"""A drawing is nothing but a drawing, or it is named what else it is."""

from pathlib import Path

import pytest

from gapbench.figures.style import drawn, new_figure
from gapbench.verification.svg import active_parts

BOARDS = Path(__file__).parents[2] / "leaderboards"
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


HTML = "xmlns:h='http://www.w3.org/1999/xhtml'"
DOCTYPE = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"{}>'


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ("<SCRIPT/>", "<SCRIPT>"),
        ('<g onclick="alert(1)"/>', "the attribute onclick"),
        ('<g ONLOAD="alert(1)"/>', "the attribute ONLOAD"),
        ("<foreignObject/>", "<foreignObject>"),
        ("<animate/>", "<animate>"),
        ('<a href="https://example.org"/>', "<a>"),
        ('<image href="https://example.org/x.png"/>', "<image>"),
        ('<image href="data:image/png;base64,AAAA"/>', "<image>"),
        ('<use href="#x"/>', "the attribute href"),
        ('<use xlink:href="other.svg#x"/>', "in href"),
        ('<use xlink:href=" data:image/svg+xml;base64,AAAA#x"/>', "in href"),
        ('<use xlink:href="#x y"/>', "in href"),
        ('<path style="fill: url(https://example.org/x)"/>', "in style"),
        (r'<path style="fill:u\72l(http://example.org/x)"/>', "in style"),
        ('<path style="fill:u/**/rl(http://example.org/x)"/>', "in style"),
        ('<path style="fill:url (http://example.org/x)"/>', "in style"),
        ('<path style="fill:url(#a) url(//example.org)"/>', "in style"),
        ("<path style=\"fill: image-set('http://example.org/x')\"/>", "in style"),
        ("<path style=\"background: image-set('http://example.org/x')\"/>", "in style"),
        ('<path style="behavior: none"/>', "in style"),
        ('<g fill="url( &quot;//example.org&quot; )"/>', "the attribute fill"),
        ('<g clip-path="url(&quot;//example.org&quot;)"/>', "in clip-path"),
        ('<g clip-path="url(x.svg#a)"/>', "in clip-path"),
        ('<g transform="scale(2) calc(1)"/>', "in transform"),
        ("<style>@import 'x.css';</style>", "in <style>"),
        ('<style>@&#105;mport "http://example.org/x";</style>', "in <style>"),
        (r'<style>@\69mport "http://example.org/x";</style>', "in <style>"),
        ('<style>@im<![CDATA[port "http://example.org/x";]]></style>', "in <style>"),
        ("<style>*{fill: none} @im<!-- -->port 'x.css';</style>", "in <style>"),
        ("<style>*{fill: none} g {fill: none}</style>", "in <style>"),
        ("<style>*{fill: u<![CDATA[rl(//example.org)]]>}</style>", "in <style>"),
        ("<style>*{fill: none; src: none}</style>", "in <style>"),
        ('<set attributeName="href" to="javascript:alert(1)"/>', "<set>"),
        ('<g x="java&#10;script:alert(1)"/>', "the attribute x"),
        (f"<h:script {HTML}/>", "<script>"),
        (f'<h:meta {HTML} http-equiv="refresh" content="0; url=http://example.org"/>', "<meta>"),
        ('<meta xmlns="http://www.w3.org/1999/xhtml" http-equiv="refresh"/>', "<meta>"),
        ('<style xmlns="http://www.w3.org/1999/xhtml">*{fill: none}</style>', "<style>"),
        (f'<g {HTML} h:style="fill: none"/>', "the attribute style"),
        ("<metadata><link/></metadata>", "<link>"),
        ("<g>", "no readable SVG"),
    ],
)
def test_what_is_more_than_a_drawing_is_named(tmp_path, inside, words):
    path = tmp_path / "x.svg"
    path.write_text(f"{HEAD}{inside}</svg>")
    assert any(words in part for part in active_parts(path)), active_parts(path)


@pytest.mark.parametrize("root", ['<html xmlns="http://www.w3.org/1999/xhtml"/>', "<svg/>", '<svg xmlns="else"/>'])
def test_only_a_drawing_is_a_drawing(tmp_path, root):
    (tmp_path / "x.svg").write_text(root)
    assert active_parts(tmp_path / "x.svg")


def test_instructions_entities_and_other_encodings_are_named(tmp_path):
    path = tmp_path / "x.svg"
    path.write_text(f"{DOCTYPE.format('')}{HEAD}</svg>")
    assert active_parts(path) == []
    path.write_text(DOCTYPE.format(' [<!ATTLIST svg onload CDATA "1">]') + f"{HEAD}</svg>")
    assert active_parts(path) == ["another DOCTYPE", "the attribute onload"]
    path.write_text(f'<!DOCTYPE svg SYSTEM "http://example.org/x.dtd">{HEAD}</svg>')
    assert active_parts(path) == ["another DOCTYPE"]
    path.write_text(f'<?xml-stylesheet href="x.css"?><!DOCTYPE svg [<!ENTITY a "b">]>{HEAD}&a;</svg>')
    assert active_parts(path) == ["the instruction xml-stylesheet", "another DOCTYPE", "the entity a"]
    path.write_text(f'<?xml version="1.0" encoding="latin-1"?>{HEAD}</svg>')
    assert active_parts(path) == ["the encoding latin-1"]
    path.write_bytes(b"\xff\xfe\x00")
    assert "no readable SVG" in active_parts(path)[0]
    assert "no readable SVG" in active_parts(tmp_path / "nothing.svg")[0]


def test_what_matplotlib_draws_is_a_drawing(tmp_path):
    def draw():
        figure = new_figure(3, 3)
        axes = figure.subplots()
        axes.scatter([1, 2], [1, 2], label="https://example.org <script> @import url(//x) \\")
        axes.errorbar([1, 2], [1, 2], yerr=[1, 1], fmt="s--")
        axes.fill_between([1, 2], [0, 1], alpha=0.5)
        axes.annotate("--> ]]>", (1, 1), (2, 2), arrowprops={"arrowstyle": "->"})
        axes.legend()
        return figure

    for path in drawn(tmp_path / "x", "source", draw):
        if path.suffix == ".svg":
            assert active_parts(path) == []


@pytest.mark.parametrize("path", sorted(BOARDS.glob("*/figures/*.svg")), ids=lambda path: path.stem)
def test_the_committed_figures_are_drawings(path):
    assert active_parts(path) == []
