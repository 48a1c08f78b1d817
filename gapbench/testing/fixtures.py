"""Pytest fixtures for plugin authors; pytest loads them by itself where gapbench is installed.

Nothing here is in force unless a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gapbench.testing.toys import ToyDataset, ToyEncoder, TwoCones


@pytest.fixture
def gapbench_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty store of embeddings in a temporary folder, in force for this test and its child processes."""
    store = tmp_path / "gapbench-store"
    monkeypatch.setenv("GAPBENCH_CACHE", str(store))
    return store


@pytest.fixture
def gapbench_without_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep installed plugins out of this test, so that it sees the same everywhere."""
    monkeypatch.setenv("GAPBENCH_PLUGINS", "")


@pytest.fixture
def toy_encoder() -> ToyEncoder:
    """Give an encoder without weights: colours of pictures, colours that texts name, and a gap between them."""
    from gapbench.testing.toys import ToyEncoder

    return ToyEncoder()


@pytest.fixture
def toy_dataset() -> ToyDataset:
    """Give a dataset of small pictures of one colour, with classes and captions."""
    from gapbench.testing.toys import ToyDataset

    return ToyDataset()


@pytest.fixture
def toy_cones() -> Callable[..., TwoCones]:
    """Give `gapbench.testing.two_cones`: pairs in two cones with a known rotation and translation."""
    from gapbench.testing.toys import two_cones

    return two_cones


@pytest.fixture
def no_global_changes() -> Iterator[None]:
    """Fail the test if it leaves environment variables, threads, random state or torch's flags other than they were."""
    from gapbench.testing.guards import no_global_changes as guard

    with guard():
        yield


@pytest.fixture
def check_gapbench_component() -> Callable[..., Any]:
    """Give a function that runs all checks on one component of a plugin module and returns the outcomes by name.

    ``check_gapbench_component(module, "aligner", "my-method")``
    """

    def check(plugin: Any, kind: str, name: str, argument: str | None = None) -> dict[str, Any]:
        from gapbench.host.registry import Kind, Origin
        from gapbench.host.validate import components_of, hooks_of
        from gapbench.testing.checks import check_component, subject_of

        origin = Origin(plugin.__name__, "", "", plugin.__name__)
        components = components_of(hooks_of(plugin), origin)
        (found,) = [one for one in components if one.kind is Kind(kind) and one.spec.name == name]
        return {outcome.check.name: outcome for outcome in check_component(subject_of(found, argument))}

    return check
