"""Where results go: never over files of somebody else, never outside of the folder that is named."""

import json

import numpy as np
import pytest


@pytest.fixture
def toy(tmp_path, gapbench):
    """Give a function that runs a small embedding file and returns what came of it."""
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(3, 8)).astype("f4")
    labels = np.arange(60) % 3
    np.savez(
        tmp_path / "t.npz", image=(texts[labels] + rng.normal(size=(60, 8))).astype("f4"), text=texts, label=labels
    )

    def run(*words, figures="--no-figures", code=0, **more):
        return gapbench("run", "-d", "embeddings:t.npz", "-a", "identity", "-a", "mean-center", "-m", "top1", "-m", "centroid-l2",
                        *([figures] if figures else []), *words, code=code, **more)  # fmt: skip

    return run


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["README.md", "table.csv", "page.html", "study.json", "notes.txt", "figures/mine.png"])
def test_a_folder_of_somebody_is_refused_before_work_and_stays_as_it_is(toy, tmp_path, name):
    (tmp_path / "o" / name).parent.mkdir(parents=True)
    (tmp_path / "o" / name).write_text("years of work")
    before = content(tmp_path / "o")
    done = toy("--out", "o", code=2)
    assert name in done.stderr
    assert content(tmp_path / "o") == before


def test_own_results_are_written_again_and_an_edited_page_stays(toy, tmp_path):
    toy("--out", "o")
    toy("--out", "o", "-a", "procrustes")
    page = tmp_path / "o" / "README.md"
    assert "procrustes" in page.read_text()
    page.write_text("my words")
    assert "README.md" in toy("--out", "o", code=2).stderr
    assert page.read_text() == "my words"
    page.rename(tmp_path / "mine.md")
    toy("--out", "o")
    assert "procrustes" in page.read_text()


@pytest.mark.parametrize("name", ["README.md", "table.csv", "study.json"])
def test_a_page_that_cannot_be_written_is_named_and_costs_no_record(toy, tmp_path, name):
    (tmp_path / "o" / name).mkdir(parents=True)
    done = toy("--out", "o", code=1)
    assert name in done.stderr
    assert "identity" in done.stdout
    assert len(list((tmp_path / "o" / "records").glob("*.jsonl"))) == 1
    (tmp_path / "o" / name).rmdir()
    toy("--out", "o")
    assert (tmp_path / "o" / name).is_file()


def test_a_figure_that_cannot_be_drawn_costs_a_line_and_neither_pages_nor_the_exit_code(toy, tmp_path):
    (tmp_path / "o" / "figures" / "gap-accuracy.png").mkdir(parents=True)
    done = toy("--out", "o", figures=None)
    assert "gap-accuracy" in done.stderr
    assert (tmp_path / "o" / "README.md").is_file()
    assert (tmp_path / "o" / "figures" / "gap-accuracy.svg").is_file()
    (tmp_path / "o" / "figures" / "gap-accuracy.png").rmdir()
    toy("--out", "o", figures=None)
    again = content(tmp_path / "o")["figures/gap-accuracy.png"]
    assert again.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/absolute/x", "", "-rf", "con", "a\\b", "a\nb", "x" * 300])
def test_a_study_whose_name_is_a_path_is_refused(gapbench, toy, tmp_path, name):
    (tmp_path / "leaderboards").mkdir()
    (tmp_path / "s.toml").write_text(
        f'name = {json.dumps(name)}\ndatasets = ["embeddings:t.npz"]\naligners = ["identity"]\nmetrics = ["top1"]\n'
    )
    before = content(tmp_path)
    done = gapbench("run", "--study", "s.toml", "--no-figures", code=2)
    assert "s.toml: name" in done.stderr
    assert "cannot be the name of a folder" in done.stderr
    assert content(tmp_path) == before


def test_a_study_that_is_another_but_for_its_case_is_refused(gapbench, toy, tmp_path):
    (tmp_path / "leaderboards" / "Mine").mkdir(parents=True)
    (tmp_path / "s.toml").write_text(
        'name = "mine"\ndatasets = ["embeddings:t.npz"]\naligners = ["identity"]\nmetrics = ["top1"]\n'
    )
    assert "one folder on some systems" in gapbench("run", "--study", "s.toml", code=2).stderr


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/b", "~", "$(x)"])
def test_records_and_options_that_name_a_path_as_study_write_nothing(gapbench, toy, tmp_path, name):
    toy("--out", "sent")
    (file,) = (tmp_path / "sent" / "records").glob("*.jsonl")
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "leaderboards").mkdir()
    (tmp_path / "leaderboards" / "README.md").write_text("mine")
    before = content(tmp_path)
    for words in (["add", file, "--to", name], ["build", name], ["verify", name]):
        assert "cannot be the name of a folder" in gapbench("leaderboard", *words, code=2).stderr, words
    assert content(tmp_path) == before
    file.write_text(file.read_text().replace('"study":"local"', f'"study":{json.dumps(name)}'))
    before = content(tmp_path)
    done = gapbench("leaderboard", "add", file, code=2)
    assert "--to STUDY" in done.stderr
    assert content(tmp_path) == before


def test_the_index_of_leaderboards_is_written_over_nobodys_page(gapbench, toy, tmp_path):
    toy("--out", "leaderboards/mine")
    (tmp_path / "leaderboards" / "README.md").write_text("mine")
    assert "README.md" in gapbench("leaderboard", "build", code=2).stderr
    assert (tmp_path / "leaderboards" / "README.md").read_text() == "mine"
    (tmp_path / "leaderboards" / "README.md").unlink()
    gapbench("leaderboard", "build")
    gapbench("leaderboard", "build")


def test_a_folder_of_results_stands_for_itself(gapbench, toy, tmp_path):
    toy("--out", "deep/results")
    gapbench("leaderboard", "build", "deep/results")
    gapbench("leaderboard", "verify", tmp_path / "deep" / "results")
    gapbench("leaderboard", "verify", ".", cwd=tmp_path / "deep" / "results")
