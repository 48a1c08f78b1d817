"""Templates of new plugins, and how they are filled in."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gapbench import __version__
from gapbench.hookspecs import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent

#: Licences by their SPDX name; ``none`` leaves the choice open.
LICENCES = ("MIT", "BSD-3-Clause", "Apache-2.0", "none")

#: What to type to see the new component at work.
TRY_IT = {
    "aligner": "gapbench run -d digits -p photo -a identity -a {name}",
    "encoder": "gapbench run -e {name} -d digits -p photo",
    "dataset": "gapbench run -d {name} -p photo",
    "prompts": "gapbench run -d digits -p photo -p {name}",
    "metric": "gapbench run -d digits -p photo -m {name} -m top1",
}


def distribution(kind: str, name: str, *, licence: str, author: str) -> dict[str, str]:
    """Give the files of a new distribution: path below its folder, and text."""
    words = _words(kind, name, licence=licence, author=author)
    package = words["package"]
    files = {
        "pyproject.toml": _filled("common/pyproject.toml.jinja", words),
        "README.md": _filled("common/README.md.jinja", words),
        ".gitignore": _filled("common/gitignore.jinja", words),
        "CITATION.cff": _filled("common/citation.cff.jinja", words),
        ".github/workflows/tests.yml": _filled("common/workflow.yml.jinja", words),
        ".github/workflows/publish.yml": _filled("common/publish.yml.jinja", words),
        f"{package}/__init__.py": _filled(f"kinds/{kind}/init.py.jinja", words),
        f"{package}/{kind}.py": _filled(f"kinds/{kind}/impl.py.jinja", words),
        f"{package}/py.typed": "",
        "tests/test_contract.py": _filled("common/test_contract.py.jinja", words),
        f"tests/test_{kind}.py": _filled(f"kinds/{kind}/test.py.jinja", words),
    }
    if licence != "none":
        files["LICENSE"] = _filled(f"licences/{licence}.txt", words)
    return files


def single_file(kind: str, name: str) -> dict[str, str]:
    """Give the one file of a plugin that is tried with ``--plugin``."""
    words = _words(kind, name, licence="none", author="")
    return {words["file"]: _filled(f"kinds/{kind}/single.py.jinja", words)}


def _words(kind: str, name: str, *, licence: str, author: str) -> dict[str, Any]:
    plain = name.replace("-", "_").replace(".", "_")
    module = plain if not plain[0].isdigit() else f"_{plain}"
    author = author or f"The gapbench-{name} authors"
    return {
        "kind": kind,
        "name": name,
        "distribution": f"gapbench-{name}",
        "package": f"gapbench_{plain}",
        "module": module,
        "file": f"{module}.py",
        "class_name": _class_name(name),
        "description": f"The {kind if kind != 'prompts' else 'prompt strategy'} {name}",
        "spdx": "" if licence == "none" else licence,
        "author": author,
        "quoted_author": json.dumps(author, ensure_ascii=False),  # TOML and YAML read it as JSON does
        "version": __version__,
        "repository": f"https://github.com/OWNER/gapbench-{name}",
        "year": dt.datetime.now(tz=dt.UTC).year,
        "contract": CONTRACT,
        "try_it": TRY_IT[kind].format(name=name),
    }


def _class_name(name: str) -> str:
    made = "".join(part[:1].upper() + part[1:] for part in name.replace(".", "-").split("-"))
    return made if made.isidentifier() else f"My{made}"


def _filled(template: str, words: Mapping[str, Any]) -> str:
    environment = Environment(  # code and Markdown, not HTML
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    return environment.get_template(template).render(words)
