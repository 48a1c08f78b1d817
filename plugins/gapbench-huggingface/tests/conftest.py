"""One thread, as in a run, and no network: set before the libraries are imported."""

import os

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    """Keep what the libraries store out of the home folder."""
    import datasets

    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets")
    yield
    datasets.config.HF_DATASETS_CACHE = kept


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Make tiny models, each once."""
    from tiny_models import save

    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("models") / kind
            save(kind, made[kind])
        return made[kind]

    return make


@pytest.fixture(scope="session")
def sentence_folder(model_folder, tmp_path_factory):
    """Save the tiny CLIP as sentence-transformers saves it."""
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import CLIPModel

    folder = tmp_path_factory.mktemp("models") / "sentence"
    library.SentenceTransformer(modules=[CLIPModel(str(model_folder("clip")))], device="cpu").save(str(folder))
    return folder
