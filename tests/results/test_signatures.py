"""Submissions that are signed: by whom, what does not hold, and what is missing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gapbench as package
from gapbench.results.signatures import signer

sys.path.insert(0, str(Path(__file__).parents[1] / "leaderboard"))
from forging import make_key

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """Give the records file of a small run."""
    folder = tmp_path_factory.mktemp("sent")
    package.run(datasets=["digits"], prompts=["photo"], aligners=["identity"], metrics=["top1"], out=folder)
    return folder / "records" / "run.jsonl"


def test_a_submission_is_signed_and_verify_names_the_signer(gapbench, sent, tmp_path):
    public = make_key(tmp_path / "key")
    (tmp_path / "leaderboards" / "toy").mkdir(parents=True)
    (tmp_path / "leaderboards" / "allowed_signers").write_text(f"ada@example.org {public}\n")
    gapbench("leaderboard", "add", sent, "--to", "toy", "--sign", "key")
    assert len(list(tmp_path.glob("leaderboards/toy/records/*.jsonl.sig"))) == 1
    assert "signed by ada@example.org (1 records)" in gapbench("leaderboard", "verify", "toy").stdout
    (row,) = json.loads(gapbench("leaderboard", "verify", "toy", "--json").stdout)["rows"]
    assert row["signed_by"] == "ada@example.org"
    make_key(tmp_path / "other")
    (tmp_path / "signers").write_text(f"bob {(tmp_path / 'other.pub').read_text()}")
    told = " ".join(gapbench("leaderboard", "verify", "toy", "--signers", "signers", code=1).stdout.split())
    assert "its signature is of nobody that signers names" in told
    next(tmp_path.glob("leaderboards/toy/records/*.sig")).unlink()
    assert "not signed: " in gapbench("leaderboard", "verify", "toy").stdout


def test_a_signature_for_another_purpose_does_not_hold(gapbench, sent, tmp_path):
    public = make_key(tmp_path / "key")
    (tmp_path / "signers").write_text(f"ada {public}\n")
    gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "key")
    (file,) = (tmp_path / "toy" / "records").glob("*.jsonl")
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "letters", "-f", str(tmp_path / "key"), str(file)]
    file.with_name(file.name + ".sig").unlink()
    subprocess.run(command, check=True, capture_output=True)
    told = " ".join(gapbench("leaderboard", "verify", "toy", "--signers", "signers", code=1).stdout.split())
    assert "its signature by ada does not hold" in told or "its signature is of nobody" in told


def test_what_cannot_sign_is_a_sentence_and_adds_nothing(gapbench, sent, tmp_path):
    (tmp_path / "key").write_text("no key")
    told = gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "key", code=2)
    assert "key cannot sign" in told.stderr
    assert list(tmp_path.glob("toy/records/*.jsonl")) == []
    told = gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "nowhere", code=2)
    assert "nowhere cannot sign" in told.stderr
    hidden = {"PATH": str(tmp_path)}
    told = gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "key", code=2, env=hidden)
    assert "Signatures need ssh-keygen, which is not installed" in told.stderr
    told = gapbench("leaderboard", "verify", "toy", "--out", sent.parents[1], "--signers", "nobody", code=2)
    assert "There is no file nobody of allowed signers" in told.stderr


def test_a_submission_that_is_there_is_signed_later_and_nothing_is_signed_in_silence(gapbench, sent, tmp_path):
    make_key(tmp_path / "key")
    add = ["leaderboard", "add", sent, "--to", "toy", "--out", "toy"]
    gapbench(*add)
    (file,) = (tmp_path / "toy" / "records").glob("*.jsonl")
    assert "nowhere cannot sign" in gapbench(*add, "--sign", "nowhere", code=2).stderr
    assert not list(file.parent.glob("*.sig"))
    before = file.read_bytes()
    assert f"{Path('toy', 'records', file.name)} was signed" in gapbench(*add, "--sign", "key").stdout
    (tmp_path / "signers").write_text(f"ada {(tmp_path / 'key.pub').read_text()}")
    signature = file.with_name(file.name + ".sig")
    assert signer(before, signature, tmp_path / "signers") == ("ada", "")
    assert file.read_bytes() == before
    assert "nothing was signed" in gapbench(*add, "--sign", "key", code=1).stderr
    assert "nowhere cannot sign" in gapbench(*add, "--sign", "nowhere", code=2).stderr


def test_records_of_a_run_here_are_not_signed_as_a_submission(gapbench, sent, tmp_path):
    make_key(tmp_path / "key")
    shutil.copytree(sent.parent, tmp_path / "toy" / "records")
    told = gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "key", code=1)
    assert "nothing was signed" in told.stderr
    assert not list(tmp_path.glob("toy/records/*.sig"))


def test_every_name_of_a_key_is_tried(gapbench, sent, tmp_path):
    public = make_key(tmp_path / "key")
    limited = f'namespaces="letters" {public}'
    gapbench("leaderboard", "add", sent, "--to", "toy", "--out", "toy", "--sign", "key")
    (file,) = (tmp_path / "toy" / "records").glob("*.jsonl")
    signature = file.with_name(file.name + ".sig")
    for lines, name in (
        ([f"old {limited}", f"ada {public}"], "ada"),
        ([f"ada {public}", f"old {limited}"], "ada"),
        ([f"old {limited}", f"older {limited}"], ""),
    ):
        (tmp_path / "signers").write_text("\n".join(lines) + "\n")
        found, problem = signer(file.read_bytes(), signature, tmp_path / "signers")
        assert (found, bool(problem)) == (name, not name)
