"""open_clip models from every place that they can come from, without any network."""

import hashlib
import json
import pickle
import socket
import zipfile

import numpy as np
import pytest

from gapbench.builtin.encoders import open_clip_files
from gapbench.builtin.encoders import open_clip_registry as registry
from gapbench.builtin.encoders.mini_clip import HOME
from gapbench.builtin.encoders.open_clip import OpenClip
from gapbench.builtin.encoders.open_clip_source import TRANSFORM, parse
from gapbench.errors import DataError, GapbenchError, MissingAssetError, UsageError
from gapbench.specs import Context

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A package folder of open_clip with two more models: `tiny` and `tiny-quickgelu`."""
    own = tmp_path / "package"
    (own / "model_configs").mkdir(parents=True)
    (own / "bpe_simple_vocab_16e6.txt.gz").symlink_to(registry.package() / "bpe_simple_vocab_16e6.txt.gz")
    (own / "model_configs" / "tiny.json").write_text(json.dumps(TINY))
    (own / "model_configs" / "tiny-quickgelu.json").write_text(json.dumps({**TINY, "quick_gelu": True}))
    registry.pretrained_table()  # from the real folder
    for module in ("open_clip_registry", "open_clip"):
        monkeypatch.setattr(f"gapbench.builtin.encoders.{module}.package", lambda: own)
    return own


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache; gives a function that puts files of a repository there."""
    import huggingface_hub.file_download

    folder = tmp_path / "hub"
    wrapped = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *a: wrapped(*a, cache_dir=folder))

    def put(repository, **files):
        home = folder / f"models--{repository.replace('/', '--')}"
        (home / "refs").mkdir(parents=True, exist_ok=True)
        (home / "refs" / "main").write_text("0" * 40)
        snapshot = home / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (snapshot / name.replace("__", ".")).write_bytes(content)
        return snapshot

    return put


def context(tmp_path, **changes):
    return Context(data_root=tmp_path, device="cpu", **changes)


def state(*, quick_gelu=False, seed=0):
    import open_clip
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_clip.CLIP(**TINY, quick_gelu=quick_gelu).state_dict()


def safetensors_bytes():
    from safetensors.torch import save

    return save({name: value.contiguous() for name, value in state().items()})


def config_bytes(**preprocess):
    return json.dumps({"model_cfg": TINY, "preprocess_cfg": preprocess}).encode()


@pytest.fixture
def checkpoint(tmp_path):
    import torch

    path = tmp_path / "given" / "tiny.pt"
    path.parent.mkdir()
    torch.save(state(), path)
    return path


def texts_of(model):
    return model.encode_texts(["a photo of a seven"])


def by_hand(*, quick_gelu):
    """Embed the same string with open_clip alone."""
    import open_clip
    import torch

    model = open_clip.CLIP(**TINY, quick_gelu=quick_gelu).eval()
    model.load_state_dict(state())
    with torch.inference_mode():
        return model.encode_text(open_clip.SimpleTokenizer(context_length=12)(["a photo of a seven"])).numpy()


@pytest.mark.parametrize(("name", "quick"), [("tiny", False), ("tiny-quickgelu", True)])
def test_a_local_checkpoint_gives_open_clips_own_rows(tmp_path, models, checkpoint, name, quick):
    model = OpenClip(context(tmp_path), f"{name}/{checkpoint}")
    np.testing.assert_allclose(texts_of(model), by_hand(quick_gelu=quick), atol=1e-6)
    identity = model.identity()
    assert identity["architecture"]["quick_gelu"] is quick
    assert identity["weights"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert checkpoint in model.files()


def test_texts_that_are_cut_are_told_with_what_is_read_of_them(tmp_path, models, checkpoint):
    model = OpenClip(context(tmp_path), f"tiny/{checkpoint}")  # reads 12 tokens: start, ten words, end
    ten, eleven = " ".join("abcdefghij"), " ".join("abcdefghijk")
    read = model.cut_texts(["", "a cat", ten, eleven, f"{ten} z", f"z {ten}"])
    assert read[:3] == ["", "", ""]
    assert read[3] == read[4] != read[5] != ""
    rows = model.encode_texts([ten, eleven, f"{ten} z", f"z {ten}"])
    np.testing.assert_array_equal(rows[1], rows[2])
    assert not np.allclose(rows[1], rows[3])
    assert model.cut_texts([]) == []


def test_an_override_takes_effect_and_is_part_of_the_identity(tmp_path, models, checkpoint):
    plain, forced = (OpenClip(context(tmp_path), f"tiny/{checkpoint}", quick_gelu=quick) for quick in (None, True))
    assert forced.identity()["architecture"]["quick_gelu"]
    assert plain.identity() != forced.identity()
    np.testing.assert_allclose(texts_of(forced), by_hand(quick_gelu=True), atol=1e-6)


def test_rows_are_raw_float32_and_do_not_depend_on_the_batch(tmp_path, models, checkpoint):
    from PIL import Image

    model = OpenClip(context(tmp_path), f"tiny/{checkpoint}")
    rng = np.random.default_rng(0)
    ready = [model.prepare(Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))) for _ in range(5)]
    rows = model.encode_images(ready)
    assert rows.dtype == np.float32
    assert rows.shape == (5, 16)
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).min() > 0.01
    np.testing.assert_allclose(rows[3:4], model.encode_images(ready[3:4]), atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_pictures_are_close(tmp_path, models, checkpoint, dtype):
    from PIL import Image

    picture = Image.fromarray(np.full((32, 32, 3), 90, dtype=np.uint8))
    full, low = (OpenClip(context(tmp_path, dtype=kind), f"tiny/{checkpoint}") for kind in ("float32", dtype))
    a, b = (model.encode_images([model.prepare(picture)])[0] for model in (full, low))
    assert b.dtype == np.float32
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999


def test_a_repository_in_the_cache_needs_no_network(tmp_path, cache):
    files = {
        "open_clip_config__json": config_bytes(mean=[0.5] * 3),
        "open_clip_model__safetensors": safetensors_bytes(),
    }
    home = cache("some/repo", **files, model__safetensors=b"the image tower alone")
    model = OpenClip(context(tmp_path), "hf-hub:some/repo")
    assert model.missing() is None
    assert home / "open_clip_model.safetensors" in model.files()
    assert model.identity()["transform"]["mean"] == [0.5] * 3
    np.testing.assert_allclose(texts_of(model), by_hand(quick_gelu=False), atol=1e-6)


def test_weights_of_a_repository_can_be_named_for_a_model(tmp_path, models, cache):
    cache("some/repo", open_clip_model__safetensors=safetensors_bytes())
    model = OpenClip(context(tmp_path), "tiny/hf-hub:some/repo")
    np.testing.assert_allclose(texts_of(model), by_hand(quick_gelu=False), atol=1e-6)


def test_a_repository_without_its_configuration_is_not_complete(tmp_path, cache):
    cache("some/repo", open_clip_model__safetensors=safetensors_bytes())
    model = OpenClip(context(tmp_path), "hf-hub:some/repo")
    assert "open_clip_config.json" in model.missing().what
    assert model.files() == ()
    with pytest.raises(MissingAssetError, match=r"open_clip_config.json.*--download"):
        model.identity()


def test_the_image_tower_alone_is_not_taken_for_the_model(tmp_path, cache):
    cache("timm/vit_base_patch32_clip_224.openai", model__safetensors=b"")
    assert OpenClip(context(tmp_path), "ViT-B-32-quickgelu/openai").missing() is not None


def test_missing_weights_stop_encoding_with_size_and_remedy(tmp_path, cache):
    model = OpenClip(context(tmp_path), "ViT-B-32-quickgelu/openai")
    assert 550e6 < model.missing().size < 650e6
    with pytest.raises(MissingAssetError, match=r"--download.*open_clip:ViT-B-32-quickgelu/PATH"):
        texts_of(model)


@pytest.mark.parametrize("flags", [{}, {"offline": True}, {"offline": True, "download": True}])
def test_nothing_is_fetched_unless_it_was_allowed(tmp_path, cache, monkeypatch, flags):
    monkeypatch.setattr(open_clip_files, "fetch_first", lambda *a: pytest.fail("fetched"))
    with pytest.raises(MissingAssetError, match="--download"):
        OpenClip(context(tmp_path, **flags), "ViT-B-32-quickgelu/openai").download()


def test_every_tag_of_open_clip_is_accepted_or_has_a_counterpart_to_go_to():
    refused = []
    for model, tag in registry.pretrained_table().list_pretrained():
        try:
            source = parse(f"{model}/{tag}", {})
        except UsageError as error:
            better = str(error).rpartition("open_clip:")[2]
            assert better == f"{model}-quickgelu/{tag}"
            parse(better, {})
            refused.append(model)
        else:
            assert source.weights.url or source.weights.repository.count("/") == 1
    assert {"ViT-B-32", "ViT-L-14"} <= set(refused)


@pytest.fixture
def published(monkeypatch):
    """Make a file one that open_clip publishes, trained with QuickGELU."""

    def publish(path):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(registry, "_published", lambda: [(digest, {"quick_gelu": True, "mean": (0.1, 0.2, 0.3)})])

    return publish


def test_a_published_file_is_recognised_by_its_hash(tmp_path, models, checkpoint, published):
    published(checkpoint)
    with pytest.raises(UsageError, match=r"QuickGELU mismatch.*Use open_clip:tiny-quickgelu/"):
        OpenClip(context(tmp_path), f"tiny/{checkpoint}").identity()
    with pytest.raises(GapbenchError, match="QuickGELU mismatch"):
        texts_of(OpenClip(context(tmp_path), f"tiny/{checkpoint}"))
    assert OpenClip(context(tmp_path), f"tiny-quickgelu/{checkpoint}").identity()["transform"]["mean"] == [
        0.1,
        0.2,
        0.3,
    ]


def test_the_hashes_in_openais_addresses_are_known():
    digest = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"  # ViT-B-32.pt
    assert registry.recognise(digest)["quick_gelu"] is True
    assert registry.recognise("0" * 64) == {}


def test_the_configuration_beside_a_checkpoint_is_heeded(tmp_path, models, checkpoint):
    beside = {"model_cfg": {**TINY, "quick_gelu": True}, "preprocess_cfg": {"std": [0.2, 0.2, 0.2]}}
    (checkpoint.parent / "open_clip_config.json").write_text(json.dumps(beside))
    with pytest.raises(UsageError, match=r"QuickGELU mismatch.*tiny-quickgelu"):
        OpenClip(context(tmp_path), f"tiny/{checkpoint}")
    assert OpenClip(context(tmp_path), f"tiny-quickgelu/{checkpoint}").identity()["transform"]["std"] == [0.2, 0.2, 0.2]


def test_a_configuration_that_is_none_is_named(tmp_path):
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 3}}')
    with pytest.raises(DataError, match=r"open_clip_config.json is no configuration"):
        OpenClip(context(tmp_path), f"local-dir:{tmp_path}").missing()


def test_a_local_file_gets_the_transform_that_its_model_always_has(checkpoint):
    assert parse(f"ViT-B-16-SigLIP2/{checkpoint}", {}).transform["mean"] == (0.5, 0.5, 0.5)
    assert parse(f"ViT-L-14/{checkpoint}", {}).transform == TRANSFORM  # its tags differ: open_clip's default


def archive(path):
    """Save weights as OpenAI does: in a TorchScript program."""
    import warnings

    import torch

    class Holder(torch.nn.Module):
        pass

    holder = Holder()
    for name, value in state().items():
        part = holder
        *parents, leaf = name.split(".")
        for parent in parents:
            if not hasattr(part, parent):
                part.add_module(parent, Holder())
            part = getattr(part, parent)
        part.register_buffer(leaf, value)
    holder.register_buffer("input_resolution", torch.tensor(32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch deprecates what OpenAI used
        torch.jit.save(torch.jit.script(holder), path)


def test_openais_own_archive_is_read_only_if_its_hash_is_known(tmp_path, models, checkpoint, published):
    archive(checkpoint)
    assert any("/code/" in name for name in zipfile.ZipFile(checkpoint).namelist())
    with pytest.raises(DataError, match=r"TorchScript archive.*safetensors"):
        texts_of(OpenClip(context(tmp_path), f"tiny-quickgelu/{checkpoint}"))
    published(checkpoint)
    rows = texts_of(OpenClip(context(tmp_path), f"tiny-quickgelu/{checkpoint}"))
    np.testing.assert_allclose(rows, by_hand(quick_gelu=True), atol=1e-6)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path, models, checkpoint):
    sprung = tmp_path / "sprung"
    checkpoint.write_bytes(pickle.dumps({"state_dict": Trap(str(sprung))}))
    with pytest.raises(DataError, match=r"tiny\.pt cannot be loaded"):
        texts_of(OpenClip(context(tmp_path), f"tiny/{checkpoint}"))
    assert not sprung.exists()


def test_weights_of_another_model_are_refused(tmp_path, models):
    path = HOME / "open_clip_model.safetensors"
    with pytest.raises(DataError, match="cannot be loaded into tiny"):
        texts_of(OpenClip(context(tmp_path), f"tiny/{path}"))


def test_a_tokenizer_from_the_hub_is_found_in_the_cache_and_hashed(tmp_path, cache, checkpoint):
    name = f"ViT-B-16-SigLIP2/{checkpoint}"
    assert "timm/ViT-B-16-SigLIP2, tokenizer_config.json" in OpenClip(context(tmp_path), name).missing().what
    home = cache("timm/ViT-B-16-SigLIP2", tokenizer_config__json=b"{}", tokenizer__json=b"one")
    model = OpenClip(context(tmp_path), name)
    assert model.missing() is None
    tokenizer = model.identity()["tokenizer"]
    assert tokenizer["files"]["tokenizer.json"] == hashlib.sha256(b"one").hexdigest()
    (home / "tokenizer.json").write_bytes(b"two")
    assert OpenClip(context(tmp_path), name).identity()["tokenizer"] != tokenizer


@pytest.mark.parametrize("dtype", ["float64", "int8"])
def test_an_unknown_dtype_is_refused_at_once(tmp_path, dtype):
    with pytest.raises(UsageError, match="float32, bfloat16, float16"):
        OpenClip(context(tmp_path, dtype=dtype), "ViT-B-32-quickgelu/openai")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "QuickGELU mismatch.*Use open_clip:ViT-B-32/laion2b_s34b_b79k"),
        ("ViT-B-32-quickgelu/opnai", "Did you mean 'openai'"),
        ("ViT-B-32/nowhere/weights.pt", "no file 'nowhere/weights.pt'"),
        ("ViT-B-32/weights.safetensors", "no file 'weights.safetensors'"),
        ("local-dir:nowhere", "nowhere has no open_clip_config.json"),
        ("hf-hub:repo", "hf-hub:ORG/REPO"),
        ("/openai", "must name a model"),
    ],
)
def test_a_name_that_leads_nowhere_says_so(tmp_path, argument, message):
    with pytest.raises(UsageError, match=message):
        OpenClip(context(tmp_path), argument)


def test_texts_that_a_tokenizer_of_transformers_cuts_are_told(tmp_path):
    """A tokenizer of the kind that `open_clip` takes from a hub, made of ten words."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    from open_clip.tokenizer import HFTokenizer

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "very", "red", "square", "yellow", "cat"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = [("[CLS]", 1), ("[SEP]", 2)]
    made.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(tmp_path)

    class Encoder(OpenClip):
        def __init__(self):
            self.tokenizer = HFTokenizer(str(tmp_path), context_length=12)

        @property
        def _loaded(self):
            return None, None, self.tokenizer, None

    whole = ["", "red square", "very " * 9, "very " * 10, "very " * 8 + "red square"]
    longer = ["very " * 11, "very " * 9 + "red square", "very " * 9 + "red cat", "very " * 9 + "yellow cat"]
    read = Encoder().cut_texts([*whole, *longer])
    assert read[:5] == [""] * 5
    assert all(read[5:])
    assert read[6] == read[7] != read[8]
