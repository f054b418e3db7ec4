"""Sampling speed: ours beside diffusers' pipeline with the same weights, in turn in one process.

    python benchmarks/sampling.py --model runs/plain --json out/sampling.json
    python benchmarks/sampling.py --short        # random weights, no search, a minute or two

Trained by `scripts/train.py --config configs/plain_openmoji.yaml`, the network is diffusers'
UNet2DConditionModel weight by weight. Their side is the loop of StableDiffusionPipeline and
IFPipeline in pixel space: cat, scale_model_input, unet, chunk, guidance, scheduler.step. Text is
encoded before their clock starts and after ours does. Three questions:

    same steps    DDIM with the same steps and guidance on both sides: time, and how far the
                  pictures are apart
    own gain      each optimisation left out of ours, or added to it, per U-Net step
    same quality  with --model: the RMSE that diffusers' DDIM with --steps has to DDIM with
                  --reference steps, and our cheapest settings that come at least as near

RMSEs are in grey levels of 255. Times are medians with quartiles over rounds, ratios are taken
round by round. Run nothing beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.config import ClipConfig
from textdiff.commands.report import describe_model, versions
from textdiff.interop import scheduler_to_diffusers, unet_to_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.network import at_precision, bound_network
from textdiff.pipeline.process import Network
from textdiff.sampling import ImageNoise
from textdiff.types import Conditioning

TARGETS = {"same steps": 1.5, "same quality": 6.0}
SOLVERS = ("unipc", "dpmpp")
SPACINGS = ("trailing", "linspace", "log_snr")
STEPS = [6, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30, 40]
ROUGHER = (  # each of them added to the best of the above
    {"precision": "bf16"},
    {"deep_cache_every": 2},
    {"precision": "bf16", "deep_cache_every": 2},
    {"precision": "bf16", "deep_cache_every": 3},
)
SHARES = (0.0, 0.1, 0.2, 0.4)  # of the timesteps, the least noisy ones, left without guidance


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", help="run folder of a plain U-Net; none: random weights")
    prompts = ["red apple", "blue heart", "cat face", "sunflower", "rocket", "pizza", "bus", "star"]
    parser.add_argument("--prompts", nargs="+", default=prompts)
    parser.add_argument("--images", type=int, default=8, help="drawn at once")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM; a divisor of the schedule")
    parser.add_argument("--reference", type=int, default=1000, help="steps of the long DDIM run")
    parser.add_argument("--gain-steps", type=int, default=6, help="steps to time each gain on")
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--rounds", type=int, default=5, help="2 or more")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--short", action="store_true", help="10 steps, 3 rounds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.short:
        options.steps, options.rounds, options.gain_steps = 10, 3, 3
    return options


def random_model() -> TextToImage:
    """The default U-Net, none of its weights zero, and a CLIP of 256 wide texts of 16 tokens."""
    text = {"width": 256, "heads": 4, "layers": 2, "context_length": 16}
    clip = ClipModel.build(ClipConfig.model_validate({"text": text}), seed=0)
    torch.manual_seed(0)
    unet = UNet(UNetConfig())
    for parameter in unet.parameters():
        if not parameter.any() and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5 * parameter[0].numel() ** -0.5)
    return TextToImage.of(unet, clip, ModelConfig(clip="random", prediction="v"))


class Job:
    """The pictures to draw, by ours or by diffusers' loop."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, options.device
        model = TextToImage.load(options.model) if options.model else random_model()
        self.pipe = model.to(options.device)
        self.prompts = list(itertools.islice(itertools.cycle(options.prompts), options.images))
        texts = self.pipe.clip.conditioning([*self.prompts, ""])
        negative = texts[-1:].repeat(len(self.prompts))
        self.both = Conditioning.cat([texts[:-1], negative])
        self.uncond_first = Conditioning.cat([negative, texts[:-1]])  # as their pipelines have it
        self.theirs = self.diffusers_networks()

    @torch.no_grad()
    def parity(self) -> float:
        """Largest difference of the fp32 outputs.

        Raises:
            SystemExit: the networks are not the same.
        """
        size, rows = self.pipe.config.unet.image_size, len(self.both)
        noise = ImageNoise([(0, k) for k in range(rows)], (3, size, size), self.device)
        x, timestep = noise(), torch.full((rows,), 500, device=self.device)
        ours = self.pipe.unet(x, timestep, self.uncond_first)
        difference = (ours - self.theirs["diffusers, fp32"](x, timestep)).abs().max().item()
        if not difference < 1e-3 * ours.abs().max().item():
            raise SystemExit(
                f"the networks' outputs differ by {difference:.3g}; nothing to compare"
            )
        return difference

    def diffusers_networks(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """By name; each takes (2B, C, H, W) and a timestep."""
        import diffusers
        from diffusers.models.attention_processor import AttnProcessor

        diffusers.utils.logging.set_verbosity_error()  # `to(bfloat16)` is meant
        exact = unet_to_diffusers(self.pipe.unet).to(self.device)
        plain = unet_to_diffusers(self.pipe.unet).to(self.device)
        plain.set_attn_processor(AttnProcessor())
        rough = unet_to_diffusers(self.pipe.unet).to(self.device, torch.bfloat16)
        text, kind = self.uncond_first, torch.device(self.device).type

        def call(unet: torch.nn.Module, dtype: torch.dtype, autocast: bool) -> Callable:
            tokens = text.tokens.to(dtype)

            def predict(x: Tensor, timestep: Tensor) -> Tensor:
                with torch.autocast(kind, torch.bfloat16, enabled=autocast):
                    options = {"encoder_attention_mask": text.mask, "return_dict": False}
                    return unet(x.to(dtype), timestep, tokens, **options)[0].float()

            return predict

        return {
            "diffusers, fp32": call(exact, torch.float32, False),
            "diffusers, bf16 autocast, AttnProcessor": call(plain, torch.float32, True),
            "diffusers, bf16 weights": call(rough, torch.bfloat16, False),
        }

    @torch.no_grad()
    def draw_theirs(self, name: str, steps: int) -> Tensor:
        """Pictures (B, C, H, W) uint8."""
        predict, size = self.theirs[name], self.pipe.config.unet.image_size
        scheduler = scheduler_to_diffusers(self.pipe.schedule, self.pipe.config.prediction)
        scheduler.set_timesteps(steps, device=self.device)
        noise = ImageNoise([(0, k) for k in range(len(self.prompts))], (3, size, size), self.device)
        x = noise() * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([x, x]), timestep)
            uncond, cond = predict(both, timestep).chunk(2)
            said = uncond + self.options.guidance_scale * (cond - uncond)
            step = scheduler.step(said, timestep, x, use_clipped_model_output=True)
            x = step.prev_sample
        return self.pipe.process.to_uint8(x)

    def draw_ours(self, **settings) -> Tensor:
        """Pictures (B, C, H, W) uint8, by what `TextToImage` does."""
        config = self.config(**settings)
        parts = [images for _, images in self.pipe.images(self.prompts, config)]
        return torch.cat([images for images in parts if len(images)])

    def config(self, **settings) -> SamplingConfig:
        usual = {"guidance_scale": self.options.guidance_scale, "batch_size": len(self.prompts)}
        return SamplingConfig(**{**usual, "num_steps": self.options.steps, **settings})

    def draw_with(self, network: Network, config: SamplingConfig) -> Tensor:
        """Pictures (B, C, H, W) uint8, by a network of ours with all texts bound."""
        seeds = [(0, k) for k in range(len(self.prompts))]
        device = self.pipe.unet.conv_in.weight.device
        *_, last = self.pipe.process.steps(network, network, config, None, seeds, device)
        return self.pipe.process.to_uint8(last.x)


def networks(job: Job, config: SamplingConfig) -> dict[str, Network]:
    """Ours with one optimisation left out or added; "all" is what `TextToImage` does."""
    unet, both, grid = job.pipe.unet, job.both, job.pipe.check(job.prompts, config)
    bound, rough = unet.bind(both, grid).guided(), at_precision(unet, "bf16")
    padded = both.mask[:, None, None, :]

    def text_at_every_step(x_t: Tensor, timestep: Tensor) -> Tensor:
        anew = {layer: layer.keys_values(both.tokens) for layer in bound.keys_values}
        return unet(x_t, timestep, replace(bound, keys_values=anew, mask=padded))

    def time_at_every_step(x_t: Tensor, timestep: Tensor) -> Tensor:
        row = timestep[:1]
        time = unet.embed_timesteps(row, x_t.dtype)
        return unet(x_t, timestep, replace(bound, timesteps=row, time=time))

    return {
        "all": bound_network(unet, bound),
        "without: text projected once": text_at_every_step,
        "without: timesteps embedded in one batch": time_at_every_step,
        "without: first level once for both halves": bound_network(
            unet, replace(bound, halves=False)
        ),
        "without all three": lambda x_t, timestep: unet(x_t, timestep, both),
        "with: bf16": bound_network(rough, rough.bind(both, grid).guided()),
        "with: deep cache 2": bound_network(unet, bound.reusing(2)),
        "with: deep cache 3": bound_network(unet, bound.reusing(3)),
    }


# measuring


def in_turn(
    job: Job, draws: dict[str, Callable[[], Tensor]], rounds: int
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Pictures of each, and its seconds per picture, round by round."""
    pictures = {name: draw() for name, draw in draws.items()}  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in draws}
    for _ in range(rounds):
        for name, draw in draws.items():
            start = time.perf_counter()
            draw()  # ends on the CPU, so that a GPU has finished
            seconds[name].append((time.perf_counter() - start) / len(job.prompts))
    return pictures, seconds


def spread(values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": median, "low": low, "high": high}


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    return spread([x / y for x, y in zip(above, below, strict=True)])


def rmse(pictures: Tensor, others: Tensor) -> float:
    return (pictures.double() - others.double()).square().mean().sqrt().item()


def compared(
    job: Job, draws: dict[str, Callable[[], Tensor]], rounds: int, divided_by: str, share: int
) -> list[dict]:
    """A row per draw: milliseconds per picture and `share` of it, the time of `divided_by`
    divided by its own, and RMSE to the pictures of `divided_by`."""
    pictures, seconds = in_turn(job, draws, rounds)
    return [
        {
            "name": name,
            "ms": spread([1e3 * value / share for value in values]),
            "ratio": ratio(seconds[divided_by], values),
            "rmse": rmse(pictures[name], pictures[divided_by]),
        }
        for name, values in seconds.items()
    ]


def same_steps(job: Job) -> list[dict]:
    draws: dict[str, Callable[[], Tensor]] = {
        name: lambda name=name: job.draw_theirs(name, job.options.steps) for name in job.theirs
    }
    draws["ours, fp32"] = job.draw_ours
    draws["ours, bf16"] = lambda: job.draw_ours(precision="bf16")
    return compared(job, draws, job.options.rounds, "diffusers, fp32", 1)


def own_gain(job: Job) -> list[dict]:
    config = job.config(num_steps=job.options.gain_steps)
    draws = {
        name: lambda network=network: job.draw_with(network, config)
        for name, network in networks(job, config).items()
    }
    return compared(job, draws, job.options.rounds, "all", job.options.gain_steps)


def same_quality(job: Job) -> dict:
    """Their distance, the fewest steps of each of our kinds that come as near, and their times."""
    reference = job.draw_ours(num_steps=job.options.reference)
    name = "diffusers, fp32"
    allowed = rmse(job.draw_theirs(name, job.options.steps), reference)
    found = as_near(job, reference, allowed)
    finalists = sorted(found, key=lambda row: row["seconds_once"])[:3]
    draws: dict[str, Callable[[], Tensor]] = {
        name: lambda: job.draw_theirs(name, job.options.steps)
    }
    for row in finalists:
        draws[str(row["settings"])] = lambda row=row: job.draw_ours(**row["settings"])
    _, seconds = in_turn(job, draws, job.options.rounds)
    for row in finalists:
        values = seconds[str(row["settings"])]
        row["ms"] = spread([1e3 * value for value in values])
        row["ratio"] = ratio(seconds[name], values)
    theirs = {"rmse": allowed, "ms": spread([1e3 * value for value in seconds[name]])}
    return {"diffusers": theirs, "finalists": finalists, "all": found}


def as_near(job: Job, reference: Tensor, allowed: float) -> list[dict]:
    """Of each solver and grid, then of the one with the fewest steps made rougher, the fewest steps
    whose RMSE to `reference` is `allowed` or less."""
    plain = [
        fewest_steps(job, {"sampler": sampler, "spacing": spacing}, reference, allowed)
        for sampler in SOLVERS
        for spacing in SPACINGS
    ]
    plain = [row for row in plain if row]
    if not plain:
        return []
    best = min(plain, key=lambda row: row["settings"]["num_steps"])["settings"]
    rough = [
        fewest_steps(job, {**best, **rougher, **guided}, reference, allowed, best["num_steps"])
        for rougher in ROUGHER
        for guided in (guided_above(share, job.pipe.schedule.num_timesteps) for share in SHARES)
    ]
    return plain + [row for row in rough if row]


def guided_above(share: float, num_timesteps: int) -> dict:
    low = int(share * num_timesteps)
    return {"guidance_interval": (low, num_timesteps - 1)} if low else {}


def fewest_steps(
    job: Job, kind: dict, reference: Tensor, allowed: float, at_least: int = 0
) -> dict | None:
    for steps in STEPS:
        if steps < at_least:
            continue
        settings = {**kind, "num_steps": steps}
        start = time.perf_counter()
        distance = rmse(job.draw_ours(**settings), reference)
        if distance <= allowed:
            once = (time.perf_counter() - start) / len(job.prompts)
            return {"settings": settings, "rmse": distance, "seconds_once": once}
    return None


# showing


def shown(value: dict[str, float], digits: int) -> str:
    return "{median:.{n}f} ({low:.{n}f} to {high:.{n}f})".format(**value, n=digits)


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(head)} |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def show_compared(title: str, unit: str, found: list[dict], divided_by: str) -> None:
    rows = [
        [row["name"], shown(row["ms"], 1), shown(row["ratio"], 2), f"{row['rmse']:.2f}"]
        for row in found
    ]
    table(title, ["", unit, f"times as fast as {divided_by}", "RMSE to it"], rows)


def show_quality(found: dict, options: argparse.Namespace) -> None:
    theirs = found["diffusers"]
    rows = [
        [f"diffusers, DDIM {options.steps}", f"{theirs['rmse']:.2f}", shown(theirs["ms"], 1), "1"]
    ]
    for row in found["finalists"]:
        name = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        rows.append([name, f"{row['rmse']:.2f}", shown(row["ms"], 1), shown(row["ratio"], 2)])
    head = ["", f"RMSE to DDIM {options.reference}", "ms per picture", "times as fast"]
    table(f"Same quality (target: {TARGETS['same quality']:g} times as fast)", head, rows)


def main() -> None:
    options = arguments()
    job = Job(options)
    results: dict = {"largest output difference": job.parity(), "same steps": same_steps(job)}
    title = f"Same steps: DDIM {options.steps} (target: {TARGETS['same steps']} times as fast)"
    show_compared(title, "ms per picture", results["same steps"], "diffusers, fp32")
    results["own gain"] = own_gain(job)
    unit = "ms per picture and step"
    show_compared("Own gain of each optimisation", unit, results["own gain"], "all")
    if options.model and not options.short:
        results["same quality"] = same_quality(job)
        show_quality(results["same quality"], options)
    if options.json:
        protocol = {
            **{key: str(value) for key, value in vars(options).items()},
            "model": describe_model(options.model, job.pipe) if options.model else "random weights",
            "targets": TARGETS,
            "threads": torch.get_num_threads(),
            "machine": platform.processor() or platform.machine(),
            "versions": versions(),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"protocol": protocol, **results}, indent=1))


if __name__ == "__main__":
    main()
