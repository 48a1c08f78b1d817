"""Prompt strategies: what is written for which class."""

import json
import subprocess
import sys

import pytest

from gapbench.builtin import published
from gapbench.builtin.datasets.class_names import imagenet_codes, imagenet_names
from gapbench.builtin.datasets.digits import CLASSES as DIGITS
from gapbench.builtin.datasets.torchvision_layouts import EUROSAT_WORDS
from gapbench.builtin.prompts.files import cupl, from_file
from gapbench.builtin.prompts.strategies import OpenAi, OwnCaptions, Templates, openai_80, template
from gapbench.errors import DataError, UsageError
from gapbench.host.build import build
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.specs import Pooling, PromptContext

CLASSES = ("cat", "dog")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def at(dataset, argument=""):
    return PromptContext(dataset=dataset, argument=argument)


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("plain", ["cat", "dog"]),
        ("photo", ["a photo of a cat", "a photo of a dog"]),
        ("descriptive", [f"a high-resolution photo of a cute {name} in nature" for name in CLASSES]),
        ("openai-2", ["a photo of a cat.", "a photo of the cat.", "a photo of a dog.", "a photo of the dog."]),
        ("template:{}!", ["cat!", "dog!"]),
    ],
)
def test_built_in_strategies(name, prompts):
    (selected,) = select(discover(), Kind.PROMPTS, [name])
    written = build(selected).prompts(CLASSES)
    assert list(written.prompts) == prompts
    assert list(written.owner) == sorted(written.owner)
    assert written.pooling == Pooling.MEAN


def test_openai_80_is_open_clips_list_and_needs_no_torch():
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

    written = openai_80().prompts(CLASSES)
    assert list(written.prompts) == [write(name) for name in CLASSES for write in OPENAI_IMAGENET_TEMPLATES]
    code = (
        "import sys; from gapbench.builtin.prompts.strategies import openai_80; "
        "openai_80().prompts(['cat']); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize("text", ["a photo", "{} and {}", "a {name}", "{", "{0}"])
def test_a_bad_template_is_refused(text):
    with pytest.raises(UsageError, match="where the class name goes"):
        template(text)


def test_a_file_of_templates(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("# a comment\n\na {}\nthe {}\n")
    assert list(from_file(str(path)).prompts(["cat"]).prompts) == ["a cat", "the cat"]
    path.write_text("a {}\nno place\n")
    with pytest.raises(UsageError, match="line 2"):
        from_file(str(path))
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="has no templates"):
        from_file(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        from_file(str(tmp_path / "absent.txt"))


def test_a_table_of_prompts(tmp_path):
    path = tmp_path / "prompts.toml"
    path.write_text('pooling = "nearest"\ncat = ["a cat", "a kitten"]\ndog = "a dog"\n')
    written = from_file(str(path)).prompts(CLASSES)
    assert list(written.prompts) == ["a cat", "a kitten", "a dog"]
    assert list(written.owner) == [0, 0, 1]
    assert written.pooling == Pooling.NEAREST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cat = "a"\n', "no prompts for class 'dog'"),
        ('cat = "a"\ndogg = "b"\n', "Did you mean 'dog'"),
        ('cat = []\ndog = "b"\n', "class 'cat' must have a prompt"),
        ('pooling = "max"\n', "must be 'mean' or 'nearest'"),
        ("cat = \n", "not valid TOML"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    path = tmp_path / "prompts.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        from_file(str(path)).prompts(CLASSES)


def test_captions_are_no_prompts():
    with pytest.raises(UsageError, match="dataset's own texts"):
        OwnCaptions().prompts(CLASSES)
    assert Templates(templates=["{}"]).prompts(()).prompts == []


# -- what OpenAI published ---------------------------------------------------------------------------------------------


def test_published_names_of_a_set_are_apart_and_templates_have_one_place():
    for one in published._all().values():
        words = {published.plain(word): name for name in one.names for word in (name, one.own.get(name, name))}
        assert set(words.values()) == set(one.names), one.set_name
        assert all(written.count("{}") == 1 for written in one.templates)
        assert {*one.own, *one.optional} <= set(one.names)


@pytest.mark.parametrize(
    ("dataset", "classes", "n", "first"),
    [
        ("stl10", STL10, 2, "a photo of a airplane."),
        ("mnist", DIGITS, 1, 'a photo of the number: "0".'),
        ("eurosat", tuple(EUROSAT_WORDS.values()), 3, "a centered satellite photo of annual crop land."),
        ("pcam", published.names_of("pcam"), 1, "this is a photo of lymph node"),
        (
            "gtsrb",
            published.names_of("gtsrb"),
            3,
            'a zoomed in photo of a "red and white circle 20 kph speed limit" traffic sign.',
        ),
        ("imagenet", tuple(imagenet_names().values()), 80, "a bad photo of a tench."),
        ("imagenet-sketch", tuple(imagenet_names().values()), 80, "a bad photo of a tench."),
    ],
)
def test_openai_writes_what_was_published_for_the_dataset(dataset, classes, n, first):
    written = OpenAi().prompts(classes, at(dataset))
    assert len(written.prompts) == n * len(classes)
    assert written.prompts[0] == first
    assert list(written.owner) == [row for row in range(len(classes)) for _ in range(n)]


def test_torchvisions_class_names_are_known_by_the_published_ones():
    from torchvision.datasets import Flowers102

    flowers = [name.replace("_", " ") for name in Flowers102.classes]
    written = OpenAi().prompts(flowers, at("flowers102")).prompts
    assert written[flowers.index("pink-yellow dahlia?")] == "a photo of a pink and yellow dahlia, a type of flower."
    assert written[flowers.index("ball moss")] == "a photo of a air plant, a type of flower."
    pets = published.names_of("oxford-iiit-pet")
    written = OpenAi().prompts([name.title() for name in pets], at("oxford-iiit-pet")).prompts
    assert written[pets.index("shiba inu")] == "a photo of a shiba inu, a type of pet."
    one = published._all()["caltech101"]
    folders = [one.own.get(name, name) for name in one.names if name != "background"]  # torchvision leaves it out
    written = OpenAi().prompts(folders, at("caltech101")).prompts
    assert "a photo of a off-center face." in written
    assert len(written) == 101 * 34


def test_names_and_templates_combine():
    def first(name, classes, dataset):
        (selected,) = select(discover(), Kind.PROMPTS, [name])
        return selected.label, build(selected).prompts(classes, at(dataset)).prompts[0]

    assert first("photo[names=openai]", DIGITS, "mnist") == ("photo[names=openai]", "a photo of a 0")
    assert first("photo", DIGITS, "mnist") == ("photo", "a photo of a zero")
    assert first("openai[names=dataset]", DIGITS, "mnist")[1] == 'a photo of the number: "zero".'
    assert first("openai-80[names=openai]", DIGITS, "mnist")[1] == "a bad photo of a 0."
    assert first('template:"one {}"[names=openai]', DIGITS, "mnist")[1] == "one 0"
    with pytest.raises(UsageError, match="must be one of dataset, openai"):
        select(discover(), Kind.PROMPTS, ["photo[names=other]"])


def test_two_hundred_of_imagenets_classes_will_do():
    classes = [imagenet_names()[code] for code in imagenet_codes("imagenet_a_synsets")]
    assert len(OpenAi().prompts(classes, at("imagenet-a", "x")).prompts) == 200 * 80
    with pytest.raises(DataError, match="there is no 'a cat of mine' among them"):
        OpenAi().prompts(["a cat of mine"], at("imagenet-a", "x"))


def test_a_set_that_is_read_from_a_path_is_known_by_its_classes():
    names = [name.replace(" ", "_") for name in published.names_of("resisc45")]
    written = OpenAi().prompts(names, at("folder", "RESISC45"))
    assert len(written.prompts) == 45 * 18
    assert written.prompts[0] == "satellite imagery of airplane."
    assert (
        OpenAi().prompts(list(EUROSAT_WORDS), at("folder", "EuroSAT")).prompts[3]
        == "a centered satellite photo of forest."
    )
    with pytest.raises(DataError, match=r"is read from a path is known by its classes.*photo or openai-80"):
        OpenAi().prompts(names[1:], at("folder", "RESISC45"))


@pytest.mark.parametrize(
    ("dataset", "classes", "message"),
    [
        ("digits", DIGITS, "published no class names and templates for the dataset 'digits'"),
        ("stl10", ("airplane", "bird", "caterpillar", *STL10[3:]), "there is no 'caterpillar' among them"),
        ("stl10", STL10[1:], "the dataset lacks 'airplane'"),
        ("stl10", (*STL10, "Airplane"), "'airplane' more than once"),
    ],
)
def test_what_was_not_published_is_refused(dataset, classes, message):
    with pytest.raises(DataError, match=message):
        OpenAi().prompts(classes, at(dataset))
    with pytest.raises(DataError, match=message):
        Templates(templates=["{}"], names="openai").prompts(classes, at(dataset))


# -- files as people and other projects write them -----------------------------------------------------------------------


def saved(path, content, encoding="utf-8"):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "prompts"),
    [
        ("lines.txt", "a {}\n", ["a cat", "a dog"]),
        ("comment.txt", "# first\na {c}\n", ["a cat", "a dog"]),
        ("table.toml", 'cat = "a cat"\ndog = ["a dog"]\n', ["a cat", "a dog"]),
        ("TABLE.TOML", 'cat = "a cat"\ndog = ["a dog"]\n', ["a cat", "a dog"]),
        ("list.json", ["a {}", "the {c}"], ["a cat", "the cat", "a dog", "the dog"]),
        ("table.json", {"cat": ["a cat", "Cats."], "dog": "a dog"}, ["a cat", "Cats.", "a dog"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mark_before_a_file_is_no_part_of_it(tmp_path, name, content, prompts, encoding):
    assert list(from_file(saved(tmp_path / name, content, encoding)).prompts(CLASSES).prompts) == prompts


def test_a_file_of_clip_benchmark_has_templates_by_dataset(tmp_path):
    content = {
        "cifar10": ["a small {c}"],
        "pets": ["a {c}, a pet"],
        "imagenet1k": ["a picture of {c}"],
        "stl10": ["one {c}"],
    }
    path = saved(tmp_path / "en_zeroshot_classification_templates.json", content)
    assert from_file(path).prompts(STL10, at("stl10")).prompts[0] == "one airplane"
    assert from_file(path).prompts(["tench"], at("imagenet-r", "x")).prompts == ["a picture of tench"]
    pets = published.names_of("oxford-iiit-pet")
    assert from_file(path).prompts(pets, at("oxford-iiit-pet")).prompts[0] == f"a {pets[0]}, a pet"
    assert from_file(path).prompts(STL10, at("folder", "somewhere")).prompts[0] == "one airplane"
    with pytest.raises(DataError, match="none for 'digits', only for cifar10, pets, imagenet1k, stl10"):
        from_file(path).prompts(DIGITS, at("digits"))
    own = saved(tmp_path / "own.json", {"digits": ["a {}"], "stl10": ["one {c}"]})
    assert from_file(own).prompts(DIGITS, at("digits")).prompts[3] == "a three"


def test_a_file_of_clip_benchmark_has_sentences_by_dataset(tmp_path):
    path = saved(tmp_path / "cupl_prompts.json", {"imagenet1k": {"tench": ["A tench is a fish.", "a tench"]}})
    for read in (from_file, cupl):
        assert read(path).prompts(["tench"], at("imagenet-a", "x")).prompts == ["A tench is a fish.", "a tench"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", DataError, "not valid JSON"),
        ("[" * 100_000, DataError, "not valid JSON"),
        ('{"cat": ["a"], "cat": ["b"], "dog": ["c"]}', DataError, "has 'cat' twice"),
        ('["a \\ud800 {}"]', DataError, "not valid JSON"),
        ("[]", DataError, "not empty"),
        ("{}", DataError, "not empty"),
        ("3", DataError, "list of templates, or an object"),
        ([1], DataError, "list of templates"),
        (["a {}", "no place"], UsageError, "entry 2.*write {} once"),
        (["a {name}"], UsageError, "the field {name}"),
        ({"cat": [], "dog": ["a dog"]}, DataError, "class 'cat' must have a prompt"),
        ({"cat": ["a cat"]}, DataError, "no prompts for class 'dog'"),
        ({"imagenet1k": ["tench"], "flowers": ["pink primrose"]}, DataError, "names of classes, by dataset"),
    ],
)
def test_bad_json_is_refused(tmp_path, content, error, message):
    with pytest.raises(error, match=message):
        from_file(saved(tmp_path / "prompts.json", content)).prompts(CLASSES)


def test_sentences_of_cupl(tmp_path):
    content = {
        "Cat": ["A cat purrs.", "Cats\u2019 eyes shine."],
        "polka-dotted": ["Dots."],
        "dog": ["A dog barks."],
        "eel": ["An eel."],
    }
    path = saved(tmp_path / "cupl.json", content)
    written = cupl(path).prompts(("dog", "cat", "polka dotted"))
    assert list(written.prompts) == ["A dog barks.", "A cat purrs.", "Cats\u2019 eyes shine.", "Dots."]
    assert list(written.owner) == [0, 1, 1, 2]
    with pytest.raises(DataError, match="no prompts for class 'fox', 'gnu'"):
        cupl(path).prompts(("dog", "fox", "gnu"))
    with pytest.raises(DataError, match="'Cat' and 'cat' are one class"):
        cupl(saved(tmp_path / "twice.json", {"Cat": ["a"], "cat": ["b"]})).prompts(("cat",))
    with pytest.raises(DataError, match="no JSON object of class -> sentences"):
        cupl(saved(tmp_path / "list.json", ["a {}"]))
    digits = saved(tmp_path / "mnist.json", {str(number): [f"Number {number}."] for number in range(10)})
    assert cupl(digits, names="openai").prompts(DIGITS, at("mnist")).prompts[3] == "Number 3."
