"""Quality against training time: `textdiff train` beside diffusers' script, on the same cores.

    python benchmarks/time_to_quality.py --clip runs/clip --judges runs/judge runs/judge-resnet \\
        --minutes 20 --our-minutes 2.5 5 10 --seeds 0 1 --json out/time_to_quality.json

diffusers   `diffusers_loop.py`: UNet2DConditionModel from scratch, fp32, eps, linear schedule,
            constant learning rate, text encoder at every step; --tuned: bf16, fast attention,
            fused AdamW, foreach EMA. Padding of texts is hidden from its U-Net, as it is when
            pictures are drawn
textdiff    --config, by default configs/openmoji.yaml. Each entry of --our-minutes is a run of its
            own, whose learning rate falls to 0 at its end

Runs follow one another, never side by side, and share pictures, frozen CLIP and caption drop. Time
is that of training alone; ours has encoded the captions before its clock starts. Both are judged by
their averaged weights, on the same inputs:

    eps-MSE     held-out pictures at noise drawn per bin of half_log_snr = log(ac / (1 - ac)) / 2,
                the same eps and levels for both; each takes the timestep of its own schedule
                nearest to the level, so that schedules compare
    R@1, KID    pictures of the same prompts, same noise, same sampler and scale, by CLIPs that took
                no part (`textdiff guidance` without CLIP guidance)

Finished runs are kept under --out and not repeated. Let nothing run beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import plain_unet
import torch
from diffusers_loop import DiffusersLoop, LoopSettings
from protocol import protocol

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.config import build, parse_flags, read_yaml
from textdiff.data import CaptionedImages, DataConfig, open_data, stacked, to_pil
from textdiff.data.grid import labelled_grid
from textdiff.devices import pick_device
from textdiff.diffusion import ScheduleConfig
from textdiff.evaluation.evaluators import load_evaluators
from textdiff.evaluation.guidance.guide import find_guide, involved_clips
from textdiff.evaluation.guidance.measure import prepare_panel, score_pictures
from textdiff.evaluation.held_out.references import reference_pictures
from textdiff.evaluation.pictures import real_pictures
from textdiff.evaluation.results import write_numbers
from textdiff.files import replacing
from textdiff.interop import unet_from_diffusers
from textdiff.pipeline import ModelConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.randomness import Stream
from textdiff.training.run import run_training
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.specs.text_to_image import text_to_image_spec

ROOT = Path(__file__).resolve().parents[1]
BINS = (-4.0, -2.0, -1.0, 0.0, 1.0, 3.0)  # edges of half_log_snr, from noise to picture
CAPTION_DROP = 0.1
GRID = 8  # pictures a row
REFERENCES = 2048  # most real pictures to be close to
NEVER = "1000000000"


def add_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """What our runs and how they are judged depend on."""
    parser.add_argument("--clip", required=True, help="the frozen CLIP of both")
    parser.add_argument("--judges", nargs=2, required=True, help="CLIPs that took no part")
    parser.add_argument("--config", default=str(ROOT / "configs" / "openmoji.yaml"))
    parser.add_argument("--held-out", type=int, default=64, help="pictures per bin")
    parser.add_argument("--num-prompts", type=int, default=128)
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--num-steps", type=int, default=16, help="of UniPC")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--json", default=None)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    add_arguments(parser, "runs/time_to_quality")
    parser.add_argument("--our-minutes", type=float, nargs="*", default=[2.5, 5.0, 10.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--grid", help="pictures of the first seed's runs are drawn here (PNG)")
    theirs = parser.add_argument_group("diffusers' loop")
    theirs.add_argument("--minutes", type=float, default=20.0)
    theirs.add_argument("--tuned", action="store_true", help="diffusers at its best")
    plain_unet.add_arguments(theirs)
    theirs.add_argument("--batch-size", type=int, default=32)
    theirs.add_argument("--lr", type=float, default=1e-4, help="the script's default")
    return parser.parse_args(argv)


# Training


def train_theirs(options: argparse.Namespace, seed: int, folder: Path) -> int:
    """Saves a model folder; returns the number of steps."""
    data = open_data(data_of(options), "train")
    clip = ClipModel.load(options.clip).freeze()
    config = plain_unet.plain_unet(options, clip.text_width, data.image_size)
    settings = LoopSettings(
        tuned=options.tuned,
        batch_size=options.batch_size,
        lr=options.lr,
        caption_drop=CAPTION_DROP,
        mask_text=True,
        seed=seed,
    )
    loop = DiffusersLoop(data, clip, config, settings)
    end = time.perf_counter() + 60 * options.minutes
    while time.perf_counter() < end:
        loop.train(1)
    loop.average.copy_to(loop.unet.parameters())
    unet = unet_from_diffusers(loop.accelerator.unwrap_model(loop.unet))
    schedule = ScheduleConfig(name="linear")  # DDPM's, as DDPMScheduler has it
    model = ModelConfig(clip=options.clip, unet=unet.config, prediction="eps", schedule=schedule)
    TextToImage(unet, clip, model).save(folder)
    return len(loop.losses)


def alone(train: Callable[..., int], *given) -> int:
    """In a fresh process: Accelerate keeps one precision per process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(train, *given).result()


def train_ours(
    options: argparse.Namespace, minutes: float, seed: int, folder: Path, *changes: str
) -> int:
    """The same of ours; `changes`: flags that have the last word."""
    flags = ["--config", options.config, "--clip", options.clip, "--seed", str(seed)]
    flags += ["--run-dir", str(folder), "--train.max-minutes", str(minutes)]
    flags += ["--caption-drop", str(CAPTION_DROP), "--preview.num-prompts", "0"]
    for name in ("steps", "eval-every", "checkpoint-every"):
        flags += [f"--train.{name}", NEVER]
    settings = parse_flags(TrainSettings, [*flags, *changes], "ours", "train")
    run_training(text_to_image_spec(settings), run_dir=folder, resume=settings.resume)
    return TextToImage.load(folder, "cpu").step


def data_of(options: argparse.Namespace) -> DataConfig:
    """What --config trains on, for both loops and their judges."""
    return build(DataConfig, [(options.config, read_yaml(Path(options.config)).get("data", {}))])


# Judging


@torch.no_grad()
def eps_mse(pipe: TextToImage, data: CaptionedImages, count: int) -> dict[str, float]:
    """Mean squared error of eps_hat by bin of half_log_snr."""
    rows, image = data.usable(range(min(count, len(data))))
    x_0 = pipe.codec.encode(image)
    denoise = pipe.denoiser(pipe.conditioning([data.captions[row][0] for row in rows]))
    found = {}
    for low, high in itertools.pairwise(BINS):
        stream = Stream("time to quality", low)
        level = low + (high - low) * stream.uniform(len(rows))
        eps = stream.normal(*x_0.shape)
        levels = pipe.schedule.half_log_snr
        timestep = (levels[None] - level[:, None]).abs().argmin(1)
        eps_hat = denoise(pipe.schedule.add_noise(x_0, eps, timestep), timestep).eps
        found[f"{low:g} to {high:g}"] = (eps_hat - eps).square().mean().item()
    return found


def judged(options: argparse.Namespace, folder: Path) -> dict:
    """Held-out error by bin, and what `textdiff guidance` says of the pictures."""
    errors = eps_mse(
        TextToImage.load(folder, "cpu"), open_data(data_of(options), "val"), options.held_out
    )
    device = pick_device("auto")
    pipe, data = TextToImage.load(folder, device), open_data(data_of(options), "train")
    config = SamplingConfig(
        sampler="unipc", num_steps=options.num_steps, guidance_scale=options.guidance_scale
    )
    guide = find_guide(pipe, config, f"{folder}/clip")
    involved = involved_clips(pipe, str(folder), guide)
    evaluators = load_evaluators("--judges", options.judges, device, involved)
    prompts = real_pictures(data, options.num_prompts, 0, pipe).prompts
    reference = reference_pictures(data, prompts, seed=0, limit=REFERENCES)
    panel = prepare_panel(evaluators, guide.evaluator, prompts, reference)
    images = pipe.draw(pipe.plan(prompts, config), progress=True)
    drawn = score_pictures(panel, images, per_prompt=1).held_out
    scores = {"R@1": drawn.following.at_1, "R@5": drawn.following.at_5, "KID": drawn.kid}
    return {"eps_mse": errors, **{name: score.as_json() for name, score in scores.items()}}


def measured(options: argparse.Namespace, name: str, minutes: float, seed: int) -> dict:
    """Trains and judges one run, unless it is there already."""
    folder = folder_of(options, name, minutes, seed)
    about = conditions(options, name)

    def trained() -> dict:
        if name == "textdiff":
            steps = alone(train_ours, options, minutes, seed, folder)
        else:
            steps = alone(train_theirs, options, seed, folder)
        result = {"loop": name, "minutes": minutes, "seed": seed, "steps": steps}
        return {**result, **judged(options, folder)}

    return kept(folder / "result.json", about, trained)


def folder_of(options: argparse.Namespace, name: str, minutes: float, seed: int) -> Path:
    return options.out / f"{name.replace(' ', '-')}-{minutes:g}min-seed{seed}"


def kept(file: Path, about: dict[str, str], find: Callable[[], dict]) -> dict:
    """What `find` gives, from `file` if it is there.

    Raises:
        SystemExit: `file` was made in another way than `about` says.
    """
    if not file.is_file():
        file.write_text(json.dumps({**find(), "protocol": about}, indent=1))
    found = json.loads(file.read_text())
    for key, value in about.items():
        if found["protocol"].get(key) != value:
            raise SystemExit(
                f"{file} was made with {key} {found['protocol'].get(key)}, now it is {value}; "
                "name another --out"
            )
    return found


def conditions(options: argparse.Namespace, name: str) -> dict[str, str]:
    """All that a result of a loop depends on beside its minutes and seed."""
    keys = ["clip", "judges", "held_out", "num_prompts", "guidance_scale", "num_steps"]
    theirs = ["block_channels", "layers", "head_dim", "norm_groups", "batch_size", "lr"]
    keys += ["config"] if name == "textdiff" else theirs
    chosen = {key: str(getattr(options, key)) for key in keys}
    return {**chosen, "data": data_of(options).model_dump_json()}


def show(keys: Sequence[str], results: list[dict]) -> None:
    """A row per result, headed by what it has under `keys`."""
    head = [*keys, "steps", *results[0]["eps_mse"], "R@1", "R@5", "KID x 1000"]
    print(f"| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}")
    for one in results:
        cells = [str(one[key]) for key in (*keys, "steps")]
        cells += [f"{value:.4f}" for value in one["eps_mse"].values()]
        cells += [f"{one[key]['mean']:.0%}" for key in ("R@1", "R@5")]
        cells.append(f"{1000 * one['KID']['mean']:.0f}")
        print(f"| {' | '.join(cells)} |")


def draw_grid(options: argparse.Namespace, results: list[dict]) -> None:
    """The first prompts of the judges: real pictures, then what the first seed's runs draw."""
    seed, rows = results[0]["seed"], []
    usual = {"sampler": "unipc", "num_steps": options.num_steps}
    config = SamplingConfig(**usual, guidance_scale=options.guidance_scale)
    for one in results:
        if one["seed"] != seed:
            continue
        pipe = TextToImage.load(folder_of(options, one["loop"], one["minutes"], seed), "cpu")
        if not rows:
            real = real_pictures(open_data(data_of(options), "train"), GRID, 0, pipe)
            rows.append(("real pictures", real.images))
        images = pipe.draw(pipe.plan(real.prompts, config))
        rows.append((f"{one['loop']}, {one['minutes']:g} minutes", images))
    sheets = [labelled_grid(to_pil(i), real.prompts, GRID, title) for title, i in rows]
    with replacing(options.grid) as temporary:
        stacked(sheets).save(temporary)
    print(f"pictures: {options.grid}")


def main(argv: Sequence[str] | None = None) -> None:
    options = arguments(argv)
    theirs = "diffusers tuned" if options.tuned else "diffusers"
    results = []
    for seed in options.seeds:
        results += [measured(options, "textdiff", m, seed) for m in options.our_minutes]
        results.append(measured(options, theirs, options.minutes, seed))
    show(("loop", "minutes", "seed"), results)
    if options.grid:
        draw_grid(options, results)
    write_numbers(options.json, {"protocol": protocol(options), "results": results})


if __name__ == "__main__":
    main()
