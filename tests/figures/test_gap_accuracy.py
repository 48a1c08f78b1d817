"""Gap against accuracy: what the legend says of a point is true in every panel."""

from matplotlib.colors import to_hex

from gapbench.figures import gap_accuracy
from gapbench.leaderboard.table import Row, Table, Value


def table(prompts, **aligners):
    rows = [
        Row(label=name, records=[], rank=place, values={"top1": number(top1), "centroid-l2": number(gap)})
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
    panels = [{float(bars.lines[0].get_xdata()[0]): bars.lines[0] for bars in axes.containers} for axes in figure.axes]
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
