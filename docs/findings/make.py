"""Write the findings page: run the studies of this folder, then make tables, sentences and figures of their records.

    pip install . plugins/gapbench-hubness plugins/gapbench-transport plugins/gapbench-adapters
    python docs/findings/make.py --data DIR     # DIR holds the embedding files: run, keep the records, write the page
    python docs/findings/make.py                # write the page again from the records that are kept

Every number on the page comes from the records; the template holds words only.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gapbench.results import journal

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
STUDIES = ("classes", "captions", "transductive", "procrustes-in-sample", "procrustes-held-out")
sys.path.insert(0, str(HERE))

import facts  # noqa: E402 - the folder is no package
import pictures  # noqa: E402
import reading  # noqa: E402


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the embedding files")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where the page and its figures go")
    parser.add_argument("--jobs", default="2", help="processes")
    options = parser.parse_args()
    if options.data is not None:
        for study in STUDIES:
            run(study, options.data.resolve(), options.jobs)
    write(options.out)


def run(study: str, data: Path, jobs: str) -> None:
    """Run one study where its embedding files lie, and keep its records."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gapbench", "run", "--study", str(HERE / f"{study}.toml")]
        command += ["--out", folder, "--no-figures", "--jobs", jobs]
        subprocess.run(command, cwd=data, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        for suffix in reading.KEPT:
            content = journal.run_file(Path(folder)).with_suffix(suffix).read_bytes()
            (HERE / f"{study}{suffix}.gz").write_bytes(gzip.compress(content, mtime=0))


def write(out: Path) -> None:
    """Write the page and its figures."""
    found = facts.everything({study: reading.load(HERE, study) for study in STUDIES})
    out.mkdir(parents=True, exist_ok=True)
    (out / "index.md").write_text(render("page.md.jinja", found).rstrip() + "\n", encoding="utf-8")
    pictures.draw(found, out)


def render(template: str, found: Mapping[str, Any]) -> str:
    """Put facts into words."""
    environment = Environment(  # the page is Markdown, and its text is ours
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {"percent": facts.percent, "signed": facts.signed, "code": facts.code}
    return environment.get_template(template).render(found)


if __name__ == "__main__":
    main()
