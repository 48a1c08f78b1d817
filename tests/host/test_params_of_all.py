"""Parameters of metrics, encoders, datasets and prompt strategies, modalities, and the primary metric of a study."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

import gapbench
from gapbench.bench.materials import prompt_set
from gapbench.builtin import published
from gapbench.errors import DataError, UsageError
from gapbench.host.discovery import built_in, discover
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.leaderboard.terminal import print_table
from gapbench.specs import base_name
from gapbench.testing import ToyDataset, ToyEncoder

REGISTRY = built_in()


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """Keep embeddings of these toys away from those of other tests."""
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "cache"))


class Colours(ToyDataset):
    def __init__(self, context, *, first="train"):
        self.sizes = {"train": 24, "test": 16} if first == "train" else {"train": 16, "test": 24}


class Encoder(ToyEncoder):
    def __init__(self, context, *, gap=1.0):
        super().__init__(context, gap)


class Prompts:
    """Writes the name of the dataset into a prompt, and weighs it."""

    def __init__(self, *, weight=1.0):
        self.weight = weight

    def prompts(self, classes, context):
        assert isinstance(context, gapbench.PromptContext)
        written = [text.format(name) for name in classes for text in ("{}", f"{context.dataset} {{}}")]
        owner = [row for row in range(len(classes)) for _ in range(2)]
        return gapbench.PromptSet(prompts=written, owner=owner, weights=[1.0, self.weight] * len(classes))


HERE = "tests.host.test_params_of_all"


class Plugin:
    words = ("image", "text")

    @gapbench.hookimpl
    def gapbench_encoders(self):
        params = {"gap": gapbench.Param(default=1.0, low=0.0, grid=(0.5, 1.0), doc="size of the gap")}
        return [gapbench.EncoderSpec(name="toy", factory=f"{HERE}:Encoder", summary="", params=params)]

    @gapbench.hookimpl
    def gapbench_datasets(self):
        return [
            gapbench.DatasetSpec(
                name="colours",
                factory=f"{HERE}:Colours",
                summary="",
                licence="MIT",
                offers=frozenset({gapbench.Offer.LABELS, gapbench.Offer.CAPTIONS}),
                splits={"train": None, "test": None},
                params={"first": gapbench.Param(default="train", choices=("train", "test"), doc="the larger split")},
                modalities=self.words,
            )
        ]

    @gapbench.hookimpl
    def gapbench_prompts(self):
        params = {"weight": gapbench.Param(default=1.0, low=0.0, doc="of the second prompt")}
        return [gapbench.PromptSpec(name="twice", factory=f"{HERE}:Prompts", summary="", params=params)]


def run(plugin=None, **options):
    options = {"datasets": ["colours"], "encoders": ["toy"], "prompts": ["twice"], "aligners": ["identity"], **options}
    return gapbench.run(plugins=[plugin or Plugin()], **options)


def test_each_kind_has_parameters_that_are_part_of_the_name_and_make_a_difference():
    found = run(
        encoders=["toy[gap=0.5,2]"],
        datasets=["colours[first=train,test]"],
        prompts=["twice[weight=1,3]"],
        metrics=["top[k=1,2]"],
    )
    assert not found.failures
    records = found.records
    assert {record.encoder.name for record in records} == {"toy[gap=0.5]", "toy[gap=2.0]"}
    assert {record.dataset.name for record in records} == {"colours", "colours[first=test]"}
    assert {record.prompts.name for record in records} == {"twice", "twice[weight=3.0]"}
    assert {tuple(record.metrics) for record in records} == {("top[k=1]", "top[k=2]")}
    assert len({record.encoder.fingerprint for record in records}) == 2
    assert len({record.dataset.fingerprint for record in records}) == 2
    assert len({record.prompts.fingerprint for record in records}) == 2
    assert len({record.cell_id for record in records}) == len(records) == 8
    assert all(record.metrics["top[k=2]"].value >= record.metrics["top[k=1]"].value for record in records)


def test_a_metric_with_a_parameter_gives_what_the_metric_of_that_name_gives():
    found = gapbench.run(
        datasets=["color-digits"],
        aligners=["identity", "mean-center"],
        prompts=["photo", "captions"],
        metrics=[
            "top[k=1]",
            "top1",
            "top[k=5]",
            "top5",
            "i2t-recall[k=5]",
            "i2t-recall@5",
            "t2i-recall[k=10]",
            "t2i-recall@10",
        ],
    )
    pairs = {"top[k=1]": "top1", "top[k=5]": "top5", "i2t-recall[k=5]": "i2t-recall@5", "t2i-recall": "t2i-recall@10"}
    for table in found.tables:
        shown = [row.values for row in table.rows]
        assert all(set(pairs) & set(table.metrics) <= values.keys() for values in shown)
        assert {
            one for record in found.records if record.prompts.name == table.prompts for one in record.metrics
        } == set(table.metrics)
    seen = {(one, other) for record in found.records for one, other in pairs.items() if one in record.metrics}
    assert len(seen) == 4
    for record in found.records:
        for one, other in pairs.items():
            assert one not in record.metrics or record.metrics[one] == record.metrics[other]


def test_leading_dimensions_of_an_encoder_are_the_first_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path))
    context = gapbench.Context(data_root=tmp_path, device="cpu", offline=True)
    build = REGISTRY.get(Kind.ENCODER, "mini-clip").spec
    module, _, attribute = build.factory.partition(":")
    factory = getattr(__import__(module, fromlist=[attribute]), attribute)
    whole, part, too_many = factory(context), factory(context, dim=16), factory(context, dim=65)
    assert np.array_equal(whole.encode_texts(["a red three"])[:, :16], part.encode_texts(["a red three"]))
    assert "dim" not in whole.identity()
    assert part.identity()["dim"] == 16
    with pytest.raises(UsageError, match="has 64 dimensions, so dim cannot be 65"):
        too_many.identity()


@pytest.mark.parametrize(
    ("kind", "written", "told"),
    [
        (Kind.METRIC, "top[k=0]", r"must lie in 1\.\.1000000"),
        (Kind.METRIC, "top[k=x]", "must be a whole number"),
        (Kind.METRIC, "top1[k=2]", "has no parameter 'k'"),
        (Kind.ENCODER, "toy[gap=auto]", "must be a number"),
        (Kind.DATASET, "colours[first=none]", "must be one of train, test"),
        (Kind.PROMPTS, "twice[weight=-1]", "must lie in"),
    ],
)
def test_values_are_held_to_the_parameter(kind, written, told):
    with pytest.raises(UsageError, match=told):
        select(discover(objects=[Plugin()]), kind, [written])


def test_weights_are_the_same_as_saying_a_prompt_more_often(tmp_path, monkeypatch):
    """A prompt that weighs 3 counts as three equal prompts do."""
    values = []
    for weight in (1.0, 3.0):
        monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / f"{weight}"))
        record = run(prompts=[f"twice[weight={weight}]"], metrics=["*"]).records[0]
        values.append({name: value.value for name, value in record.metrics.items()})
    thrice = [f"{text}" for text in ("{}", *["colours {}"] * 3)]

    class Repeated(Plugin):
        @gapbench.hookimpl
        def gapbench_prompts(self):
            options = {"templates": thrice}
            factory = "gapbench.builtin.prompts.strategies:Templates"
            return [gapbench.PromptSpec(name="twice", factory=factory, summary="", options=options)]

    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "repeated"))
    record = run(Repeated(), metrics=["*"]).records[0]
    repeated = {name: value.value for name, value in record.metrics.items()}
    assert values[1].keys() == repeated.keys()
    different = {name for name, value in repeated.items() if abs(values[1][name] - value) > 1e-6}
    assert not different
    assert values[0] != values[1]


@pytest.mark.parametrize(
    ("weights", "pooling", "told"),
    [
        ([1.0], "mean", "as many weights as prompts"),
        ([1.0, -1.0] * 4, "mean", "at least 0"),
        ([1.0, np.nan] * 4, "mean", "at least 0"),
        ([1.0, 1.0] * 4, "nearest", "only pooling 'mean'"),
        ([0.0, 0.0] + [1.0] * 6, "mean", "weighs all prompts of class 'red' with 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, pooling, told, monkeypatch):
    def prompts(self, classes, context):
        texts = [text.format(name) for name in classes for text in ("{}", "a {}")]
        owner = [row for row in range(len(classes)) for _ in range(2)]
        return gapbench.PromptSet(prompts=texts, owner=owner, weights=weights, pooling=gapbench.Pooling(pooling))

    monkeypatch.setattr(Prompts, "prompts", prompts)
    (failure,) = run(metrics=["top1"]).failures
    assert told in failure[1]


def test_a_table_of_prompts_may_have_weights(tmp_path):
    from gapbench.builtin.prompts.files import from_file

    path = tmp_path / "p.toml"
    path.write_text('a = [{prompt = "x", weight = 2}, "y"]\nb = "z"\n')
    found = from_file(str(path)).prompts(["b", "a"])
    assert (found.prompts, found.owner, found.weights) == (["z", "x", "y"], [0, 1, 1], [1.0, 2.0, 1.0])
    path.write_text('a = ["x", "y"]\n')
    assert from_file(str(path)).prompts(["a"]).weights is None
    path.write_text('a = [{prompt = "x"}]\n')
    with pytest.raises(DataError, match=r"weight = 2\.0"):
        from_file(str(path))


def test_published_prompts_go_by_the_dataset():
    (openai,) = select(REGISTRY, Kind.PROMPTS, ["openai"])
    names = published.names_of("oxford-iiit-pet")
    found = prompt_set(openai, names, select(REGISTRY, Kind.DATASET, ["oxford-iiit-pet"])[0])
    assert list(found.prompts) == [f"a photo of a {name}, a type of pet." for name in names]
    with pytest.raises(DataError, match="published no class names and templates for the dataset 'digits'"):
        prompt_set(openai, names, select(REGISTRY, Kind.DATASET, ["digits"])[0])
    by_path = {"resisc45"}  # read as folder:
    known = {spec_name for spec_name in published._all() if spec_name not in by_path}
    assert known <= set(REGISTRY.components(Kind.DATASET))


def test_an_encoder_is_paired_with_data_of_its_modalities():
    plugin = Plugin()
    plugin.words = ("video", "text")
    found = run(plugin)
    assert not found.records
    assert any("it encodes image and text, and the data are video and text" in reason for _, reason in found.skipped)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"modalities": "video"}, "write two words"),
        ({"modalities": ("video",)}, "write two words"),
        ({"modalities": ("video", 3)}, "write two words"),
        ({"params": {"a b": gapbench.Param(default=1, doc="")}}, "must be a keyword"),
        ({"params": {"a": 1}}, "write gapbench.Param"),
        ({"options": {"gap": 1}, "params": {"gap": gapbench.Param(default=1, doc="")}}, "both as a parameter"),
    ],
)
def test_specs_that_say_it_badly_are_refused(changes, told):
    class Bad:
        @gapbench.hookimpl
        def gapbench_encoders(self):
            spec = gapbench.EncoderSpec(name="toy", factory=f"{HERE}:Encoder", summary="")
            return [dataclasses.replace(spec, **changes)]

    (broken,) = discover(objects=[Bad()]).broken
    assert told in broken.cause


def test_a_study_names_the_metric_that_ranks(tmp_path):
    study = tmp_path / "mine.toml"
    text = (
        'name = "mine"\ndatasets = ["color-digits"]\nprompts = ["captions"]\naligners = ["identity", "mean-center"]\n'
    )
    study.write_text(text + 'metrics = ["i2t-recall@1", "t2i-recall@5", "rmg"]\nprimary = "t2i-recall@5"\n')
    found = gapbench.run(study=str(study), out=tmp_path / "out")
    assert [table.primary for table in found.tables] == ["t2i-recall@5"]
    study.write_text(text + 'metrics = ["i2t-recall@1", "t2i-recall[k=3]"]\nprimary = "t2i-recall[k=3]"\n')
    (table,) = gapbench.run(study=str(study), out=tmp_path / "other").tables
    assert table.primary == "t2i-recall[k=3]"
    assert [row.rank is not None for row in table.rows] == [True, True]
    shown = io.StringIO()
    print_table(Console(file=shown, width=120), table, discover().metric_specs())
    assert "t2i-recall[k=3]" in shown.getvalue()
    study.write_text(text + 'metrics = ["i2t-recall@1"]\nprimary = "t2i-recall@5"\n')
    with pytest.raises(UsageError, match="which is none of its metrics"):
        gapbench.run(study=str(study))
    study.write_text(text + 'metrics = ["i2t-recall@1", "rmg"]\nprimary = "rmg"\n')
    with pytest.raises(UsageError, match="no task metric"):
        gapbench.run(study=str(study))


@pytest.mark.parametrize(
    ("label", "name"),
    [("top1", "top1"), ("top[k=3]", "top"), ("file:a[b].txt", "file"), ('open_clip:"x[y=1]"[dim=2]', "open_clip")],
)
def test_a_label_has_the_name_of_its_component(label, name):
    assert base_name(label) == name
