"""Prompt strategies with one fault each."""

import contextlib
import dataclasses
import random
import socket
import time

from testing.mutants import Plants

import gapbench
from gapbench.host.registry import Kind
from gapbench.specs import Pooling, PromptSpec

EVERY, APART, EACH = "writes a prompt for every class", "tells classes apart", "writes the same each time"
ORDER, ONE, NAMES = (
    "writes the same whatever the order of the classes", "writes for one class", "leaves the class names unchanged",
)  # fmt: skip
SIZE, GLOBAL = "writes prompts of a size that can be read", "leaves global state alone"
NETWORK, CLOCK, FILES, PROCESS = (
    "uses no network", "does not depend on the clock", "leaves no files behind", "is the same in another process",
)  # fmt: skip

plant = Plants(Kind.PROMPTS, __name__, lambda **fields: PromptSpec(**{"summary": "s", **fields}))


def changed(found, /, **fields):
    return dataclasses.replace(found, **fields)


@plant()
class TwoTemplates:
    """Correct: two templates."""

    templates = ("a photo of a {}", "a drawing of a {}")

    def prompts(self, classes):
        pairs = [(template.replace("{}", name), row) for row, name in enumerate(classes) for template in self.templates]
        texts, owner = zip(*pairs, strict=True)
        return gapbench.PromptSet(prompts=texts, owner=owner, pooling=Pooling.MEAN)


@plant()
class WithContext(TwoTemplates):
    """Correct: goes by the dataset, and weighs its prompts."""

    def prompts(self, classes, context):
        found = super().prompts(classes)
        texts = [f"{text} of {context.dataset}" for text in found.prompts]
        return changed(found, prompts=texts, weights=[1.0, 0.5] * len(classes))


@plant()
class Nearest(TwoTemplates):
    """Correct: the nearest prompt wins."""

    def prompts(self, classes):
        return changed(super().prompts(classes), pooling=Pooling.NEAREST)


@plant("each class owns the prompts of its neighbour", ORDER)
class OwnersRotated(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, owner=[(owner + 1) % len(classes) for owner in found.owner])


@plant("owners go by the sorted names", ORDER)
class OwnersSorted(TwoTemplates):
    def prompts(self, classes):
        return changed(super().prompts(sorted(classes)), owner=super().prompts(classes).owner)


@plant("writes other prompts each time it is asked", EACH)
class CountsItsCalls(TwoTemplates):
    calls = 0

    def prompts(self, classes):
        self.calls += 1
        found = super().prompts(classes)
        return changed(found, prompts=[f"{prompt} {self.calls}" for prompt in found.prompts])


@plant("shuffles prompts and owners each time", EACH)
class Shuffles(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        order = random.Random().sample(range(len(found.prompts)), len(found.prompts))
        return changed(found, prompts=[found.prompts[i] for i in order], owner=[found.owner[i] for i in order])


@plant("keeps the prompts of the first classes it saw", ONE, ORDER, EVERY)
class KeepsTheFirst(TwoTemplates):
    kept = None

    def prompts(self, classes):
        type(self).kept = self.kept or super().prompts(classes)
        return self.kept


@plant("owners are no whole numbers", EVERY)
class OwnersNotWhole(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, owner=[owner + 0.4 for owner in found.owner])


@plant("owners are the names of classes", EVERY)
class OwnersAreNames(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, owner=[classes[owner] for owner in found.owner])


@plant("the last class has no prompt", EVERY)
class NothingForTheLast(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=found.prompts[:-2], owner=found.owner[:-2])


@plant("an owner is no class", EVERY)
class OwnerTooLarge(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, owner=[owner + 1 for owner in found.owner])


@plant("a prompt is empty", EVERY)
class EmptyPrompt(TwoTemplates):
    templates = ("a photo of a {}", "")


@plant("a prompt is no string", EVERY)
class NoString(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=[None, *found.prompts[1:]])


@plant("more owners than prompts", EVERY)
class MoreOwners(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, owner=[*found.owner, 0])


@plant("gives a list", EVERY)
class GivesAList(TwoTemplates):
    def prompts(self, classes):
        return list(super().prompts(classes).prompts)


@plant("its pooling is a word of its own", EVERY)
class OddPooling(TwoTemplates):
    def prompts(self, classes):
        return changed(super().prompts(classes), pooling="median")


@plant("all classes have one prompt", APART, EVERY)
class OneForAll(TwoTemplates):
    templates = ("a photo", "a drawing")


@plant("two classes share a prompt", APART)
class FirstWord(TwoTemplates):
    def prompts(self, classes):
        return super().prompts([name.split()[-1] for name in classes])


@plant("takes class names for formats", APART, EVERY, ORDER, "writes for one class", raises=True)
class Formats(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=[prompt.format(braces="{braces}", x="") % () for prompt in found.prompts])


@plant("a class has one prompt twice", SIZE)
class PromptTwice(TwoTemplates):
    templates = ("a photo of a {}", "a photo of a {}")


@plant("two thousand prompts a class", SIZE)
class TooMany(TwoTemplates):
    templates = tuple(f"photo {number} of a {{}}" for number in range(2000))


@plant("weights are negative", EVERY)
class NegativeWeights(TwoTemplates):
    def prompts(self, classes):
        return changed(super().prompts(classes), weights=[1.0, -1.0] * len(classes))


@plant("weights without a mean to weigh", EVERY)
class WeightsOfNearest(TwoTemplates):
    def prompts(self, classes):
        return changed(super().prompts(classes), weights=[1.0, 1.0] * len(classes), pooling=Pooling.NEAREST)


@plant("the first class is written otherwise", ORDER)
class FirstOtherwise(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=[f"the first: {found.prompts[0]}", *found.prompts[1:]])


@plant("numbers the classes", ORDER)
class Numbers(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        texts = [f"{owner}. {prompt}" for prompt, owner in zip(found.prompts, found.owner, strict=True)]
        return changed(found, prompts=texts)


@plant("fails on a single class", ONE, raises=True)
class NeedsTwo(TwoTemplates):
    def prompts(self, classes):
        classes[1]
        return super().prompts(classes)


@plant("depends on the time", CLOCK)
class DependsOnTime(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=[f"{prompt} at {int(time.time())}" for prompt in found.prompts])


@plant("asks a language model over the network", NETWORK)
class AsksNetwork(TwoTemplates):
    def prompts(self, classes):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 0.05)
        return super().prompts(classes)


@plant("writes its prompts into the working folder", FILES)
class WritesHere(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        with open("prompts.txt", "w", encoding="utf-8") as file:
            file.write("\n".join(found.prompts))
        return found


@plant("draws from Python's generator", EACH, GLOBAL)
class DrawsGlobally(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        return changed(found, prompts=[f"{prompt} {random.random():.3f}" for prompt in found.prompts])


@plant("goes over a set", PROCESS)
class GoesOverASet(TwoTemplates):
    def prompts(self, classes):
        found = super().prompts(classes)
        order = [int(one) for one in {str(number) for number in range(len(found.prompts))}]
        return changed(found, prompts=[found.prompts[i] for i in order], owner=[found.owner[i] for i in order])


@gapbench.hookimpl
def gapbench_prompts():
    """Register all of them, for a process of their own."""
    return [one.spec for one in plant.all]
