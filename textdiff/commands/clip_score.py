"""CLIP score (arXiv 2104.08718): mean of weight x max(cos(image, caption), 0).

Of a model on the captions of a data split, beside the real pictures; or of a folder of captioned
images as it is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from textdiff.data.config import DataConfig
from textdiff.pipeline.config import SamplingConfig, sampling_only


class ClipScoreSettings(SamplingConfig):
    """Protocol: one picture per prompt; weight 100 as torchmetrics, 2.5 as the paper."""

    model: str | None = Field(
        None, description="run folder or exported model to draw pictures with"
    )
    images: str | None = Field(None, description="or: a folder of captioned images to score")
    clip: str | None = Field(
        None, description="CLIP that judges; none: the model's own, which flatters it"
    )
    weight: float = Field(100.0, gt=0, description="100: torchmetrics; 2.5: the paper's CLIPScore")
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "train", description="split whose captions are the prompts"
    )
    num_prompts: int = Field(128, ge=1, description="prompts and pictures")
    prompt_seed: int = Field(0, description="which captions are the prompts")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    json: str | None = Field(None, description="write numbers and protocol here")

    @model_validator(mode="after")
    def _one_kind_of_picture(self) -> ClipScoreSettings:
        if (self.model is None) == (self.images is None):
            raise ValueError("give either --model or --images")
        if self.images and not self.clip:
            raise ValueError("--images needs --clip, the CLIP that judges")
        return self


def run(settings: ClipScoreSettings) -> None:
    """Load, draw if there is a model, score, show."""
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.evaluation.drawn import captioned_pictures, drawn_pictures, real_pictures
    from textdiff.files import check_file
    from textdiff.metrics.clip_score import clip_scores
    from textdiff.metrics.features import image_features, text_features
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    if settings.images:
        folder = settings.data.model_copy(update={"source": settings.images, "kind": "folder"})
        data, pipe = open_data(folder, "all"), None
        clip = ClipModel.load(settings.clip)
        pictures = {"given": captioned_pictures(data)}
    else:
        data = open_data(settings.data, settings.split)
        pipe = TextToImage.load(settings.model, pick_device(settings.device))
        report.check_image_size(data, pipe)
        clip = ClipModel.load(settings.clip) if settings.clip else pipe.clip
        real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
        pictures = {"drawn": drawn_pictures(pipe, real.prompts, settings), "real": real}
    clip.freeze().to(pick_device(settings.device))
    numbers, captions = {}, [c for judged in pictures.values() for c in judged.prompts]
    for name, judged in pictures.items():
        scores = clip_scores(
            image_features(clip, judged.images),
            text_features(clip, judged.prompts),
            settings.weight,
        )
        numbers[name] = {**report.interval(scores), "pictures": len(judged.prompts)}
    report.show(
        f"CLIP score (cosine x {settings.weight:g})",
        ["", "score", "95% interval", "pictures"],
        [
            [
                f"{name} pictures",
                f"{v['mean']:.2f}",
                f"{v['low']:.2f} to {v['high']:.2f}",
                str(v["pictures"]),
            ]
            for name, v in numbers.items()
        ],
    )
    report.write_json(
        settings.json,
        {
            "metric": "CLIP score",
            "weight": settings.weight,
            "model": report.describe_model(settings.model, pipe) if pipe else None,
            "clip": report.describe_clip(settings.clip or f"{settings.model}/clip", clip),
            "data": report.describe_data(data),
            "prompt_seed": settings.prompt_seed,
            "sampling": sampling_only(settings).model_dump(mode="json") if pipe else None,
            "captions_cut": clip.tokenize(captions).num_truncated,
            "results": numbers,
        },
    )
