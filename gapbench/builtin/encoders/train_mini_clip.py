"""Train `mini-clip`, the small dual encoder that ships with gapbench.

``python -m gapbench.builtin.encoders.train_mini_clip --out DIR`` makes the shipped weights again. Contrastive learning
as in CLIP (Radford et al., 2021, arXiv 2103.00020): open_clip's model, initialisation and loss, learnable temperature,
no term that touches the modality gap. It sees the train split only: the glyphs in white on black and in random colours,
moved by up to four pixels. Half of the captions name digit and colours, the others the digit alone, many of them in the
templates that OpenAI wrote for ImageNet.
"""

from __future__ import annotations

import argparse
import json
import math
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gapbench.builtin.datasets.digits import CLASSES, SIDE, contrasting, enlarge, glyphs, paint, split_rows
from gapbench.embeddings.fingerprint import hash_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

HOME = Path(__file__).parent / "mini_clip"
CONFIG, WEIGHTS, RECORD = "open_clip_config.json", "open_clip_model.safetensors", "training.json"
STEPS, BATCH, RATE, WARMUP, DECAY = 5000, 128, 2e-3, 200, 0.1

COLORED = (
    "a {color} {digit} on a {ground} ground",
    "the digit {digit} in {color} on {ground}",
    "a photo of a {color} {digit} on {ground}",
)
PLAIN = ("{digit}", "a {digit}", "the digit {digit}", "a photo of a {digit}", "a handwritten {digit}")


class Batches:
    """Draws batches of pictures ``(B, 3, 32, 32)`` in -1..1 and token rows ``(B, L)``."""

    def __init__(self, seed: int, tokenizer: Any) -> None:
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

        self._rng = np.random.default_rng(seed)
        self._tokenizer = tokenizer
        self._general = OPENAI_IMAGENET_TEMPLATES
        images, labels = glyphs()
        rows = split_rows("train")
        self._ink = np.stack([enlarge(images[row]) for row in rows])
        self._labels = labels[rows]
        self._pairs = contrasting()

    def captions(self) -> list[str]:
        """All strings that can occur: what is not in them is never trained."""
        digits = [template(digit) for template in self._general for digit in CLASSES]
        plain = [template.format(digit=digit) for template in PLAIN for digit in CLASSES]
        return digits + plain + [self._colored(t, "one", a, b) for t in COLORED for a, b in self._pairs]

    @staticmethod
    def _colored(template: str, digit: str, color: str, ground: str) -> str:
        return template.format(digit=digit, color=color, ground=ground)

    def draw(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw one batch."""
        rng = self._rng
        pictures: list[NDArray[np.uint8]] = []
        captions: list[str] = []
        for item in rng.integers(len(self._ink), size=size):
            digit = CLASSES[self._labels[item]]
            dy, dx = rng.integers(-4, 5, size=2)
            ink = np.roll(self._ink[item], (dy, dx), axis=(0, 1))
            color, ground = ("white", "black") if rng.random() < 1 / 3 else self._pairs[rng.integers(len(self._pairs))]
            pictures.append(paint(ink, color, ground))
            kind = rng.random()
            if kind < 1 / 2:
                captions.append(self._colored(COLORED[rng.integers(len(COLORED))], digit, color, ground))
            elif kind < 3 / 4:
                captions.append(PLAIN[rng.integers(len(PLAIN))].format(digit=digit))
            else:
                captions.append(self._general[rng.integers(len(self._general))](digit))
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
        return pixels / 127.5 - 1, self._tokenizer(captions)


def model_config() -> dict[str, Any]:
    """Read the architecture, as open_clip writes it."""
    config: dict[str, Any] = json.loads((HOME / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
    return config


@contextmanager
def repeatable(seed: int, threads: int) -> Iterator[None]:
    """Fix torch's seed, threads and algorithms, and put everything back afterwards."""
    before, exact = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.use_deterministic_algorithms(mode=exact)


def train(steps: int, *, seed: int, batch: int = BATCH) -> Any:
    """Train from scratch, on the CPU.

    Within `repeatable` the same arguments give the same weights, bit by bit, on the same kind of processor with the
    same library versions.
    """
    import open_clip
    from rich.progress import track

    config = model_config()
    model = open_clip.CLIP(**config)
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    batches = Batches(seed, tokenizer)
    trained = torch.unique(tokenizer(batches.captions()))
    with torch.no_grad():  # words that are never seen say nothing, instead of something random
        known = torch.zeros(len(model.token_embedding.weight), 1)
        known[trained] = 1
        model.token_embedding.weight.mul_(known)
    loss_of = open_clip.ClipLoss()
    decayed = [p for p in model.parameters() if p.ndim > 1 and p is not model.token_embedding.weight]
    others = [p for p in model.parameters() if p.ndim <= 1 or p is model.token_embedding.weight]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    model.train()
    for step in track(range(steps), description="training mini-clip"):
        share = step / steps
        factor = min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor
        pictures, tokens = batches.draw(batch)
        images, texts, scale = model(pictures, tokens)
        loss = loss_of(images, texts, scale)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % 250 == 0:
            print(f"step {step}: loss {loss.item():.3f}, scale {scale.item():.1f}", flush=True)  # noqa: T201 - the command's log
    model.eval()
    return model


def figures(model: Any) -> dict[str, float]:
    """Zero-shot accuracy and centroid distance on the test splits."""
    import open_clip

    from gapbench.builtin.datasets.digits import ColorDigits, Digits

    tokenizer = open_clip.SimpleTokenizer(context_length=model_config()["text_cfg"]["context_length"])

    def unit(rows: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(rows, dim=-1)

    found: dict[str, float] = {}
    with torch.no_grad():
        for name, dataset in (("digits", Digits(None)), ("color-digits", ColorDigits(None))):  # type: ignore[arg-type]
            split = dataset.split("test")
            pixels = np.stack([np.asarray(split.images[i]) for i in range(len(split.images))])
            pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
            images = unit(model.encode_image(pictures))
            for template in ("{}", "a photo of a {}", "a high-resolution photo of a cute {} in nature"):
                texts = unit(model.encode_text(tokenizer([template.format(digit) for digit in CLASSES])))
                hits = (images @ texts.T).argmax(1).numpy() == split.labels
                found[f"{name}, {template!r}, top1"] = round(float(hits.mean()), 4)
                distance = float((images.mean(0) - texts.mean(0)).norm())
                found[f"{name}, {template!r}, centroid distance"] = round(distance, 4)
            if split.captions is not None:
                captions = unit(model.encode_text(tokenizer([own[0] for own in split.captions])))
                distance = float((images.mean(0) - captions.mean(0)).norm())
                found[f"{name}, captions, centroid distance"] = round(distance, 4)
                hits = (images @ captions.T).argmax(1) == torch.arange(len(images))
                found[f"{name}, captions, image-to-text recall@1"] = round(float(hits.float().mean()), 4)
    return found


def save(model: torch.nn.Module, out: Path, record: dict[str, Any]) -> None:
    """Write float16 weights, the model's configuration and the record of the training with the weights' hash."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    state = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(state, out / WEIGHTS)
    (out / WEIGHTS).chmod(0o644)  # safetensors leaves it readable by its owner only
    if out.resolve() != HOME.resolve():
        (out / CONFIG).write_text((HOME / CONFIG).read_text(encoding="utf-8"), encoding="utf-8")
    record = {**record, "sha256": hash_file(out / WEIGHTS), "bytes": (out / WEIGHTS).stat().st_size}
    (out / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description="Train mini-clip, the dual encoder that ships with gapbench.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, configuration and training.json")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="another number of threads may round differently")
    options = parser.parse_args(arguments)
    start = perf_counter()
    with repeatable(options.seed, options.threads):
        model = train(options.steps, seed=options.seed)
        seconds = perf_counter() - start
        model = model.half().float()  # measure what is shipped
        found = figures(model)
    record = {
        "command": f"python -m gapbench.builtin.encoders.train_mini_clip --out DIR --steps {options.steps} "
        f"--seed {options.seed} --threads {options.threads}",
        "steps": options.steps,
        "batch": BATCH,
        "seed": options.seed,
        "threads": options.threads,
        "optimizer": f"AdamW, {RATE} cosine after {WARMUP} steps of warm-up, weight decay {DECAY}, gradient norm <= 1",
        "image": {"side": SIDE},
        "model_cfg": model_config(),
        "versions": {name: version(name) for name in ("torch", "open_clip_torch", "numpy", "pillow", "scikit-learn")},
        "minutes": round(seconds / 60, 1),
        "figures": found,
    }
    save(model, options.out, record)
    print(json.dumps(found, indent=2))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
