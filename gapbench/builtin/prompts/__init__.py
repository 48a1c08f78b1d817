"""Built-in prompt strategies: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import Param, PromptSpec

_MODULE = "gapbench.builtin.prompts.strategies"
_FILES = "gapbench.builtin.prompts.files"


def _names(default: str) -> dict[str, Param]:
    """Declare whose class names prompts use."""
    doc = "what classes are called: as the dataset calls them, or as OpenAI published them for it"
    return {"names": Param(default=default, choices=("dataset", "openai"), doc=doc)}


def _templates(name: str, summary: str, *templates: str, default: bool = True) -> PromptSpec:
    return PromptSpec(
        name=name,
        factory=f"{_MODULE}:Templates",
        summary=summary,
        params=_names("dataset"),
        options={"templates": templates},
        default=default,
    )


SPECS = (
    _templates("plain", "the class name alone", "{}"),
    _templates("photo", '"a photo of a {}"', "a photo of a {}"),
    _templates(
        "descriptive",
        '"a high-resolution photo of a cute {} in nature"',
        "a high-resolution photo of a cute {} in nature",
    ),
    _templates(
        "openai-2",
        "OpenAI's two templates for STL-10, averaged",
        "a photo of a {}.",
        "a photo of the {}.",
        default=False,
    ),
    PromptSpec(
        name="openai-80",
        factory=f"{_MODULE}:openai_80",
        summary="OpenAI's 80 ImageNet templates, averaged (from open_clip)",
        params=_names("dataset"),
        default=False,
    ),
    PromptSpec(
        name="openai",
        factory=f"{_MODULE}:OpenAi",
        summary="OpenAI's templates and class names for the dataset in hand, averaged",
        params=_names("openai"),
        default=False,
    ),
    PromptSpec(
        name="captions",
        factory=f"{_MODULE}:OwnCaptions",
        summary="no prompts: the dataset's own captions, for retrieval",
    ),
    PromptSpec(
        name="template",
        factory=f"{_MODULE}:template",
        summary='any template, such as template:"a sketch of a {}"',
        argument="TEMPLATE",
        params=_names("dataset"),
    ),
    PromptSpec(
        name="file",
        factory=f"{_FILES}:from_file",
        summary="templates (lines, JSON) or a table of class -> prompts (TOML, JSON), also by dataset",
        argument="PATH",
        params=_names("dataset"),
    ),
    PromptSpec(
        name="cupl",
        factory=f"{_FILES}:cupl",
        summary="sentences by class as CuPL writes them, in JSON; those for other classes are not used",
        argument="PATH",
        params=_names("dataset"),
    ),
)
