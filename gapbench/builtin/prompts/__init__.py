"""Built-in prompt strategies: specs only, implementations are imported when they are built."""

from __future__ import annotations

from gapbench.specs import PromptSpec

_MODULE = "gapbench.builtin.prompts.strategies"


def _templates(name: str, summary: str, *templates: str, default: bool = True) -> PromptSpec:
    return PromptSpec(
        name=name,
        factory=f"{_MODULE}:Templates",
        summary=summary,
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
        default=False,
    ),
    PromptSpec(
        name="openai-by-dataset",
        factory="gapbench.builtin.prompts.published:ByDataset",
        summary="OpenAI's templates for the dataset in hand, averaged (CLIP repository, data/prompts.md)",
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
    ),
    PromptSpec(
        name="file",
        factory=f"{_MODULE}:from_file",
        summary="templates, one a line, or a TOML table of class -> prompts, with or without weights",
        argument="PATH",
    ),
)
