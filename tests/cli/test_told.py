"""Nothing is silent: what is not there, has no effect, or is less than was asked for is told."""

import numpy as np
import pytest

from gapbench.testing import two_cones


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    toy = two_cones(60, 8, classes=3)
    path = tmp_path_factory.mktemp("told") / "e.npz"
    np.savez(path, image=toy.images, text=toy.class_texts, label=toy.labels)
    return f"embeddings:{path}"


@pytest.mark.parametrize("device", ["gpu", "tpu", "cuda:1000", "CUDA", "cuda:x"])
def test_a_device_that_nobody_has_is_refused_even_where_nothing_is_encoded(gapbench, data, device):
    done = gapbench("run", "-d", data, "-a", "identity", "--device", device, "--no-figures", code=2)
    assert f"There is no device '{device}'" in done.stderr


def test_a_device_that_this_machine_lacks_is_named(gapbench, data):
    done = gapbench("run", "-d", data, "-a", "identity", "--device", "cuda:99", "--no-figures", code=2)
    assert "The device 'cuda:99' cannot be used here" in done.stderr


@pytest.mark.parametrize(("option", "values"), [("--study", ("digits", "color-digits")), ("--out", ("a", "b"))])
def test_an_option_with_one_value_that_is_given_twice_is_refused(gapbench, option, values):
    done = gapbench("run", option, values[0], option, values[1], code=2)
    assert f"{option} is given twice, as {values[0]} and {values[1]}" in done.stderr


def test_options_that_take_several_may_be_repeated(gapbench, data):
    done = gapbench("run", "-d", data, "-a", "identity", "-a", "mean-center", "-m", "top1", "-m", "rmg", "--no-figures")
    assert "mean-center" in done.stdout


def test_a_run_without_identity_says_that_there_is_nothing_to_compare_with(gapbench, data):
    done = gapbench("run", "-d", data, "-a", "mean-center", "-m", "top1", "--no-figures")
    said = "There is no row of identity to compare with: add -a identity, where images and texts are in one space."
    assert said in " ".join(done.stdout.split())  # lines are broken at the terminal's width
    done = gapbench("run", "-d", data, "-a", "identity", "-m", "top1", "--no-figures", "--out", "alone")
    assert "no row of identity" not in done.stdout


def test_a_fit_with_fewer_items_than_were_asked_for_says_so(gapbench, data):
    done = gapbench("run", "-d", data, "-a", "identity", "-a", "procrustes", "--fit-size", "5000", "--no-figures")
    assert "fitted on all 30 items (5,000 asked for)" in " ".join(done.stdout.split())
    done = gapbench("run", "-d", data, "-a", "identity", "--shots", "500", "--no-figures", "--out", "shots")
    assert "fitted on 30 items, up to 500 of each class" in " ".join(done.stdout.split())


def test_a_transductive_run_without_such_aligners_says_how_to_get_some(gapbench, data):
    done = gapbench("run", "-d", data, "-a", "identity", "--protocol", "transductive", "--no-figures")
    told = " ".join((done.stdout + done.stderr).split())
    assert "no aligner of this run reads unlabelled test items" in told
    assert "gapbench-hubness" in told
