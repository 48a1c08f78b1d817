"""``page.html``: the leaderboard as one file that opens from disk, sorts, filters and shows every record.

The table is drawn by DataTables, the plots by Observable Plot; both lie in ``vendor/`` and are put into the page.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
import markupsafe

from gapbench.leaderboard.headline import headlines
from gapbench.leaderboard.page.data import page_data
from gapbench.leaderboard.text import legend
from gapbench.model.names import slug
from gapbench.model.plain import one_line, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gapbench.leaderboard.table import Table
    from gapbench.model.study import Study
    from gapbench.specs import MetricSpec

#: Bytes of a page, so that it can be sent and opens at once.
MOST = 2_000_000

#: Run in this order; each is put into the page as it is, and the page allows no other.
SCRIPTS = ("vendor/d3.min.js", "vendor/plot.min.js", "vendor/datatables.min.js", "plots.js", "table.js")
STYLES = ("vendor/datatables.min.css", "page.css")
LICENCES = {"DataTables": "datatables", "D3": "d3", "Observable Plot": "plot"}


def page(tables: Sequence[Table], folder: Path, study: Study, specs: Mapping[str, MetricSpec], *, command: str) -> str:
    """Write the page, at most `MOST` bytes; pictures that lie in ``figures/`` below ``folder`` are put in while they fit."""
    frame = _render(tables, study, specs, command, "{}", "", [])
    data, left_out = page_data(tables, study, specs, MOST - len(frame.encode()) - 1000)
    room = MOST - len(frame.encode()) - len(data.encode()) - 1000
    return _render(tables, study, specs, command, data, left_out, _pictures(tables, folder, room))


def _render(
    tables: Sequence[Table],
    study: Study,
    specs: Mapping[str, MetricSpec],
    command: str,
    data: str,
    left_out: str,
    pictures: Sequence[tuple[str, str]],
) -> str:
    scripts = [_file(name) for name in SCRIPTS]
    return _template().render(
        study=study,
        command=command,
        headlines=headlines([table for table in tables if not table.stale], specs),
        stale=[table for table in tables if table.stale],
        legend=legend(tables),
        data=markupsafe.Markup(data),  # noqa: S704 - JSON whose angle brackets and ampersands are escaped
        left_out=left_out,
        pictures=pictures,
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        styles=[_file(name) for name in STYLES],
        licences={name: _file(f"vendor/{stem}.LICENSE") for name, stem in LICENCES.items()},
    )


def _pictures(tables: Sequence[Table], folder: Path, room: int) -> list[tuple[str, str]]:
    """Give title and data address of the pictures of spaces, as many as there is room for: all UMAPs, then PCA."""
    found = []
    titles = {slug(table.encoder, table.dataset, table.prompts): table.title for table in tables}
    for method in ("umap", "pca"):
        for path in sorted((folder / "figures").glob(f"{method}-*.png")):
            title = titles.get(path.stem.partition("-")[2])
            if title is None or not path.is_file():
                continue
            address = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
            room -= len(address) + 500
            if room >= 0:
                found.append((f"{method.upper()} of {title}, before and after alignment", address))
    return found


@cache
def _file(name: str) -> markupsafe.Markup:
    """Read a file that is part of the page as it is."""
    text = (files("gapbench.leaderboard.page") / name).read_text(encoding="utf-8")
    assert not name.endswith(".js") or "</script" not in text, f"{name} would end the script that it stands in"
    return markupsafe.Markup(text)  # noqa: S704 - ours, or vendored


def _hash(script: str) -> str:
    """Name a script for the content security policy: only these run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_plain,
    )
    environment.filters["coded"] = _coded
    return environment.from_string(_file("page.html.jinja"))


def _plain(value: object) -> object:
    """Show what steers in text of others; markup is ours."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value


def _coded(text: str) -> markupsafe.Markup:
    """Write text with what stands between backticks as code."""
    parts = [markupsafe.escape(part) for part in one_line(text).split("`")]
    return markupsafe.Markup("").join(
        markupsafe.Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )
