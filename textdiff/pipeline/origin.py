"""How a picture was drawn, as its PNG keeps it, and the settings that draw it again.

    DrawPlan, row k ── Origin.of_plan ──► Origin ── to_json ──► PNG chunk `textdiff`
    PNG ── read_origin ──► Origin ── settings ──► the same draw: to the bit with the whole `batch`

Beside the settings stand hashes: of the weights, and of the pictures that were started from.
A PNG may come from anybody. Of its settings only those of `SamplingConfig` count, checked as if
they were typed, and no name in one is looked up on the network.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.config import build
from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage, open_image
from textdiff.data.picture_files import read_mask, read_picture
from textdiff.errors import CheckpointError, UsageError
from textdiff.models.unet import UNet
from textdiff.pipeline.config import SECTIONS, SamplingConfig, flat_settings, sampling_only
from textdiff.pipeline.cost import Evaluations, evaluations
from textdiff.pipeline.embedding_source import TEXT
from textdiff.pipeline.plan import DrawPlan
from textdiff.vae import Vae

CHUNK = "textdiff"
# How each picture is read that one may be made from, by its flag and path.
READERS: dict[str, Callable[[str, str | Path], Image.Image]] = {
    "init_image": read_picture,
    "mask": read_mask,
    "clip_image": read_picture,
    "vary": read_picture,
    "vary_to": read_picture,
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How one picture was drawn.

    index: its noise is that of (config.seed, index).
    batch: the prompts that were drawn at once, and `row`, which of them is the picture's. Sums over
        another batch may round otherwise, so the same bits take the same batch.
    model: name, step, and hashes of the U-Net's `weights`, of the `clip` and, if any, of the `vae`.
    pictures: by name of `READERS`, path and sha256 of what it was made from.
    guide_weights: hash of the CLIP that guided; None: none did.
    judge_weights: hash of the CLIP that chose it among candidates; None: there were none.
    prior_weights: hash of the prior that drew the embedding it was decoded from; None: none did.
    evaluations: what it cost, where there were.
    threads: of the CPU that drew it, on which the bits depend; None: a GPU did, or it is not told.
    """

    prompt: str
    index: int
    batch: tuple[str, ...]
    row: int
    config: SamplingConfig
    model: Mapping[str, Any]
    pictures: Mapping[str, tuple[str, str]]
    guide_weights: str | None = None
    judge_weights: str | None = None
    prior_weights: str | None = None
    evaluations: Evaluations | None = None
    threads: int | None = None

    @classmethod
    def of_plan(
        cls,
        plan: DrawPlan,
        k: int,
        *,
        model: Mapping[str, Any],
        pictures: Mapping[str, tuple[str, str]],
        guide_weights: str | None = None,
        judge_weights: str | None = None,
        threads: int | None = None,
    ) -> Origin:
        """Of the plan's picture `k`; "auto" becomes what it meant on this machine."""
        rows = next(rows for rows in plan.batches if rows.start <= k < rows.stop)
        precision = {"precision": "bf16" if plan.bf16 else "no"}
        return cls(
            prompt=plan.prompts[k],
            index=plan.first + k,
            batch=plan.prompts[rows],
            row=k - rows.start,
            config=sampling_only(plan.config).model_copy(update=precision),
            model=model,
            pictures=pictures,
            guide_weights=guide_weights,
            judge_weights=judge_weights,
            prior_weights=plan.prior_weights,
            evaluations=None if plan.judge is None else evaluations(plan),
            threads=threads,
        )

    @classmethod
    def of_rows(
        cls,
        plan: DrawPlan,
        rows: Sequence[int],
        *,
        model: Mapping[str, Any],
        pictures: Mapping[str, tuple[str, str]],
        threads: int | None,
    ) -> list[Origin]:
        """Of these pictures of the plan, with the hashes of the CLIPs that guided and chose."""
        guide, judge = (
            None if clip is None else clip.weights_hash() for clip in (plan.guide, plan.judge)
        )
        return [
            cls.of_plan(
                plan,
                k,
                model=model,
                pictures=pictures,
                guide_weights=guide,
                judge_weights=judge,
                threads=threads,
            )
            for k in rows
        ]

    def to_json(self) -> dict[str, Any]:
        """A key per flag of `textdiff sample`, and what `read_origin` needs besides."""
        paths = {
            name: self.pictures[name][0] if name in self.pictures else None for name in READERS
        }
        optional = {
            "clip_guide_weights": self.guide_weights,
            "judge_weights": self.judge_weights,
            "prior_weights": self.prior_weights,
            "evaluations": None if self.evaluations is None else asdict(self.evaluations),
            "threads": self.threads,
        }
        return {
            "prompt": self.prompt,
            "index": self.index,
            **flat_settings(self.config),
            **paths,
            "sha256": {name: digest for name, (_, digest) in self.pictures.items()},
            "model": dict(self.model),
            **{name: value for name, value in optional.items() if value is not None},
            "row": self.row,
            "batch": list(self.batch),
        }

    def settings(self) -> dict[str, Any]:
        """Keys and values that `SamplingConfig` takes."""
        return flat_settings(self.config)

    def check_pictures(self, names: Iterable[str]) -> None:
        """Raises UsageError if one of these files that it was made from is gone or another one."""
        for name in names:
            path, digest = self.pictures[name]
            flag = "--" + name.replace("_", "-")
            if not Path(path).is_file():
                raise UsageError(f"{name} {path} is gone; put it back, or give {flag}")
            if file_sha256(path) != digest:
                raise UsageError(
                    f"{name} {path} has changed since the picture was drawn (sha256 {digest[:16]} "
                    f"then); put it back, or give {flag}"
                )

    def check_guide(self) -> None:
        """Raises UsageError if the CLIP that guided is named by anything but a folder here."""
        name = self.config.clip_guidance.guide
        if name is not None and self.config.clip_guidance.scale and not Path(name).is_dir():
            raise UsageError(f"clip_guide {name} is no folder here; give --clip-guide")

    def check_judge(self) -> None:
        """Raises UsageError if the CLIP that chose is named by anything but a folder here."""
        name = self.config.selection.judge
        if name is not None and not Path(name).is_dir():
            raise UsageError(f"judge {name} is no folder here; give --judge")

    def check_prior(self) -> None:
        """Raises UsageError if the prior is named by anything but a folder here."""
        name = self.config.unclip.prior
        if name is not None and name != TEXT and not Path(name).is_dir():
            raise UsageError(f"prior {name} is no folder here; give --prior")

    def check_prior_weights(self, now: str | None) -> None:
        """Raises CheckpointError if another prior would draw the embedding now."""
        if now != self.prior_weights:
            raise CheckpointError(
                f"{self.config.unclip.prior} has other weights than drew the embedding "
                f"({self.prior_weights} then, now {now}); give --prior to draw another picture"
            )

    def check_weights(self, unet: UNet, clip: ClipModel, vae: Vae | None) -> None:
        """Raises CheckpointError if these are not the weights that drew the picture."""
        hashes = {
            "weights": checkpoint.weights_hash(unet),
            "clip": clip.weights_hash(),
            "vae": None if vae is None else vae.identity,
        }
        for name, now in hashes.items():
            then = self.model.get(name)
            if now != then:
                raise CheckpointError(
                    f"{self.model.get('name')} has other weights than drew the picture ({name} "
                    f"{then} at step {self.model.get('step')}, now {now}); give --model to draw "
                    "another picture with its settings"
                )


def read_origin(path: str | Path) -> Origin:
    """Of a PNG that `textdiff sample` wrote.

    Raises:
        UsageError: no such file, or none with settings in it that can be used.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file")
    return origin_in(Path(path).read_bytes(), f"{path}")


def origin_in(png: bytes, where: str) -> Origin:
    """The same of a file's bytes. Raises as `read_origin`.

    where: what it is called in messages.
    """
    try:
        open_image(png, DataConfig())  # the guard against pictures that cannot be read
        with Image.open(io.BytesIO(png)) as picture:
            text = getattr(picture, "text", {}).get(CHUNK)
    except (BadImage, OSError, ValueError) as error:
        raise UsageError(f"{where} cannot be read: {error}") from None
    if text is None:
        raise UsageError(f"{where} holds no settings; give a PNG that 'textdiff sample' wrote")
    try:
        return _from_json(json.loads(text), where)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{where}: its settings are damaged ({error!r:.100})") from None


def _from_json(known: dict[str, Any], where: str) -> Origin:
    names = (SamplingConfig.model_fields.keys() | SamplingConfig.short_names) - {*SECTIONS}
    config = build(
        SamplingConfig, [(where, {name: known[name] for name in sorted(names) if name in known})]
    )
    batch, row = tuple(known["batch"]), known["row"]
    pictures = {name: (known[name], known["sha256"][name]) for name in known["sha256"]}
    numbers = (row, known["index"], known.get("threads", 1))
    texts = (*batch, *sum(pictures.values(), ()))
    if (
        any(type(number) is not int for number in numbers)
        or not all(isinstance(text, str) for text in texts)
        or not pictures.keys() <= READERS.keys()
        or not 0 <= row < len(batch)
        or known.get("threads", 1) < 1
        or batch[row] != known["prompt"]
        or not isinstance(known["model"]["name"], str)
    ):
        raise ValueError("they contradict each other")
    return Origin(
        prompt=known["prompt"],
        index=known["index"],
        batch=batch,
        row=row,
        config=config,
        model=known["model"],
        pictures=pictures,
        guide_weights=known.get("clip_guide_weights"),
        judge_weights=known.get("judge_weights"),
        prior_weights=known.get("prior_weights"),
        threads=known.get("threads"),
    )


def keywords(origin: Origin) -> dict[str, Any]:
    """What a call of `TextToImage` takes to draw the picture alone: prompt, number, pictures and
    settings. Raises as `check_pictures`."""
    origin.check_pictures(origin.pictures)
    origin.check_guide()
    origin.check_judge()
    origin.check_prior()
    opened = {name: READERS[name](name, path) for name, (path, _) in origin.pictures.items()}
    return {"prompts": origin.prompt, "first": origin.index, **opened, **origin.settings()}


def file_sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
