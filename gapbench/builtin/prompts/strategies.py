"""Prompt strategies that write the class name into templates."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from gapbench.builtin.published import imagenet_templates, published
from gapbench.components import PromptSet
from gapbench.errors import UsageError
from gapbench.specs import PromptContext

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Values of the parameter ``names``.
DATASET, OPENAI = "dataset", "openai"

#: Where a strategy is called for no dataset in particular.
ANYWHERE = PromptContext(dataset="")


def fields_of(template: str) -> list[str]:
    """Return the fields of a template, without braces.

    Raises
    ------
    ValueError
        It is none.
    """
    return [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]


def check_template(template: str, where: str) -> str:
    """Hold a template to its form: one field, ``{}`` or ``{c}``.

    Raises
    ------
    UsageError
        No field, several, or another one.
    """
    try:
        fields = fields_of(template)
    except ValueError as error:
        raise UsageError(
            f"{where}: {template!r} is no template ({error}); write {{}} where the class name goes."
        ) from error
    if fields not in ([""], ["c"]):
        other = next((field for field in fields if field not in {"", "c"}), None)
        found = f"{len(fields)} fields" if other is None else f"the field {{{other}}}"
        raise UsageError(f"{where}: {template!r} has {found}; write {{}} once, where the class name goes.")
    return template


def names_for(classes: Sequence[str], context: PromptContext, names: str) -> Sequence[str]:
    """Return what prompts call the classes: the dataset's names, or those that OpenAI published."""
    return classes if names == DATASET else published(classes, context).of(classes)


class Templates:
    """Every class in every template, averaged.

    Parameters
    ----------
    templates
        Strings with one ``{}`` or ``{c}``.
    names
        What the classes are called: `DATASET` or `OPENAI`.
    where
        Where the templates stand, for messages.
    """

    def __init__(self, *, templates: Sequence[str], names: str = DATASET, where: str = "prompts") -> None:
        self._templates = [check_template(template, where) for template in templates]
        self._names = names

    def prompts(self, classes: Sequence[str], context: PromptContext = ANYWHERE) -> PromptSet:
        """Write all prompts, class by class.

        Raises
        ------
        DataError
            Published names are wanted, and there are none for this dataset.
        """
        names = names_for(classes, context, self._names)
        return PromptSet(
            prompts=[template.format(name, c=name) for name in names for template in self._templates],
            owner=[row for row in range(len(classes)) for _ in self._templates],
        )


class OpenAi:
    """The templates and class names that OpenAI published for the dataset (Radford et al. 2021, arXiv 2103.00020).

    Parameters
    ----------
    names
        What the classes are called: `DATASET` or `OPENAI`.
    """

    def __init__(self, *, names: str = OPENAI) -> None:
        self._names = names

    def prompts(self, classes: Sequence[str], context: PromptContext = ANYWHERE) -> PromptSet:
        """Write all prompts, class by class.

        Raises
        ------
        DataError
            OpenAI published none for this dataset.
        """
        templates = published(classes, context).templates
        return Templates(templates=templates, names=self._names).prompts(classes, context)


def openai_80(*, names: str = DATASET) -> Templates:
    """Use the 80 templates for ImageNet with any dataset."""
    return Templates(templates=imagenet_templates(), names=names)


def template(text: str, *, names: str = DATASET) -> Templates:
    """Use one template from the command line."""
    return Templates(templates=[text], names=names, where="template")


class OwnCaptions:
    """Stands for the dataset's own captions; the runner takes them from the dataset."""

    def prompts(self, classes: Sequence[str]) -> PromptSet:
        """There are none to write."""
        raise UsageError(f"'captions' are the dataset's own texts; they cannot be written for {len(classes)} classes.")
