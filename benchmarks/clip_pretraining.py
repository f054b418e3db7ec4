"""Two CLIPs of one architecture from the same pictures in the same time: textdiff's and open_clip's
training loop, judged by retrieval on the test split.

    python benchmarks/clip_pretraining.py --minutes 20 --json out/clip_pretraining.json
    python benchmarks/clip_pretraining.py --steps 4000 --only ours --max-shift 4 --seed 1

ours       textdiff train-clip with --config; flags that are not listed below go to it
open_clip  open_clip_train.train.train_one_epoch as it stands, on open_clip's CLIP of the same
           settings, ClipLoss, and the train transform of open_clip.image_transform. Optimizer and
           schedule are those of open_clip_train's main with its defaults for a ViT, but for the
           learning rate and the warm-up, which are ours: its own suit longer runs. The weights
           start as ours do, batch, precision and captions are ours.

Both get the same device, threads and time; time counts from the first batch, data are in memory by
then. open_clip's transforms run in the training process, on its threads (open_clip_train's default
is 4 worker processes besides). Either may run on a GPU; --steps bounds both by steps instead, to
try recipes there.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from protocol import machine
from torch import Tensor

from textdiff.clip import ClipModel, source
from textdiff.config import parse_flags
from textdiff.data import CaptionedImages, EndlessOrder, open_data, to_pil
from textdiff.data.loader import pick_caption
from textdiff.evaluation.protocol import data_protocol
from textdiff.evaluation.results import write_numbers
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.features import retrieval_on
from textdiff.training.launch import accelerator_for
from textdiff.training.run import run_training
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.specs.clip import clip_spec

if TYPE_CHECKING:
    from accelerate import Accelerator

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "clip_openmoji_long.yaml"
NEVER = "1000000000"
KS = (1, 5, 10)
PRECISIONS = {"no": "fp32", "bf16": "amp_bf16"}  # by open_clip's names


def arguments() -> tuple[argparse.Namespace, TrainClipSettings]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0], allow_abbrev=False)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=20.0)
    budget.add_argument("--steps", type=int, default=None, help="instead of minutes")
    parser.add_argument("--only", choices=["ours", "open_clip"], default=None)
    parser.add_argument("--config", default=str(CONFIG), help="recipe of ours")
    parser.add_argument("--open-clip-lr", type=float, default=None, help="none: that of ours")
    parser.add_argument("--threads", type=int, default=None, help="none: PyTorch's choice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/clip_pretraining"))
    parser.add_argument("--json", default=None, help="write numbers and protocol here")
    options, flags = parser.parse_known_args()
    if options.steps:
        options.minutes = None
    own = ["--config", options.config, "--seed", str(options.seed), "--resume", "never"]
    own += ["--run-dir", str(options.out / f"ours-{time.strftime('%Y%m%d-%H%M%S')}")]
    own += ["--train.max-minutes", "none" if options.steps else str(options.minutes)]
    own += ["--train.steps", str(options.steps or NEVER)]
    own += ["--train.threads", str(options.threads or torch.get_num_threads())]
    own += ["--train.eval-every", NEVER, "--train.checkpoint-every", NEVER]  # no time lost
    settings = parse_flags(TrainClipSettings, [*own, *flags], "ours", "train-clip")
    train = settings.train.for_tower(settings.clip.image.kind)
    return options, settings.model_copy(update={"train": train})


# Ours


def train_ours(settings: TrainClipSettings) -> tuple[ClipModel, dict[str, float]]:
    run_training(clip_spec(settings), run_dir=settings.run_dir, resume=settings.resume)
    lines = (Path(settings.run_dir) / "metrics.jsonl").read_text().splitlines()
    last = next(row for row in map(json.loads, reversed(lines)) if "seconds" in row)
    return ClipModel.load(settings.run_dir), {k: last[k] for k in ("step", "seconds", "loss")}


# open_clip's


class Loader:
    """What train_one_epoch asks of a data loader: shuffled batches, the last one dropped, until
    the budget is used up."""

    def __init__(
        self, data: CaptionedImages, clip: ClipModel, batch_size: int, seed: int, share: Callable
    ):
        import open_clip

        self.data, self.batch_size, self.seed, self.share = data, batch_size, seed, share
        self.num_samples, self.num_batches = len(data), len(data) // batch_size
        preprocess = clip.model.visual.preprocess_cfg
        self.transform = open_clip.image_transform(
            clip.image_size, is_train=True, mean=preprocess["mean"], std=preprocess["std"]
        )
        self.pictures = to_pil(data.images(range(len(data))))
        self.tokenize = lru_cache(None)(lambda caption: clip.tokenize([caption]).ids[0])
        self.order = EndlessOrder(len(data), seed)
        self.epoch = self.steps = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        first = self.epoch * len(self.data)
        rows = self.order.at(torch.arange(first, first + len(self.data)))[1].split(self.batch_size)
        for ids in rows[: self.num_batches]:
            if self.share(self.steps) >= 1:
                return
            yield self.images(ids.tolist()), self.texts(ids.tolist())
            self.steps += 1

    def images(self, ids: list[int]) -> Tensor:
        return torch.stack([self.transform(self.pictures[index]) for index in ids])

    def texts(self, ids: list[int]) -> Tensor:
        data = self.data
        shown = [pick_caption(data.captions[i], self.seed, self.epoch, i) for i in ids]
        return torch.stack([self.tokenize(caption) for caption in shown])


class TrainingData:
    """The `data["train"]` of open_clip_train."""

    def __init__(self, loader: Loader):
        self.dataloader = loader

    def set_epoch(self, epoch: int) -> None:
        self.dataloader.epoch = epoch


def train_open_clip(
    settings: TrainClipSettings, options: argparse.Namespace, accelerator: Accelerator
) -> tuple[ClipModel, dict[str, float]]:
    from open_clip.loss import ClipLoss
    from open_clip_train.train import train_one_epoch

    clip = fresh_open_clip(settings).to(accelerator.device).train()
    lr = options.open_clip_lr or settings.train.lr
    optimizer = open_clip_optimizer(clip.model, lr)
    start = time.monotonic()

    def share(step: int) -> float:
        if options.steps:
            return step / options.steps
        return (time.monotonic() - start) / (60 * options.minutes)

    loader = Loader(
        open_data(settings.data, "train"), clip, settings.train.batch_size, settings.seed, share
    )
    arguments = open_clip_arguments(settings, accelerator)
    scheduler = open_clip_schedule(optimizer, lr, settings.train.warmup_steps, share)
    torch.manual_seed(settings.seed)
    start, epoch = time.monotonic(), 0
    while share(loader.steps) < 1:
        data = {"train": TrainingData(loader)}
        train_one_epoch(
            clip.model, data, ClipLoss(), epoch, optimizer, None, scheduler, None, arguments
        )
        epoch += 1
    return clip.eval(), {"step": loader.steps, "seconds": time.monotonic() - start}


def fresh_open_clip(settings: TrainClipSettings) -> ClipModel:
    """open_clip's model with its mean and deviation of pixels, as a `ClipModel` to evaluate."""
    import open_clip

    model_cfg = settings.clip.to_open_clip()
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    module = source.instantiate(model_cfg, preprocess, settings.seed)
    module.output_dict = True  # what train_one_epoch asks for
    tokenizer = open_clip.SimpleTokenizer(context_length=settings.clip.text.context_length)
    return ClipModel(source.Source(module, model_cfg, tokenizer))


def open_clip_optimizer(model: torch.nn.Module, lr: float) -> torch.optim.AdamW:
    """As open_clip_train's main with its defaults for a ViT: no decay of gains and biases."""

    def exempt(name: str, parameter: Tensor) -> bool:
        parts = ("bn", "ln", "bias", "logit_scale")
        return parameter.ndim < 2 or any(part in name for part in parts)

    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if exempt(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in named if not exempt(n, p)], "weight_decay": 0.2},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)


def open_clip_schedule(
    optimizer: torch.optim.Optimizer, lr: float, warmup: int, share: Callable[[int], float]
) -> Callable[[int], None]:
    """open_clip_train.scheduler.cosine_lr with the share of the budget that is used up."""
    from open_clip_train.scheduler import assign_learning_rate

    def schedule(step: int) -> None:
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, share(step))))
        assign_learning_rate(optimizer, lr * ((step + 1) / warmup if step < warmup else cosine))

    return schedule


def open_clip_arguments(
    settings: TrainClipSettings, accelerator: Accelerator
) -> argparse.Namespace:
    """What train_one_epoch reads of open_clip_train's flags."""
    return argparse.Namespace(
        device=str(accelerator.device),
        precision=PRECISIONS[accelerator.mixed_precision],
        batch_size=settings.train.batch_size,
        accum_freq=1,
        grad_clip_norm=None,
        skip_scheduler=False,
        distill=False,
        horovod=False,
        wandb=False,
        rank=0,
        local_rank=0,
        world_size=1,
        log_local=False,
        log_every_n_steps=int(NEVER),
    )


# Both


def measure(clip: ClipModel, test: CaptionedImages) -> dict[str, dict]:
    """R@k both ways with bootstrap intervals and chance."""
    search = retrieval_on(clip.eval().cpu(), test)
    results = {}
    for direction, ranking in search.retrieval.directions().items():
        owners = search.captions.owner if direction == "text_to_image" else None
        results[direction] = {
            f"R@{k}": estimate_mean(ranking.ranks <= k, owners).as_json()
            | {"chance": ranking.chance(k)}
            for k in KS
        }
    return results


def table(results: dict[str, dict]) -> str:
    """Markdown: a row per loop, percent with 95% intervals."""
    ways = {"image_to_text": "image to text", "text_to_image": "text to image"}
    cells = [(way, f"R@{k}") for way in ways for k in KS]
    head = " | ".join(f"{ways[way]} {k}" for way, k in cells)
    rows = [f"| loop | steps | images/s | {head} |", "| --- |" + " ---: |" * (2 + len(cells))]
    for name, result in results.items():
        rates = [result["test"][way][k] for way, k in cells]
        shown = [
            f"{100 * r['mean']:.1f} ({100 * r['low']:.0f}–{100 * r['high']:.0f})" for r in rates
        ]
        speed = f"{result['images_per_second']:.0f}"
        rows.append(f"| {name} | {result['step']} | {speed} | " + " | ".join(shown) + " |")
    first = next(iter(results.values()))["test"]
    chances = [f"{100 * first[way][k]['chance']:.1f}" for way, k in cells]
    return "\n".join([*rows, "| chance | | | " + " | ".join(chances) + " |"])


def check_precision(names: list[str], precision: str) -> None:
    """Ends the program where open_clip would train in another precision than ours."""
    if "open_clip" in names and precision not in PRECISIONS:
        raise SystemExit(
            f"--train.precision {precision}: open_clip's loop has no loss scaling here; "
            f"use one of {', '.join(PRECISIONS)}, or --only ours"
        )


def main() -> None:
    options, settings = arguments()
    logging.getLogger().setLevel(logging.WARNING)
    if options.threads:
        torch.set_num_threads(options.threads)
    loops = {
        "ours": lambda: train_ours(settings),
        "open_clip": lambda: train_open_clip(settings, options, accelerator),
    }
    names = [options.only] if options.only else list(loops)
    accelerator = accelerator_for(settings.train.precision)
    check_precision(names, accelerator.mixed_precision)
    test = open_data(settings.data, "test")
    results = {}
    for name in names:
        clip, spent = loops[name]()
        speed = spent["step"] * settings.train.batch_size / spent["seconds"]
        results[name] = spent | {"images_per_second": speed, "test": measure(clip, test)}
    print(f"retrieval among {len(test)} images of the test split, percent (95% interval)\n")
    print(table(results))
    write_numbers(
        options.json,
        {
            "settings": settings.model_dump(mode="json"),
            "open_clip": {"lr": options.open_clip_lr},
            "machine": machine(accelerator.device.type),
            "precision": accelerator.mixed_precision,
            "data": data_protocol(test),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
