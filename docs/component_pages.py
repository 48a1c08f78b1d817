"""One page for each aligner and each metric, written from its spec and the docstring of its implementation.

Sphinx calls `write_pages` before it reads the sources. Nothing that it writes is committed.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.validate import components_of, hooks_of
from gapbench.leaderboard.markdown import code, escape
from gapbench.specs import AlignerSpec, MetricSpec, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
PLUGINS = DOCS.parent / "plugins"

#: The example is the tutorial's; it is no method.
LEFT_OUT = {"gapbench-example"}

NEEDS = {
    Need.UNPAIRED_IMAGES: "images of the fit split",
    Need.UNPAIRED_TEXTS: "texts of the fit split",
    Need.PAIRS: "pairs of the fit split",
    Need.LABELS: "classes of the images",
    Need.CLASS_TEXTS: "one text a class",
    Need.CAPTIONS: "captions",
    Need.VALIDATION: "a validation slice of the fit split",
    Need.TEST_IMAGES: "unlabelled test images",
    Need.TEST_TEXTS: "test texts",
}


def setup(app: Sphinx) -> None:
    """Write the pages before Sphinx looks for its sources."""
    app.connect("builder-inited", lambda _: write_pages(DOCS))


def write_pages(docs: Path) -> None:
    """Write ``aligners/`` and ``metrics/`` below ``docs``; a page that has not changed is left as it is."""
    found = components()
    for kind, folder, intro in (
        (
            Kind.ALIGNER,
            "aligners",
            "An aligner is a gap-closing method. Each page is made from its spec and its docstring.",
        ),
        (
            Kind.METRIC,
            "metrics",
            "Task metrics rank; gap metrics stand beside them. Each page is made from spec and docstring.",
        ),
    ):
        mine = [component for component in found if component.kind is kind]
        pages = {f"{component.spec.name}.md": page(component) for component in mine}
        pages["index.md"] = index(folder.capitalize(), intro, mine)
        (docs / folder).mkdir(exist_ok=True)
        for old in {path.name for path in (docs / folder).glob("*.md")} - pages.keys():
            (docs / folder / old).unlink()
        for name, text in pages.items():
            path = docs / folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")


def components() -> list[Component]:
    """Give the aligners and metrics of gapbench and of the distributions below ``plugins/``."""
    return [component for component in _registered() if component.kind in (Kind.ALIGNER, Kind.METRIC)]


def _registered() -> Iterable[Component]:
    yield from components_of(hooks_of(importlib.import_module("gapbench.builtin")), Origin("gapbench", "", "", ""))
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        if told["name"] in LEFT_OUT:
            continue
        sys.path.insert(0, str(project.parent))
        for module in told["entry-points"]["gapbench"].values():
            origin = Origin(told["name"], told["version"], "", module)
            yield from components_of(hooks_of(importlib.import_module(module)), origin)


def page(component: Component) -> str:
    """Write the page of one component."""
    spec = component.spec
    lines = [f"# {spec.name}", "", f"{escape(spec.summary)[:1].upper()}{escape(spec.summary)[1:]}.", ""]
    if component.origin.distribution != "gapbench":
        lines += [
            f"Comes with `{component.origin.distribution}`: `pip install plugins/{component.origin.distribution}`.",
            "",
        ]
    if isinstance(spec, AlignerSpec):
        lines += _aligner(spec)
    elif isinstance(spec, MetricSpec):
        lines += _metric(spec)
    return "\n".join([*lines, *_docstring(spec.factory)]) + "\n"


def _aligner(spec: AlignerSpec) -> list[str]:
    needs = ", ".join(NEEDS[need] for need in Need if need in spec.needs) or "nothing"
    transductive = bool(spec.needs & {Need.TEST_IMAGES, Need.TEST_TEXTS})
    facts = {
        "family": spec.family,
        "reads": needs,
        "changes": str(spec.acts_on),
        "rows": "raw" if spec.raw else "unit rows",
        "stochastic": "yes" if spec.stochastic else "no",
        "protocol": "transductive" if transductive else "held-out or in-sample",
        "reference": spec.reference or "none",
    }
    some = next(((name, param) for name, param in spec.params.items() if param.grid), None)
    chosen = f"[{some[0]}={','.join(_written(value) for value in some[1].grid[:3])}]" if some else ""
    command = f"gapbench run -a identity -a '{spec.name}{chosen}'" + " --protocol transductive" * transductive
    lines = [*_facts(facts), "", "```sh", command, "```", ""]
    if spec.params:
        lines += ["| parameter | default | allowed | `auto` chooses among | meaning |", "|:--|:--|:--|:--|:--|"]
        for name, param in spec.params.items():
            allowed = ", ".join(map(_written, param.choices)) or _range(param.low, param.high)
            grid = ", ".join(map(_written, param.grid))
            lines.append(
                f"| {code(name)} | {code(_written(param.default))} | {allowed} | {grid} | {escape(param.doc)} |"
            )
        lines.append("")
    return lines


def _metric(spec: MetricSpec) -> list[str]:
    facts = {
        "family": str(spec.family),
        "unit": spec.unit,
        "better": str(spec.better),
        "measured": "by default" if spec.default else "where it is asked for",
        "needs": ", ".join(NEEDS[need] for need in Need if need in spec.needs) or "nothing in particular",
        "reference": spec.reference or "none",
    }
    return [*_facts(facts), "", "```sh", f"gapbench run -m '{spec.name}'", "```", ""]


def _facts(facts: dict[str, str]) -> list[str]:
    return ["| | |", "|:--|:--|", *(f"| {name} | {escape(value)} |" for name, value in facts.items())]


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any"
    return f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _docstring(factory: str) -> list[str]:
    """Let autodoc write what the implementation says of itself: its formula, its parameters, its cost."""
    module, _, attribute = factory.partition(":")
    kind = "class" if isinstance(getattr(importlib.import_module(module), attribute), type) else "function"
    return ["## How it works", "", "```{eval-rst}", f".. auto{kind}:: {module}.{attribute}", "   :no-index:", "```"]


def index(title: str, intro: str, mine: Sequence[Component]) -> str:
    """Write the page that lists the others."""
    families: dict[str, list[Component]] = {}
    for component in mine:
        families.setdefault(str(component.spec.family), []).append(component)  # type: ignore[attr-defined]
    lines = [f"# {title}", "", intro, ""]
    for family, members in families.items():
        lines += [f"## {family.capitalize()}", "", "| name | what it is | from |", "|:--|:--|:--|"]
        for component in members:
            name = component.spec.name
            lines.append(
                f"| [{code(name)}]({name}.md) | {escape(component.spec.summary)} | {component.origin.distribution} |"
            )
        lines.append("")
    names = [component.spec.name for component in mine]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *names, "```"]) + "\n"
