"""Prompt following: how often a judge CLIP picks the right prompt for a drawn picture.

One picture per prompt is drawn; the judge ranks all N prompts for it. The same rate for the real
pictures of these prompts stands beside it. The judge must have had no part in training the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from textdiff.data.config import DataConfig
from textdiff.pipeline.config import SamplingConfig


class PromptFollowingSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`."""

    model: str = Field(description="run folder or exported model")
    judge: str = Field(description="a CLIP that took no part in training the model")
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "train", description="split whose captions are the prompts"
    )
    num_prompts: int = Field(128, ge=2, description="N, prompts and pictures")
    prompt_seed: int = Field(0, description="which captions are the prompts")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    grid: str | None = Field(None, description="draw the first pictures with their prompts here")
    grid_pictures: int = Field(32, ge=1, description="how many of them")
    json: str | None = Field(None, description="write numbers and protocol here")


def run(settings: PromptFollowingSettings) -> None:
    """Load, draw, judge, show.

    Raises:
        UsageError: the judge is the CLIP that the model was trained with.
    """
    import torch

    from textdiff.data import labelled_grid, open_data, to_pil
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.evaluation.drawn import drawn_pictures, real_pictures
    from textdiff.evaluation.judges import load_judge
    from textdiff.files import check_file, replacing
    from textdiff.metrics.features import image_features, text_features
    from textdiff.metrics.retrieval import prompt_following
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    data = open_data(settings.data, settings.split)
    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)
    taken = {pipe.clip.weights_hash(): f"the CLIP that {settings.model} was trained with"}
    judge = load_judge("--judge", settings.judge, device, taken)
    report.check_image_size(data, pipe)
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
    prompts = real.prompts
    candidates = text_features(judge, prompts)
    numbers, rows = {}, []
    drawn = drawn_pictures(pipe, prompts, settings)
    for name, judged in (("drawn", drawn), ("real", real)):
        features = image_features(judge, judged.images)
        ranking = prompt_following(features, candidates, torch.arange(len(prompts)))
        numbers[name] = {f"R@{k}": report.interval((ranking.ranks <= k).float()) for k in (1, 5)}
        for k, value in numbers[name].items():
            chance = f"{ranking.chance(int(k[2:])):.1%}"
            low_high = f"{value['low']:.1%} to {value['high']:.1%}"
            rows.append([f"{name} pictures {k}", f"{value['mean']:.1%}", low_high, chance])
    report.show(
        f"Prompt following among {len(prompts)} prompts of {data.name}, split {data.split}",
        ["", "rate", "95% interval", "chance"],
        rows,
    )
    if settings.grid:
        shown = min(settings.grid_pictures, len(prompts))
        pictures = to_pil(drawn.images[:shown])
        with replacing(Path(settings.grid)) as temporary:
            labelled_grid(pictures, prompts[:shown], columns=8).save(temporary)
        print(f"pictures: {settings.grid}")
    report.write_json(
        settings.json,
        {
            "metric": "prompt following R@k, ties count against",
            "prompts": len(prompts),
            "prompt_seed": settings.prompt_seed,
            "model": report.describe_model(settings.model, pipe),
            "judge": report.describe_clip(settings.judge, judge),
            "data": report.describe_data(data),
            "sampling": settings.sampling(),
            "results": numbers,
        },
    )
