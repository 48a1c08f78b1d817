"""The templates that OpenAI published for each dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapbench.builtin.prompts.strategies import Templates
from gapbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.components import PromptSet
    from gapbench.specs import PromptContext

_PHOTO = ("a photo of a {}.", "a photo of the {}.")
_LOOKS = ("blurry", "black and white", "low contrast", "high contrast", "bad", "good")
_CIFAR = tuple(
    f"a {look}photo of {article} {size}{{}}."
    for article in ("a", "the")
    for look, size in (("", ""), *((f"{look} ", "") for look in _LOOKS), ("", "small "), ("", "big "))
)
_STYLES = (
    "a photo of {} {{}}.", "a painting of {} {{}}.", "{plain}plastic {{}}.", "a sculpture of {} {{}}.",
    "a sketch of {} {{}}.", "a tattoo of {} {{}}.", "{plain}toy {{}}.", "a rendition of {} {{}}.",
    "{plain}embroidered {{}}.", "{plain}cartoon {{}}.", "{plain}{{}} in a video game.", "{plain}plushie {{}}.",
    "{plain}origami {{}}.", "art of {} {{}}.", "graffiti of {} {{}}.", "a drawing of {} {{}}.", "a doodle of {} {{}}.",
)  # fmt: skip
_TEXTURES = tuple(
    f"a photo of {article} {{}} {what}."
    for article in ("a", "the")
    for what in ("texture", "pattern", "thing", "object")
)

#: By gapbench's names of the datasets; from the file ``data/prompts.md`` of OpenAI's repository CLIP, commit 04f4dc2 (MIT).
TEMPLATES: dict[str, tuple[str, ...]] = {
    "stl10": _PHOTO,
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "food101": ("a photo of {}, a type of food.",),
    "oxford-iiit-pet": ("a photo of a {}, a type of pet.",),
    "flowers102": ("a photo of a {}, a type of flower.",),
    "dtd": _TEXTURES,
    "eurosat": (
        "a centered satellite photo of {}.",
        "a centered satellite photo of a {}.",
        "a centered satellite photo of the {}.",
    ),
    "mnist": ('a photo of the number: "{}".',),
    "caltech101": tuple(style.format(article, plain=f"{article} ") for article in ("a", "the") for style in _STYLES),
}


class ByDataset:
    """Every class in every template that OpenAI used for the dataset, averaged (Radford et al. 2021, arXiv 2103.00020)."""

    def prompts(self, classes: Sequence[str], context: PromptContext) -> PromptSet:
        """Write all prompts, class by class.

        Raises
        ------
        DataError
            OpenAI published none for this dataset.
        """
        if context.dataset not in TEMPLATES:
            raise DataError(
                f"OpenAI published no templates for the dataset {context.dataset!r}, only for {', '.join(TEMPLATES)}. Take "
                "another prompt strategy for it, such as photo or openai-80."
            )
        return Templates(templates=TEMPLATES[context.dataset]).prompts(classes)
