"""The findings page says what its records say, and nothing else."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "findings"


def test_the_page_is_what_its_records_give(tmp_path):
    subprocess.run([sys.executable, FOLDER / "make.py", "--out", tmp_path], check=True)
    assert (tmp_path / "index.md").read_text() == (FOLDER / "index.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "gap-and-task.png", "gap-and-task.svg", "gapbench.sha256", "index.md", "procrustes.png", "procrustes.svg"
    ]  # fmt: skip


def test_the_template_holds_no_result():
    """Numbers in the template are file names, headings and settings; a measured one would carry a decimal point."""
    words = (FOLDER / "page.md.jinja").read_text()
    outside = "".join(part.split("}}")[-1].split("%}")[-1] for part in words.replace("{%", "{{").split("{{"))
    assert not [word for word in outside.split() if any(c.isdigit() for c in word) and "." in word.strip(".,:;)")]
