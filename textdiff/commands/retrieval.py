"""Retrieval of a CLIP on captioned images: R@1/5/10 image to text and text to image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig


class RetrievalSettings(Settings):
    """Protocol: every image of the split (or the first `limit`) with all of its captions."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "test", description="split that is searched"
    )
    limit: int | None = Field(None, ge=1, description="search among the first so many images")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    json: str | None = Field(None, description="write numbers and protocol here")


def run(settings: RetrievalSettings) -> None:
    """Load, search, show."""
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.files import check_file
    from textdiff.metrics.features import retrieval_on

    check_file("--json", settings.json)
    data = open_data(settings.data, settings.split)
    clip = ClipModel.load(settings.clip).freeze().to(pick_device(settings.device))
    found = retrieval_on(clip, data, settings.limit)
    rows, numbers = [], {}
    for direction, ranking in found.retrieval.directions().items():
        owners = found.image_of_text if direction == "text_to_image" else None
        numbers[direction] = {
            f"R@{k}": {
                **report.interval(ranking.ranks <= k, owners),
                "chance": ranking.chance(k),
            }
            for k in (1, 5, 10)
        }
        for k, value in numbers[direction].items():
            low_high = f"{value['low']:.1%} to {value['high']:.1%}"
            name = direction.replace("_", " ")
            rows.append([f"{name} {k}", f"{value['mean']:.1%}", low_high, f"{value['chance']:.2%}"])
    report.show(
        f"Retrieval among {found.num_images} images of {data.name}, split {data.split}",
        ["", "rate", "95% interval", "chance"],
        rows,
    )
    report.write_json(
        settings.json,
        {
            "metric": "retrieval R@k, ties count against",
            "searched": found.num_images,
            "captions": len(found.image_of_text),
            "captions_cut": found.num_truncated,
            "data": report.describe_data(data),
            "clip": report.describe_clip(settings.clip, clip),
            "results": numbers,
        },
    )
