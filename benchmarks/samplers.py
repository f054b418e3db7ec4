"""Sampler x steps on a trained model: distance to a long DDIM run, prompt following, time.

    python benchmarks/samplers.py --model runs/openmoji --judge runs/judge \\
        --config configs/openmoji.yaml --json out/samplers.json

The reference is DDIM with --reference steps from the same noise. Distances are root mean squares
over all pixels in grey levels of 255, and 1 - cosine of the judge's features; a stochastic sampler
goes elsewhere by design, so only its prompt following says how good it is. Samplers run one after
the other in this process; let nothing run beside it if you want the seconds. Prints a Markdown
table; the intervals of the rates are in the JSON.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from protocol import protocol
from torch import Tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.config import build, read_yaml
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.pictures import real_pictures
from textdiff.evaluation.protocol import clip_protocol, data_protocol, model_protocol
from textdiff.evaluation.results import write_numbers
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.retrieval import prompt_following
from textdiff.pipeline import SamplingConfig

SAMPLERS = {
    "DDIM": {"sampler": "ddim"},
    "DDIM, log-SNR grid": {"sampler": "ddim", "spacing": "log_snr"},
    "DPM-Solver++(2M)": {"sampler": "dpmpp"},
    "DPM-Solver++(2M), log-SNR grid": {"sampler": "dpmpp", "spacing": "log_snr"},
    "DPM-Solver++(2M), Karras grid": {"sampler": "dpmpp", "spacing": "karras"},
    "UniPC": {"sampler": "unipc"},
    "UniPC, log-SNR grid": {"sampler": "unipc", "spacing": "log_snr"},
    "SDE-DPM-Solver++(2M)": {"sampler": "dpmpp_sde"},
    "DDPM, beta_tilde": {"sampler": "ddpm", "variance": "fixed_small"},
    "DDPM, beta": {"sampler": "ddpm", "variance": "fixed_large"},
}
OTHER_GRIDS_UP_TO = 20  # steps: with more of them all grids come to the same


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--judge", required=True, help="a CLIP that took no part in training it")
    parser.add_argument("--config", required=True, help="of the training; its data are read")
    parser.add_argument("--images", type=int, default=32, help="pictures drawn per sampler")
    parser.add_argument("--prompts", type=int, default=128, help="prompts the judge chooses among")
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50, 250])
    parser.add_argument("--reference", type=int, default=1000)
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--only", nargs="+", default=None, help="names of samplers")
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    pipe, judge = TextToImage.load(options.model, "cpu"), ClipModel.load(options.judge).freeze()
    if judge.weights_hash() == pipe.clip.weights_hash():
        raise SystemExit("--judge is the CLIP of the model; give one of another seed")
    config = build(DataConfig, [(options.config, read_yaml(options.config)["data"])])
    data = open_data(config, "train")
    prompts = real_pictures(data, options.prompts, 0, pipe).prompts
    candidates = text_features(judge, prompts)
    wanted = prompts[: options.images]

    def draw(**settings) -> tuple[Tensor, float]:
        """Pictures (n, 3, H, W) uint8 and seconds per picture."""
        start = time.perf_counter()
        config = SamplingConfig(guidance_scale=options.guidance_scale, batch_size=32, **settings)
        pictures = pipe.draw(pipe.plan(wanted, config))
        return pictures, (time.perf_counter() - start) / len(pictures)

    def judged(images: Tensor) -> dict[str, float]:
        features = image_features(judge, images)
        ranks = prompt_following(features, candidates, torch.arange(len(images))).ranks
        return {f"R@{k}": estimate_mean(ranks <= k).as_json() for k in (1, 5)}

    reference, seconds = draw(sampler="ddim", num_steps=options.reference)
    features = image_features(judge, reference)
    results = [
        {"sampler": "DDIM", "steps": options.reference, "seconds": seconds, **judged(reference)}
    ]
    print("| sampler | steps | RMSE, of 255 | 1 - cosine | R@1 | R@5 | s per picture |")
    print("| --- |" + " ---: |" * 6)
    show(results[0])
    for name, settings in SAMPLERS.items():
        if options.only and name not in options.only:
            continue
        for steps in options.steps:
            if "grid" in name and steps > OTHER_GRIDS_UP_TO:
                continue
            images, seconds = draw(num_steps=steps, **settings)
            cosine = F.cosine_similarity(image_features(judge, images), features, dim=-1)
            results.append(
                {
                    "sampler": name,
                    "steps": steps,
                    "seconds": seconds,
                    "rmse": (images.double() - reference.double()).square().mean().sqrt().item(),
                    "cosine_distance": 1 - cosine.double().mean().item(),
                    **judged(images),
                }
            )
            show(results[-1])
    about = {
        **protocol(options),
        "model": model_protocol(options.model, pipe),
        "judge": clip_protocol(options.judge, judge),
        "data": data_protocol(data),
    }
    write_numbers(options.json, {"protocol": about, "results": results})


def show(row: dict) -> None:
    rmse = f"{row['rmse']:.1f}" if "rmse" in row else "0"
    distance = f"{row['cosine_distance']:.4f}" if "rmse" in row else "0"
    rates = f"{row['R@1']['mean']:.0%} | {row['R@5']['mean']:.0%}"
    print(
        f"| {row['sampler']} | {row['steps']} | {rmse} | {distance} | {rates} "
        f"| {row['seconds']:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
