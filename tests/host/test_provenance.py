"""Provenance: the hash of a package follows its code, wherever it lies, and nothing else."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gapbench
from gapbench.host import imports, provenance
from gapbench.host.discovery import discover
from gapbench.host.provenance import Provenance

ALIGNER = """
import gapbench

{imports}

class Nothing:
    def fit(self, data):
        return self

    def images(self, x):
        return x


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="{name}", factory="{module}:Nothing", summary="", family="toy",
                                 needs=frozenset(), acts_on=gapbench.ActsOn.IMAGES)]
"""


def aligner(name, module, imports=""):
    return ALIGNER.format(name=name, module=module, imports=imports)


def hash_of_file(path):
    code = Provenance(discover(plugin_files=[path])).code(path.name)
    assert code is not None
    return code.sha256


def hash_of(distribution):
    code = Provenance(discover()).code(distribution)
    assert code is not None
    return code.sha256


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes an installed distribution with a package, and the folder it is installed in."""
    site = tmp_path / "site-packages"
    write_package(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("GAPBENCH_PLUGINS", "toy-package")
    yield site / "toy_package"
    forget("toy_package")


def write_package(site):
    home = site / "toy_package"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text(aligner("packed", "toy_package.deep", "from toy_package import deep"))
    (home / "deep.py").write_text("from toy_package.helper import amount\n\n\nclass Nothing:\n    amount = amount\n")
    (home / "helper.py").write_text("amount = 1\n")
    (home / "data.txt").write_text("numbers\n")
    info = site / "toy_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gapbench]\ntoy = toy_package\n")
    return home


def forget(name):
    """Begin as a process does that has imported nothing of a plugin."""
    provenance._loaded.clear()
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[module]


def test_of_a_package_every_file_counts(package):
    found = {hash_of("toy-package")}
    for name in ("__init__.py", "deep.py", "helper.py", "data.txt"):
        (package / name).write_text((package / name).read_text() + "\n")
        found.add(hash_of("toy-package"))
    (package / "new.bin").write_bytes(b"")
    found.add(hash_of("toy-package"))
    (package / "new.bin").rename(package / "newer.bin")
    found.add(hash_of("toy-package"))
    assert len(found) == 7
    assert "" not in found


def test_caches_hidden_files_and_times_do_not_count(package):
    before = hash_of("toy-package")
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "deep.cpython-399.pyc").write_bytes(b"anything")
    (package / "old.pyc").write_bytes(b"anything")
    (package / ".hidden").write_text("anything")
    (package / ".git").mkdir()
    (package / ".git" / "config").write_text("anything")
    os.utime(package / "deep.py", (1, 1))
    assert hash_of("toy-package") == before


def test_the_same_package_in_two_folders_has_one_hash(package, tmp_path, monkeypatch):
    here = hash_of("toy-package")
    there = tmp_path / "another" / "checkout"
    shutil.copytree(package.parent, there)
    forget("toy_package")
    monkeypatch.syspath_prepend(str(there))
    assert hash_of("toy-package") == here
    (there / "toy_package" / "helper.py").write_text("amount = 2\n")
    assert hash_of("toy-package") != here


def test_what_lies_beside_an_installed_module_is_anothers(package):
    """In a folder that all distributions share, the package alone counts."""
    before = hash_of("toy-package")
    (package.parent / "amount.py").write_text("import this\n")
    assert hash_of("toy-package") == before


def test_a_changed_package_is_imported_as_it_is_now(package):
    import toy_package.helper

    discover()  # nothing of it was used yet, so nobody has asked for its hash
    assert toy_package.helper.amount == 1
    (package / "helper.py").write_text("amount = 2\n")
    discover()
    import toy_package.helper as again

    assert again.amount == 2


def test_code_that_was_edited_since_it_was_imported_cannot_be_told(package):
    """What runs is what was imported; the file has something else by now, so no hash of it may be told."""
    registry = discover()
    assert Provenance(registry).code("toy-package").sha256
    (package / "helper.py").write_text("amount = 2\n")
    assert Provenance(registry).code("toy-package").sha256 == ""
    assert Provenance(discover()).code("toy-package").sha256


def test_of_one_file_it_counts_with_what_it_imports_from_beside_it(tmp_path):
    path = tmp_path / "toy_single.py"
    path.write_text(aligner("single", "toy_single", "import toy_helper_a"))
    (tmp_path / "toy_helper_a.py").write_text("import toy_helper_b\n")
    (tmp_path / "toy_helper_b.py").write_text("x = 1\n")
    (tmp_path / "toy_stranger.py").write_text("x = 1\n")
    sys.path.insert(0, str(tmp_path))
    try:
        found = [hash_of_file(path)]
        (tmp_path / "toy_stranger.py").write_text("x = 2\n")
        assert hash_of_file(path) == found[0]
        for name in ("toy_helper_a.py", "toy_helper_b.py", "toy_single.py"):
            (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
            found.append(hash_of_file(path))
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("toy_single", "toy_helper_a", "toy_helper_b"):
            forget(name)
    assert len(set(found)) == 4
    assert "" not in found


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """Return a function that writes a plugin of one file with what it imports, and the path of the plugin."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(imports, **files):
        (tmp_path / "toy_single.py").write_text(aligner("single", "toy_single", imports))
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "toy_single.py"

    yield write
    for name in ("toy_single", "toy_helpers", "toy_far", "toy_deep"):
        forget(name)


@pytest.mark.parametrize(
    ("imports", "files"),
    [
        ("import toy_helpers.a", {"toy_helpers__a_dot_py": "", "toy_helpers__data_dot_txt": ""}),
        ("from toy_helpers import a", {"toy_helpers__a_dot_py": "import toy_far\n", "toy_far_dot_py": ""}),
        ("from toy_helpers.sub import a", {"toy_helpers__sub__a_dot_py": ""}),
        (
            "import importlib\nimportlib.import_module('toy_helpers.a')",
            {
                "toy_helpers__a_dot_py": "import toy_far.b\n",
                "toy_far__b_dot_py": "import toy_deep\n",
                "toy_deep_dot_py": "",
            },
        ),
        ("try:\n    import toy_far\nexcept ImportError:\n    pass", {"toy_far_dot_cpython-311-x_dot_so": ""}),
        ("try:\n    import toy_far\nexcept ImportError:\n    pass", {"toy_far_dot_pyd": ""}),
    ],
)
def test_folders_and_compiled_modules_beside_a_file_count_and_what_they_import(beside, imports, files):
    path = beside(imports, **files)
    found = {hash_of_file(path)}
    for name, text in files.items():
        beside(imports, **(files | {name: f"{text}\n"}))
        found.add(hash_of_file(path))
    assert len(found) == len(files) + 1
    assert "" not in found


def test_what_a_package_beside_a_file_imports_from_there_counts(beside, tmp_path):
    path = beside("import toy_helpers", toy_helpers__x_dot_py="", toy_far_dot_py="x = 1\n")
    (tmp_path / "toy_helpers" / "__init__.py").write_text("from toy_far import x\n")
    before = hash_of_file(path)
    (tmp_path / "toy_far.py").write_text("x = 2\n")
    assert hash_of_file(path) not in ("", before)


def test_a_folder_of_data_or_results_beside_a_file_does_not_count(beside, tmp_path):
    path = beside("WHERE = 'toy_helpers'", toy_helpers__records_dot_jsonl="1")
    before = hash_of_file(path)
    (tmp_path / "toy_helpers" / "records.jsonl").write_text("2")
    assert hash_of_file(path) == before


def test_a_changed_module_in_a_folder_beside_a_file_is_imported_as_it_is_now(beside, tmp_path):
    path = beside("from toy_helpers import amounts", toy_helpers__amounts_dot_py="amount = 1\n")
    registry = discover(plugin_files=[path])
    assert sys.modules["toy_helpers.amounts"].amount == 1
    (tmp_path / "toy_helpers" / "amounts.py").write_text("amount = 22\n")
    assert Provenance(registry).code("toy_single.py").sha256 == ""  # what runs is in no file any more
    assert Provenance(discover(plugin_files=[path])).code("toy_single.py").sha256
    from toy_helpers import amounts

    assert amounts.amount == 22


def test_a_plugin_that_is_one_file_has_one_hash_in_two_folders(tmp_path):
    found = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "toy_moved.py"
        path.write_text(aligner("moved", "toy_moved"))
        found.add(hash_of_file(path))
        forget("toy_moved")
    assert len(found) == 1


def test_what_cannot_be_told_has_no_hash(monkeypatch):
    class Typed:
        """Written at a prompt: no file has its code."""

        @gapbench.hookimpl
        def gapbench_aligners():
            return [
                gapbench.AlignerSpec(
                    name="typed",
                    factory="typed_at_a_prompt:Typed",
                    summary="",
                    family="toy",
                    needs=frozenset(),
                    acts_on=gapbench.ActsOn.IMAGES,
                )
            ]

    Typed.__module__ = "typed_at_a_prompt"
    code = Provenance(discover(objects=[Typed])).code("Typed")
    assert code is not None
    assert code.sha256 == ""


def test_what_is_not_there_has_no_code():
    found = Provenance(discover())
    assert found.code("nobody") is None
    assert found.codes(["nobody", ""]).keys() == {"gapbench"}


@pytest.fixture
def own_copy(tmp_path, monkeypatch):
    """Return a copy of gapbench's package, and a function that hashes it."""
    source = Path(provenance.__file__).parents[1]
    copy = tmp_path / "gapbench"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def hashed():
        monkeypatch.setattr(provenance, "__file__", str(copy / "host" / "provenance.py"))
        try:
            return provenance.gapbench_code.__wrapped__().sha256
        finally:
            monkeypatch.undo()

    return copy, hashed


def test_of_gapbench_the_parts_that_compute_count(own_copy):
    copy, hashed = own_copy
    before = hashed()
    assert before == provenance.gapbench_code().sha256  # another folder, the same code
    for name in ("cli/run.py", "leaderboard/markdown.py", "figures/draw.py", "scaffold/__init__.py", "page.html"):
        with (copy / name).open("a") as file:
            file.write("\n")
        assert hashed() == before, name
    for name in (
        "bench/cell.py", "bench/protocol.py", "builtin/aligners/__init__.py", "builtin/metrics/gaps.py", "stats.py",
        "retrieval.py", "embeddings/arrays.py", "bootstrap.py", "exact.py", "components.py", "specs.py",
    ):  # fmt: skip
        with (copy / name).open("a") as file:
            file.write("\n")
        after = hashed()
        assert after != before, name
        before = after


def test_weights_are_identified_by_their_encoder_and_not_as_code(own_copy):
    copy, hashed = own_copy
    before = hashed()
    weights = list((copy / "builtin").rglob("*.safetensors"))
    assert weights
    weights[0].write_bytes(b"others")
    assert hashed() == before


def test_modules_that_libraries_make_up_are_no_code_of_a_plugin(monkeypatch):
    """They have the bare name of a file, as `torch.ops` has: taken for a file, it would hide the hash of the plugin."""
    made_up = ModuleType("made_up")
    made_up.__file__ = "_made_up.py"
    with imports.watched(["toy-of-made-up"]):
        monkeypatch.setitem(sys.modules, "made_up", made_up)
    assert imports.found("toy-of-made-up") == {}
