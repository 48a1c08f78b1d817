"""The same arrays in another container are the same items: one fingerprint, the same draws, the same numbers bit by bit."""

import numpy as np
import pytest
from helpers import BY_NAME, fitted, scored
from metamorphic import worlds

from gapbench.bench.protocol import fit_and_test
from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import NotMeasurable
from gapbench.host.discovery import built_in
from gapbench.host.registry import Kind
from gapbench.model.study import Protocol
from gapbench.testing.checks import subject_of

METRICS = built_in().components(Kind.METRIC)


def arrays(world):
    if world == "pairs":  # one caption an image, row by row: what a folder of shards can hold
        split = worlds.captions()
        captioned, first = np.unique(split.captions.owner, return_index=True)
        n = len(captioned)
        return {"image": split.images[captioned], "text": split.captions.rows[first], "pair": np.arange(n)}
    split = worlds.WORLDS[world]()
    if world == "captions":
        return {"image": split.images, "text": split.captions.rows, "pair": split.captions.owner}
    order = np.argsort(split.prompts.owner, kind="stable")[::2]  # one prompt a class
    return {"image": split.images, "text": split.prompts.rows[order], "label": split.labels}


def compressed(path, found):
    np.savez_compressed(path / "e.npz", **found)
    return path / "e.npz"


def members_in_another_order(path, found):
    np.savez(path / "e.npz", **dict(reversed(found.items())))
    return path / "e.npz"


def other_bytes_in_memory(path, found):
    image, text, owner = found.values()
    kept = {"image": np.asfortranarray(image), "text": text.astype(">f4"), [*found][2]: owner.astype(np.int16)}
    np.savez(path / "e.npz", **kept)
    return path / "e.npz"


def folder_of_shards(path, found):
    for side, rows in (("img_emb", found["image"]), ("text_emb", found["text"])):
        (path / side).mkdir()
        for number, part in enumerate(np.array_split(rows, 3)):
            np.save(path / side / f"{side}_{number}.npy", part)
    return path


CONTAINERS = (compressed, members_in_another_order, other_bytes_in_memory, folder_of_shards)


def numbers(path):
    """All values of a held-out run of one seed, halves drawn as a run draws them."""
    whole = EmbeddingFile(path).embedded("test")
    cut = fit_and_test(Protocol(name="held-out"), 0, whole, None)
    data = scored(fitted("procrustes", cut.fit), BY_NAME["procrustes"], cut.test, captioned=whole.captions is not None)
    found = {"fingerprint": whole.fingerprint}
    for name, metric in METRICS.items():
        if worlds.can_measure(metric.spec, "captions" if data.captioned else "classes"):
            try:
                found[name] = subject_of(metric).build().measure(data).value
            except NotMeasurable as why:
                found[name] = str(why)
    return found


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container.__name__)
@pytest.mark.parametrize("world", ["captions", "classes", "pairs"])
def test_another_container_gives_the_same_numbers(tmp_path, world, container):
    if container is folder_of_shards and world != "pairs":
        pytest.skip("a folder of shards holds pairs row by row")
    np.savez(tmp_path / "plain.npz", **arrays(world))
    one = numbers(tmp_path / "plain.npz")
    (tmp_path / "other").mkdir()
    assert numbers(container(tmp_path / "other", arrays(world))) == one
    assert len(one) > 25
