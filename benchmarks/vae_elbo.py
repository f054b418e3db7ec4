r"""What the KL weight of a textbook VAE does: blur at one end, collapse at the other.

    python benchmarks/vae_elbo.py --data openmoji --minutes 3 --out out/elbo
    python benchmarks/vae_elbo.py --weights 0.01 1 100 --channels 16 32 32 --batch-size 16 \
        --steps 700 --minutes 600 --out out/elbo        # the figure of docs/vae.md

For each weight a VAE of the objective elbo is trained, all alike but for the weight, and shown:

bits           the bound on held-out pictures in bits/dim, and its two terms, of the pixels and of
               the latents, whatever weight the second had in training
first row      held-out pictures, decoded from their posterior's mean
second row     pictures of z ~ N(0, I), the same z for each weight

A weight near 0 leaves latents far from N(0, I): reconstructions are sharp, and samples are noise.
A large one makes codes overlap: reconstructions blur, as the decoder predicts the mean of all
pictures that a code may stand for, and in the end the latents say nothing (posterior collapse).

--out gets a run folder for each weight, elbo.png and elbo.json. Runs that are finished are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from protocol import protocol

from textdiff.config import build
from textdiff.data.grid import labelled_grid, stacked, to_pil
from textdiff.data.open import open_data
from textdiff.evaluation.results import write_numbers
from textdiff.files import replacing
from textdiff.pictures import to_float, to_uint8
from textdiff.pipeline.vae_samples import draw_from_prior
from textdiff.training.learning.vae import BOUND, CHANNELS, DISTORTION, PSNR, RATE, USED
from textdiff.training.run import run_training
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.training.specs.vae import vae_spec
from textdiff.types import Pictures
from textdiff.vae import Vae

SHOWN = 8


@dataclass(frozen=True)
class Numbers:
    """Of one KL weight, on held-out pictures. bound = pixels + latents, in bits/dim. channels_used:
    channels of the latents that say at least a bit a picture."""

    kl_weight: float
    bound: float
    pixels: float
    latents: float
    psnr: float
    channels_used: int
    channels: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--weights", nargs="+", type=float, default=[0.001, 0.1, 1.0, 10.0, 100.0, 1000.0]
    )
    parser.add_argument("--data", default="openmoji")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", nargs="+", type=int, default=[32, 64, 64, 64])
    parser.add_argument("--latent-channels", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, for each weight")
    parser.add_argument("--out", type=Path, default=Path("out/elbo"))
    return parser.parse_args()


def main() -> None:
    options = arguments()
    numbers, sheets = [], []
    print("| KL weight | bits/dim | of pixels | of latents | PSNR, dB | channels used |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for weight in options.weights:
        settings = settings_of(options, weight)
        run_training(vae_spec(settings), run_dir=settings.run_dir, resume="auto")
        found = numbers_of(Path(settings.run_dir), weight)
        print(
            f"| {weight:g} | {found.bound:.3f} | {found.pixels:.3f} | {found.latents:.3f} | "
            f"{found.psnr:.1f} | {found.channels_used} of {found.channels} |"
        )
        numbers.append(found)
        sheets.append((found, *pictures_of(settings)))
    options.out.mkdir(parents=True, exist_ok=True)
    figure(options.out / "elbo.png", sheets)
    rows = [asdict(each) for each in numbers]
    document = {"protocol": protocol(options, "cpu"), "weights": rows}
    write_numbers(options.out / "elbo.json", document)


def settings_of(options: argparse.Namespace, weight: float) -> TrainVaeSettings:
    return build(
        TrainVaeSettings,
        [
            (
                "vae_elbo.py",
                {
                    "run_dir": str(options.out / f"weight-{weight:g}"),
                    "objective": "elbo",
                    "loss": {"kl_weight": weight},
                    "data": {"source": options.data, "image_size": options.image_size},
                    "vae": {
                        "block_channels": options.channels,
                        "latent_channels": options.latent_channels,
                    },
                    "train": {
                        "steps": options.steps,
                        "max_minutes": options.minutes,
                        "batch_size": options.batch_size,
                        "schedule": "linear_tail",
                        "warmup_steps": 100,
                        "eval_every": 10**6,
                        "checkpoint_every": 10**6,
                    },
                },
            )
        ],
    )


def numbers_of(run: Path, weight: float) -> Numbers:
    """Of the last evaluation in the run's log."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in rows if BOUND in row][-1]
    used, channels = int(last[USED]), int(last[CHANNELS])
    return Numbers(weight, *(last[key] for key in (BOUND, DISTORTION, RATE, PSNR)), used, channels)


@torch.no_grad()
def pictures_of(settings: TrainVaeSettings) -> tuple[Pictures, Pictures, Pictures]:
    """Held-out pictures, their reconstructions, and samples."""
    vae, data = Vae.load(settings.run_dir), open_data(settings.data, "val")
    _, pictures = data.read(range(min(SHOWN, len(data))))
    again = to_uint8(vae.decode(vae.moments(to_float(pictures)).mean))
    return pictures, again, draw_from_prior(vae, len(pictures), seed=0)


def figure(path: Path, sheets: list[tuple[Numbers, Pictures, Pictures, Pictures]]) -> None:
    """The pictures, then two rows for each weight."""
    _, pictures, _, _ = sheets[0]
    blank = [""] * len(pictures)
    strips = [labelled_grid(to_pil(pictures), blank, len(pictures), "held-out pictures")]
    for found, _, again, drawn in sheets:
        title = (
            f"KL weight {found.kl_weight:g}: {found.bound:.2f} bits/dim = {found.pixels:.2f} of "
            f"pixels + {found.latents:.2f} of latents; {found.psnr:.1f} dB"
        )
        both = torch.cat([again, drawn])
        strips.append(labelled_grid(to_pil(both), [*blank, *blank], len(pictures), title))
    with replacing(path) as temporary:
        stacked(strips).save(temporary)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
