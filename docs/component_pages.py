"""One page for each aligner and each metric, written from its spec and the docstring of its implementation.

Sphinx calls `write_pages` before it reads the sources, and autodoc writes the docstrings. Nothing of it is committed.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.validate import components_of, hooks_of
from gapbench.leaderboard.markdown import code, escape
from gapbench.specs import ActsOn, AlignerSpec, Better, MetricSpec, Need, Param

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from docutils.nodes import Element, TextElement, reference
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PLUGINS = Path(__file__).parent.parent / "plugins"

#: The example is the tutorial's; it is no method.
LEFT_OUT = {"gapbench-example"}

FOLDERS = {Kind.ALIGNER: "aligners", Kind.METRIC: "metrics"}

INTROS = {
    Kind.ALIGNER: "An aligner is a gap-closing method. Each page is made from its spec and its docstring.",
    Kind.METRIC: "Task metrics rank; gap metrics stand beside them. Each page is made from spec and docstring.",
}

NEEDS = {
    Need.UNPAIRED_IMAGES: "images of the fit split",
    Need.UNPAIRED_TEXTS: "texts of the fit split",
    Need.PAIRS: "pairs",
    Need.LABELS: "classes of the images",
    Need.CLASS_TEXTS: "one text a class",
    Need.CAPTIONS: "captions",
    Need.VALIDATION: "a validation slice of the fit split",
    Need.TEST_IMAGES: "unlabelled test images",
    Need.TEST_TEXTS: "test texts",
}

BETTER = {Better.HIGHER: "higher", Better.LOWER: "lower", Better.NEITHER: "neither: it describes"}


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for its sources, and link what docstrings say of one another."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("missing-reference", linked)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def linked(app: Sphinx, env: BuildEnvironment, node: Element, content: TextElement) -> reference | None:
    """Link the name of a component in a docstring to its page."""
    from sphinx.util.nodes import make_refnode  # late: the tests read the pages without Sphinx

    for folder in FOLDERS.values():
        page = f"{folder}/{node['reftarget']}"
        if page in env.found_docs:
            return make_refnode(app.builder, node["refdoc"], page, None, content)
    return None


def write_pages(docs: Path) -> None:
    """Write ``aligners/`` and ``metrics/`` below ``docs``; a page that has not changed is left as it is."""
    found = components()
    for kind, folder in FOLDERS.items():
        mine = [component for component in found if component.kind is kind]
        pages = {f"{component.spec.name}.md": page(component) for component in mine}
        pages["index.md"] = index(kind, mine)
        (docs / folder).mkdir(exist_ok=True)
        for old in {path.name for path in (docs / folder).glob("*.md")} - pages.keys():
            (docs / folder / old).unlink()
        for name, content in pages.items():
            path = docs / folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != content:
                path.write_text(content, encoding="utf-8")


def components() -> list[Component]:
    """Give the aligners and metrics of gapbench and of the distributions below ``plugins/``."""
    return [component for component in _registered() if component.kind in FOLDERS]


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
    lines = [f"# {text(spec.name)}", "", _sentence(spec.summary), ""]
    if component.origin.distribution != "gapbench":
        name = component.origin.distribution
        lines += [f"Comes with {code(name)}; from a checkout: {code(f'pip install plugins/{name}')}.", ""]
    if isinstance(spec, AlignerSpec):
        lines += _aligner(spec)
    elif isinstance(spec, MetricSpec):
        lines += _metric(spec)
    return "\n".join([*lines, *_docstrings(spec.factory)]) + "\n"


def _aligner(spec: AlignerSpec) -> list[str]:
    transductive = bool(spec.needs & {Need.TEST_IMAGES, Need.TEST_TEXTS})
    facts = {
        "family": spec.family,
        "needs": _needs(spec.needs),
        "acts on": "images and texts" if spec.acts_on is ActsOn.BOTH else str(spec.acts_on),
        "rows": "as the encoder gave them" if spec.raw else "unit rows",
        "stochastic": "yes" if spec.stochastic else "no",
        "transductive": "yes" if transductive else "no",
        **_rest(spec),
    }
    command = ["gapbench", "run", "-a", "identity", "-a", spec.name + _chosen(spec.params)]
    return [
        *_facts(facts),
        *_command([*command, "--protocol", "transductive"] if transductive else command),
        *_parameters(spec.params),
    ]


def _metric(spec: MetricSpec) -> list[str]:
    facts = {
        "family": str(spec.family),
        "unit": spec.unit,
        "better": BETTER[spec.better],
        "measured": "by default" if spec.default else "where it is asked for",
        "needs": _needs(spec.needs),
        **_rest(spec),
    }
    command = ["gapbench", "run", "-m", spec.name + _chosen(spec.params)]
    return [*_facts(facts), *_command(command), *_parameters(spec.params)]


def _needs(needs: frozenset[Need]) -> str:
    return ", ".join(NEEDS[need] for need in Need if need in needs) or "nothing in particular"


def _rest(spec: AlignerSpec | MetricSpec) -> dict[str, str]:
    """Tell what sets the component apart where several share a class, and where it comes from."""
    options = ", ".join(f"{key} = {_written(value)}" for key, value in spec.options.items())
    return ({"set to": options} if options else {}) | {"reference": spec.reference or "none"}


def _facts(facts: Mapping[str, str]) -> list[str]:
    return ["| | |", "|:--|:--|", *(f"| {name} | {text(value)} |" for name, value in facts.items()), ""]


def _command(words: Sequence[str]) -> list[str]:
    return ["```sh", shlex.join(words), "```", ""]


def _chosen(params: Mapping[str, Param]) -> str:
    """Show how a parameter is set: a sweep where there is a grid, else one value."""
    for name, param in params.items():
        if param.grid:
            return f"[{name}={','.join(map(_written, param.grid[:3]))}]"
    return next((f"[{name}={_written(param.default)}]" for name, param in params.items()), "")


def _parameters(params: Mapping[str, Param]) -> list[str]:
    if not params:
        return []
    lines = ["| parameter | default | allowed | `auto` chooses among | meaning |", "|:--|:--|:--|:--|:--|"]
    for name, param in params.items():
        cells = (code(name), code(_written(param.default)), _allowed(param), _values(param.grid), text(param.doc))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _allowed(param: Param) -> str:
    if param.choices or isinstance(param.default, bool):
        return _values(param.choices or (True, False))
    if param.low is not None and param.high is not None:
        return f"{_number(param.low)} to {_number(param.high)}"
    bounds = (("at least", param.low), ("at most", param.high))
    return next((f"{word} {_number(bound)}" for word, bound in bounds if bound is not None), "any")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _values(values: Iterable[object]) -> str:
    return ", ".join(code(_written(value)) for value in values)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(words: str) -> str:
    """Write text so that it stays text, also where MyST knows more marks than plain Markdown."""
    return re.sub(r"([${}])", r"\\\1", escape(words))


def _sentence(words: str) -> str:
    """Write a paragraph; its first character must open no list, no directive and no target."""
    words = re.sub(r"^(\d*)([-+:%().=])", r"\1\\\2", text(words))
    return f"{words[:1].upper()}{words[1:]}."


def _docstrings(factory: str) -> list[str]:
    """Let autodoc write what the implementation says of itself, and what the classes of its module say that it names."""
    home, _, attribute = factory.partition(":")
    module = importlib.import_module(home)
    named = re.findall(r"`(\w+)`", inspect.getdoc(getattr(module, attribute)) or "")
    parts: dict[str, Any] = {attribute: getattr(module, attribute)}
    parts |= {name: vars(module)[name] for name in named if isinstance(vars(module).get(name), type)}
    lines = ["## How it works", "", "```{eval-rst}"]
    for name, part in parts.items():
        lines += [f".. auto{'class' if isinstance(part, type) else 'function'}:: {home}.{name}", "   :no-index:", ""]
    return [*lines, "```"]


def index(kind: Kind, mine: Sequence[Component]) -> str:
    """Write the page that lists the others, by family."""
    families: dict[str, list[str]] = {}
    last = {Kind.ALIGNER: "from", Kind.METRIC: "better"}[kind]
    for component in mine:
        spec, name = component.spec, component.spec.name
        assert isinstance(spec, AlignerSpec | MetricSpec)
        cell = component.origin.distribution if isinstance(spec, AlignerSpec) else BETTER[spec.better]
        row = f"| [{code(name)}]({name}.md) | {text(spec.summary)} | {text(cell)} |"
        families.setdefault(spec.family, []).append(row)
    lines = [f"# {FOLDERS[kind].capitalize()}", "", INTROS[kind], ""]
    for family, rows in families.items():
        lines += [f"## {text(family[:1].upper() + family[1:])}", "", f"| name | what it is | {last} |", "|:--|:--|:--|"]
        lines += [*rows, ""]
    names = [component.spec.name for component in mine]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *names, "```"]) + "\n"
