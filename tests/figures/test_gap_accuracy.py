"""Gap against accuracy: what the legend says of a point is true in every panel."""

import numpy as np
from matplotlib.colors import to_hex

from gapbench.figures import gap_accuracy
from gapbench.leaderboard.table import Row, Table, Value


def table(prompts, **aligners):
    rows = [
        Row(label=name, rank=place, values={"top1": number(top1), "centroid-l2": number(gap)})
        for place, (name, (top1, gap)) in enumerate(aligners.items(), 1)
    ]
    return Table(
        encoder="enc",
        dataset="data",
        prompts=prompts,
        protocol="held-out",
        fit_size=None,
        fit_split="train",
        n=100,
        n_texts=2,
        primary="top1",
        metrics=["top1", "centroid-l2"],
        rows=rows,
    )


def number(value):
    return Value(value=value, ci95=(value - 0.01, value + 0.01), delta=None, p_holm=None)


def drawn(monkeypatch, tmp_path, tables):
    """Give the legend's entries by name, and of each panel the points by gap."""
    kept = []
    monkeypatch.setattr(gap_accuracy, "drawn", lambda _path, _source, draw: kept.append(draw()) or [])
    gap_accuracy.draw_gap_accuracy(tables, {}, tmp_path / "figure")
    (figure,) = kept
    (legend,) = figure.legends
    entries = dict(zip((t.get_text() for t in legend.get_texts()), legend.legend_handles, strict=True))
    points = [[line for line in axes.lines if line.get_linestyle() == "None"] for axes in figure.axes]
    panels = [{float(point.get_xdata()[0]): point for point in found} for found in points]
    return entries, panels


def test_a_point_looks_as_its_legend_entry_in_every_panel(monkeypatch, tmp_path):
    tables = [
        table("one", zeta=(0.9, 0.1), beta=(0.8, 0.2), identity=(0.7, 0.3)),
        table("two", identity=(0.9, 0.3), zeta=(0.8, 0.1)),
    ]
    entries, panels = drawn(monkeypatch, tmp_path, tables)
    gaps = {0.1: "zeta", 0.2: "beta", 0.3: "identity"}
    assert [sorted(panel) for panel in panels] == [[0.1, 0.2, 0.3], [0.1, 0.3]]
    for panel in panels:
        for gap, point in panel.items():
            entry = entries[gaps[gap]]
            assert to_hex(point.get_color()) == to_hex(entry.get_color())
            assert point.get_marker() == entry.get_marker()


def test_thirty_aligners_each_look_different(monkeypatch, tmp_path):
    names = {f"aligner{i:02}": (0.9, 0.01 * i) for i in range(30)}
    entries, _ = drawn(monkeypatch, tmp_path, [table("one", **names)])
    del entries["beaten by none in both"]
    looks = {(to_hex(entry.get_color()), entry.get_marker()) for entry in entries.values()}
    assert len(looks) == len(names)


def test_the_dotted_line_joins_the_rows_that_none_beats_in_both(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(gap_accuracy, "drawn", lambda _path, _source, draw: kept.append(draw()) or [])
    shown = table("one", zeta=(0.9, 0.5), beta=(0.8, 0.2), identity=(0.7, 0.3), worst=(0.1, 0.6))
    gap_accuracy.draw_gap_accuracy([shown], {}, tmp_path / "figure")
    (dotted,) = (line for line in kept[0].axes[0].lines if line.get_linestyle() == ":")
    assert [tuple(point) for point in dotted.get_xydata().tolist()] == [(0.2, 80.0), (0.5, 90.0)]


def test_whiskers_span_the_intervals_in_the_colour_of_their_point(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(gap_accuracy, "drawn", lambda _path, _source, draw: kept.append(draw()) or [])
    gap_accuracy.draw_gap_accuracy([table("one", beta=(0.8, 0.2), identity=(0.7, 0.3))], {}, tmp_path / "figure")
    axes = kept[0].axes[0]
    across, along = axes.collections
    np.testing.assert_allclose(across.get_segments(), [[(0.19, 80), (0.21, 80)], [(0.29, 70), (0.31, 70)]])
    np.testing.assert_allclose(along.get_segments(), [[(0.2, 79), (0.2, 81)], [(0.3, 69), (0.3, 71)]])
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [to_hex(tone) for tone in across.get_colors()] == [to_hex(point.get_color()) for point in points]


def test_a_panel_without_a_point_is_drawn_empty(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(gap_accuracy, "drawn", lambda _path, _source, draw: kept.append(draw()) or [])
    bare = table("one", identity=(0.7, 0.3))
    del bare.rows[0].values["centroid-l2"]
    gap_accuracy.draw_gap_accuracy([bare], {}, tmp_path / "figure")
    assert not kept[0].axes[0].collections
