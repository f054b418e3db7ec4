"""The file of a sweep: protocol and numbers, written after each setting so that a run that is cut
off keeps what it has; continued by a run of the same protocol, and put beside others."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.errors import UsageError
from textdiff.evaluation import report
from textdiff.evaluation.guidance.pairs import add_differences
from textdiff.evaluation.guidance.table import kind_of, setting_name
from textdiff.files import write_text
from textdiff.pipeline.config import sampling_only

if TYPE_CHECKING:
    from textdiff.commands.guidance import GuidanceSettings
    from textdiff.data import CaptionedImages
    from textdiff.evaluation.guidance.judges import Judges
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.config import SamplingConfig

SWEPT = ("guidance_scale", "clip_guidance_scale")
RESULTS = ("real", "settings")
GUIDE_KEYS = ("guide", "clip_sampling")  # runs that are shown side by side may differ in these


@dataclass
class Store:
    """Protocol and results. path: their file, if any."""

    path: str | None
    found: dict[str, Any]

    @classmethod
    def open(cls, path: str | None, protocol: dict[str, Any]) -> Store:
        """With what the file at `path` holds already.

        Raises:
            UsageError: it is of another protocol, or no such file at all.
        """
        about = json.loads(json.dumps(protocol))  # tuples become lists, as in the file
        if path is None or not Path(path).exists():
            return cls(path, {**about, "real": {}, "settings": []})
        found = read(path)
        for key, value in about.items():
            if found.get(key) != value:
                what = difference(key, found.get(key), value)
                raise UsageError(f"--json {path} is of another protocol: {what}; name another file")
        return cls(path, found)

    def has(self, config: SamplingConfig) -> bool:
        scales = [config.guidance_scale, config.clip_guidance.scale]
        return any([one[name] for name in SWEPT] == scales for one in self.found["settings"])

    def add(self, config: SamplingConfig, numbers: dict[str, Any]) -> None:
        """Appends the numbers of a setting, and writes the file."""
        scales = dict(zip(SWEPT, (config.guidance_scale, config.clip_guidance.scale), strict=True))
        named = {"kind": kind_of(*scales.values()), "name": setting_name(*scales.values())}
        self.found["settings"].append({**named, **scales, **numbers})
        add_differences(self.found["settings"])
        if self.path:
            write_text(self.path, as_text(self.found))


def as_text(found: dict[str, Any]) -> str:
    """JSON with each list of numbers in one line. No string in JSON holds a line break, so what
    starts with one is a list."""
    return re.sub(
        r'\[\n[^\[\]{}"]*\]', lambda of: " ".join(of[0].split()), json.dumps(found, indent=2) + "\n"
    )


def protocol(
    settings: GuidanceSettings,
    pipe: TextToImage,
    judges: Judges,
    data: CaptionedImages,
    prompts: list[str],
    reference: int,
) -> dict[str, Any]:
    """All that the numbers depend on but the scales."""
    sampling = sampling_only(settings).model_dump(mode="json")
    clip_sampling = sampling.pop("clip_guidance")
    del sampling["guidance_scale"], clip_sampling["scale"]
    return {
        "metric": {
            "R@k": "pictures whose prompt is among the first k of all prompts, ties count against",
            "CLIP score": "100 max(cos, 0)",
            "KID": "unbiased MMD^2, one block, kernel (cos + 1)^3 of image features",
            "Frechet": "of unit image features, covariance n - 1; biased upwards, the interval "
            "shows spread only",
            "held_out": "mean over the evaluators",
            "interval": "95% percentile bootstrap over prompts, each with all of its pictures; "
            "distances also over the real pictures",
            "differences": "setting minus baseline, of held-out CLIPs, in the same resamples",
            "samples": "of held-out CLIPs: R@1 of each prompt, KID of each resample",
        },
        "model": report.describe_model(settings.model, pipe),
        "guide": {
            **report.describe_clip(judges.guide_name, judges.guide),
            "form": judges.form,
            "judges": {"reads": judges.reads, "weights": judges.guide_as_judge.weights_hash()},
        },
        "evaluators": [report.describe_clip(name, c) for name, c in judges.held_out.items()],
        "data": report.describe_data(data),
        "prompts": {
            "count": len(prompts),
            "seed": settings.prompt_seed,
            "sha256": hashlib.sha256("\n".join(prompts).encode()).hexdigest(),
            "pictures_of_each": settings.images_per_prompt,
            "captions_cut": {
                name: clip.tokenize(prompts).num_truncated for name, clip in judges.held_out.items()
            },
        },
        "reference": {
            "split": settings.reference_split or settings.split,
            "pictures": reference,
            "left_out": "pictures of the prompts",
        },
        "chance": {f"R@{k}": min(1.0, k / len(prompts)) for k in (1, 5)},
        "sampling": sampling,
        "clip_sampling": clip_sampling,
        "device": report.device_name(pipe),
        "versions": report.versions(),
    }


def read(path: str) -> dict[str, Any]:
    """What `Store` wrote. Raises UsageError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict) or not {*RESULTS, *GUIDE_KEYS} <= found.keys():
        raise UsageError(
            f"{path} holds no sweep; give a file that 'textdiff guidance --json' wrote"
        )
    return found


def difference(key: str, one: Any, other: Any) -> str:
    """Names the first entry that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {**one, **other}:
            if one.get(name) != other.get(name):
                return difference(f"{key}.{name}", one.get(name), other.get(name))
    return f"{key} is {one}, not {other}"
