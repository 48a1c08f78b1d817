"""Rows of other seeds than the table has are compared with nothing; in-sample nothing is noticed."""

import numpy as np

from gapbench.leaderboard.headline import headlines
from gapbench.leaderboard.table import Row, Table, Value


def run(gapbench, *words):
    return gapbench(
        "run",
        "-d",
        "embeddings:p.npz",
        "-m",
        "i2t-recall@1",
        "-m",
        "centroid-l2",
        "--no-figures",
        "--out",
        "out",
        *words,
    )


def pairs(tmp_path):
    rng = np.random.default_rng(0)
    core = rng.normal(size=(120, 8))
    images = (core + 0.4 * rng.normal(size=core.shape) + 0.6).astype("f4")
    texts = (core + 0.4 * rng.normal(size=core.shape) - 0.6).astype("f4")
    np.savez(tmp_path / "p.npz", image=images, text=texts, pair=np.arange(120))


def test_identity_of_one_seed_is_no_match_for_four(gapbench, tmp_path):
    pairs(tmp_path)
    run(gapbench, "-a", "identity", "-a", "mean-center", "--seeds", "0")
    run(gapbench, "-a", "ols", "--seeds", "0:4")
    page = (tmp_path / "out" / "README.md").read_text()
    assert "`identity` has 1 of the 4 seeds" in page.replace("identity has", "`identity` has")
    assert "better than" not in page.split("## ")[0]  # no headline
    table = (tmp_path / "out" / "table.csv").read_text().splitlines()
    names = table[0].split(",")
    for line in table[1:]:
        cells = dict(zip(names, line.split(","), strict=False))
        assert not cells.get("p_holm"), line
        assert not cells.get("delta"), line
    run(gapbench, "-a", "identity", "-a", "mean-center", "--seeds", "0:4")
    assert "has 1 of the 4 seeds" not in (tmp_path / "out" / "README.md").read_text()


def test_in_sample_says_nothing_of_what_controls_do(gapbench, tmp_path):
    pairs(tmp_path)
    done = run(gapbench, "-a", "identity", "-a", "shuffled-pairs", "-a", "random-rotation", "--protocol", "in-sample")
    assert "Do not notice" not in done.stdout
    done = run(gapbench, "-a", "identity", "-a", "shuffled-pairs", "-a", "random-rotation")
    assert "Do not notice" in done.stdout


def test_a_difference_beyond_the_scale_is_none(gapbench, tmp_path):
    from gapbench.leaderboard.notices import notices

    row = Row(label="identity", values={"top1": Value(value=0.5)}, rank=1)
    table = Table(
        encoder="e", dataset="d", prompts="p", protocol="held-out", fit_size=None, fit_split="train", n=10, n_texts=2,
        primary="top1", metrics=["top1"], rows=[row], detectable={"top1": 14.5},
    )  # fmt: skip
    said = " ".join(notices(table, {}))
    assert "No difference in top1 would be found" in said
    assert "1,45" not in said
    assert headlines([table], {}) == []
