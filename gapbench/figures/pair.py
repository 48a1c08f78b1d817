"""The seed study's picture: images and texts of one space, before and after alignment, on the same axes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from gapbench.embeddings.arrays import unit_rows
from gapbench.figures.style import color, columns, drawn, letters, marker, new_figure, source_of, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from gapbench.components import Float32, Float64, Int64


#: Up to so many classes are told apart; of more, so many of the largest.
MOST_CLASSES, LARGEST = 30, 10


@dataclass(frozen=True, kw_only=True)
class PairData:
    """What the picture shows: rows before and after alignment, and whose they are.

    ``owner`` is for each text its class, or its image where there are no classes; ``labels`` is the class of each image, or
    empty. ``scores`` says in words how well the task is done before and after, over the whole test split.
    """

    images_before: Float32
    texts_before: Float32
    images_after: Float32
    texts_after: Float32
    owner: Int64
    labels: Int64
    classes: Sequence[str]
    title: str
    after: str
    scores: tuple[str, str] = ("", "")

    @property
    def named(self) -> list[int]:
        """The classes that have a colour and a name: all, or of many the largest, in their order."""
        if len(self.classes) <= MOST_CLASSES:
            return list(range(len(self.classes)))
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return sorted(np.argsort(-counts, kind="stable")[:LARGEST].tolist())


def check_pair(data: PairData) -> None:
    """See to it that the data of a picture fits together.

    Raises
    ------
    ValueError
        It does not; says in what.
    """
    n, m = len(data.images_before), len(data.texts_before)
    sides = (("images", n, data.images_before, data.images_after), ("texts", m, data.texts_before, data.texts_after))
    for name, count, *pair in sides:
        for rows in pair:
            if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != count or not np.isfinite(rows).all():  # noqa: PLR2004
                raise ValueError(f"its {name} are {rows.dtype} of shape {rows.shape}, or not finite")
    if len({rows.shape[1] for _, _, *pair in sides for rows in pair}) > 1:
        raise ValueError("its rows have different numbers of dimensions")
    classes = len(data.classes)
    limits = (("owner", data.owner, m, classes or n), ("labels", data.labels, n if classes else 0, classes))
    for name, places, count, limit in limits:
        whole = places.dtype.kind in "iu" and places.shape == (count,)
        if not whole or ((places < 0) | (places >= limit)).any():
            raise ValueError(f"its {name} are not {count} whole numbers below {limit}")


def project(rows: Float32, method: str, seed: int = 0) -> Float64:
    """Give rows ``(N, d)`` a place in the plane ``(N, 2)``.

    ``umap``: McInnes et al. 2018, arXiv 1802.03426, cosine distance, one thread for the sake of the seed. ``pca``: the two
    directions of largest spread.
    """
    if method == "pca":
        centred = rows.astype(np.float64) - rows.mean(axis=0)
        left, spread, _ = np.linalg.svd(centred, full_matrices=False)
        places = left[:, :2] * spread[:2]
        return np.asarray(places * np.sign(places[np.abs(places).argmax(axis=0), [0, 1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap tells that a seed means one thread
        import umap

        neighbours = min(15, len(rows) - 1)
        layout = umap.UMAP(n_neighbors=neighbours, min_dist=0.1, metric="cosine", random_state=seed, n_jobs=1)
        return np.asarray(layout.fit_transform(rows), dtype=np.float64)


def draw_pair(data: PairData, path: Path, *, method: str) -> list[Path]:
    """Draw the two panels, before and after."""
    parts = [getattr(data, field.name) for field in fields(data)]
    source = source_of(method, version("umap-learn") if method == "umap" else "", *parts)
    return drawn(path, source, lambda: _figure(data, method))


def _figure(data: PairData, method: str) -> Figure:
    """Draw; the projection is made once, of all rows together, so that the axes are the same."""
    parts = [data.images_before, data.texts_before, data.images_after, data.texts_after]
    places = project(np.concatenate([unit_rows(part) for part in parts]), method)
    ends = np.cumsum([len(part) for part in parts])
    before_x, before_t, after_x, after_t = np.split(places, ends[:-1])
    figure = new_figure(11, 5)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = [
        words(f"{when}{', ' if score else ''}{score}")
        for when, score in zip(("before", f"after {data.after}"), data.scores, strict=True)
    ]
    _panel(axes[0], before_x, before_t, data, titles[0], data.images_before, data.texts_before)
    _panel(axes[1], after_x, after_t, data, titles[1], data.images_after, data.texts_after)
    if len(data.classes):
        for side, texts in zip(axes, (before_t, after_t), strict=True):  # now that all points are in, limits are final
            mine = np.flatnonzero(np.isin(data.owner, data.named))
            _annotate(side, texts[mine], [words(data.classes[owner]) for owner in data.owner[mine]])
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="outside lower center",
            ncols=columns(len(names), 11),
            frameon=False,
            fontsize=letters(9),
        )
    figure.suptitle(f"{words(data.title)} ({method.upper()} of {len(data.images_before)} images)")
    return figure


def _panel(
    axes: Any, images: Float64, texts: Float64, data: PairData, title: str, rows: Float32, text_rows: Float32
) -> None:
    if len(data.labels):
        if others := len(data.classes) - len(data.named):
            rest = ~np.isin(data.labels, data.named)
            axes.scatter(*images[rest].T, label=f"{others:,} other classes", color="0.75", s=10, linewidths=0)
        for number, label in enumerate(data.named):
            mine, name = data.labels == label, data.classes[label]
            style = {"color": color(number), "marker": marker(number), "s": 22, "alpha": 0.85, "linewidths": 0}
            axes.scatter(*images[mine].T, label=words(f"{name} (image)" if number == 0 else name), **style)
    else:
        for text, owner in zip(texts, data.owner, strict=True):
            axes.plot(*np.array([images[owner], text]).T, color="0.8", linewidth=0.6, zorder=0)
        axes.scatter(*images.T, color=color(0), s=18, label="image", linewidths=0)
    stars = {"marker": "*", "color": "black", "s": 130 if 0 < len(data.classes) <= MOST_CLASSES else 30, "zorder": 6}
    axes.scatter(*texts.T, label="text", edgecolors="white", linewidths=0.5, **stars)
    distance = float(np.linalg.norm(unit_rows(rows).mean(axis=0) - unit_rows(text_rows).mean(axis=0)))
    axes.set_title(f"{title}, centroid distance {distance:.2f}")
    axes.set_xticks([])
    axes.set_yticks([])


def _annotate(axes: Any, places: Float64, names: Sequence[str]) -> None:
    """Write each name beside its star; where it is crowded, names move up or down until they touch nothing."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    height, width, gap = (high - low) * 0.045, (right - left) * 0.1, (right - left) * 0.02
    written: list[tuple[float, float]] = []

    def free(x: float, level: float) -> bool:
        """Whether a name that begins right of x overlaps neither another name nor another star."""
        names_apart = all(abs(level - y) >= height or abs(x - other) >= width for other, y in written)
        stars = places[(np.abs(places[:, 1] - level) < height * 0.8) & (places[:, 0] > x) & (places[:, 0] < x + width)]
        return names_apart and not len(stars)

    for number in np.argsort(places[:, 1]):
        x, y = (float(place) for place in places[number])
        steps = [0.0, *(sign * step * height / 2 for step in range(1, 4 * len(names)) for sign in (1, -1))]
        level = next((y + step for step in steps if free(x, y + step)), y)
        written.append((x, level))
        axes.annotate(
            names[number],
            xy=(x, y),
            xytext=(x + gap, level),
            va="center",
            fontsize=letters(9),
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": "0.4", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
        )
