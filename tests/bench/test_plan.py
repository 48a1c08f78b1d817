"""Plans: what is named how, and how many cells there may be."""

import numpy as np
import pytest

from gapbench.bench.materials import Materials
from gapbench.bench.plan import MOST_CELLS, make_plan
from gapbench.embeddings.store import Store
from gapbench.errors import UsageError
from gapbench.host.discovery import discover
from gapbench.model.request import Request
from gapbench.model.study import chosen_study
from gapbench.specs import Offer


def planned(tmp_path, **said):
    request = Request.from_python(said, "run()")
    return make_plan(chosen_study(request)[0], discover(), Materials(Store(tmp_path / "store"), request.context()))


def pairs(path, seed):
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    np.savez(
        path,
        image=rng.normal(size=(20, 4)).astype("f4"),
        text=rng.normal(size=(20, 4)).astype("f4"),
        pair=np.arange(20),
    )
    return f"embeddings:{path}"


def test_two_files_of_one_name_are_two_datasets_and_one_file_twice_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = pairs(tmp_path / "s1" / "e.npz", 1), pairs(tmp_path / "s2" / "e.npz", 2)
    plan = planned(tmp_path, datasets=[one, two, "embeddings:s1/e.npz"], aligners="identity", metrics="centroid-l2")
    assert [source.dataset_name for source in plan.sources] == ["embeddings:s1/e.npz", "embeddings:s2/e.npz"]
    assert len(plan.cells) == 2


def test_a_file_of_prompts_is_named_without_its_folder(tmp_path):
    (tmp_path / "mine.txt").write_text("a photo of {}\n")
    plan = planned(tmp_path, datasets="digits", prompts=f"file:{tmp_path / 'mine.txt'}", aligners="identity")
    assert [cell.prompts_name for cell in plan.cells] == ["file:mine.txt"]


def test_more_cells_than_can_be_run_are_refused(tmp_path):
    said = {"datasets": "digits", "prompts": "photo", "fit_size": range(1, 101), "seeds": range(10_000)}
    with pytest.raises(UsageError, match=f"more than {MOST_CELLS:,} cells"):
        planned(tmp_path, **said)


def test_a_dataset_may_say_which_of_its_offers_there_are(tmp_path, monkeypatch):
    said = {"datasets": "color-digits", "aligners": "identity", "metrics": "centroid-l2"}
    assert {"photo", "captions"} <= {cell.prompts_name for cell in planned(tmp_path, **said).cells}
    data = "gapbench.builtin.datasets.digits.ColorDigits.offers"
    monkeypatch.setattr(data, lambda self: frozenset({Offer.CAPTIONS}), raising=False)
    assert {cell.prompts_name for cell in planned(tmp_path, **said).cells} == {"captions"}
    monkeypatch.setattr(data, lambda self: frozenset({Offer.LABELS}), raising=False)
    assert "captions" not in {cell.prompts_name for cell in planned(tmp_path, **said).cells}
