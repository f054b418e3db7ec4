"""A training of every task that takes a second or two, on pictures made on the spot.

Each is a YAML file, which `textdiff <command> --config` reads as a process of its own does here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from textdiff.clip import ClipModel
from textdiff.config import Settings, build
from textdiff.data import open_data
from textdiff.data.config import RunData
from textdiff.data.embeddings import write_embeddings
from textdiff.data.of_run import data_of_run
from textdiff.evaluation.embedding.embed import embeddings_of
from textdiff.evaluation.features.cached import clip_features
from textdiff.metrics.preparation import as_clip_sees
from textdiff.training.run import TrainingSpec, run_training
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.training.specs.clip import clip_spec
from textdiff.training.specs.noised_clip import for_model, noised_clip_spec
from textdiff.training.specs.prior import prior_spec
from textdiff.training.specs.text_to_image import text_to_image_spec
from textdiff.training.specs.vae import vae_spec

SIDE = 16
# rows of metrics, evaluations and checkpoints fall on different steps
TRAIN = {
    "steps": 8,
    "log_every": 3,
    "eval_every": 4,
    "checkpoint_every": 2,
    "batch_size": 4,
    "warmup_steps": 1,
    "lr": 1e-3,
    "precision": "no",
    "tensorboard": False,
    "workers": 0,
}
CLIP = {
    "image": {"image_size": SIDE, "patch_size": 8, "width": 8, "heads": 1, "layers": 1},
    "text": {"context_length": 8, "width": 8, "heads": 1, "layers": 1},  # of 49,408 words
    "embed_dim": 8,
}
UNET = {
    "block_channels": [8, 16],
    "attention": [False, True],
    "layers_per_block": 1,
    "head_dim": 8,
    "norm_groups": 4,
    "dropout": 0.1,
}
VAE = {"block_channels": [8, 8, 8], "latent_channels": 2, "norm_groups": 4}
PRIOR = {
    "transformer": {"width": 16, "heads": 2, "layers": 1},
    "codes": {"num_components": 3, "num_buckets": 4, "num_dots": 2},
    "preview": {"num_steps": 2},
}
DRAWN = {"num_prompts": 2, "num_steps": 2}


@dataclass(frozen=True)
class Job:
    """A training by its command and settings, `name` for tables. needs: jobs whose run it reads."""

    name: str
    command: str
    settings: dict[str, Any]
    needs: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        return self.name.lower().replace(" ", "-")

    def write(self, root: Path) -> Path:
        """Its file, in a folder of its own under `root`."""
        folder = root / self.slug
        folder.mkdir(parents=True, exist_ok=True)
        settings = {**self.settings, "run_dir": str(folder / "run")}
        file = folder / "job.yaml"
        file.write_text(yaml.safe_dump(settings))
        return file


SPECS: dict[str, tuple[type[Settings], Callable[[Any], TrainingSpec]]] = {
    "train": (TrainSettings, text_to_image_spec),
    "train-clip": (TrainClipSettings, clip_spec),
    "finetune-clip": (FinetuneClipSettings, lambda asked: noised_clip_spec(*for_model(asked))),
    "train-prior": (TrainPriorSettings, prior_spec),
    "train-vae": (TrainVaeSettings, vae_spec),
}


def carry_out(file: Path, command: str) -> None:
    """The training that `file` asks for, as its command does it."""
    schema, spec = SPECS[command]
    asked: Any = build(schema, [(str(file), yaml.safe_load(file.read_text()))])
    run_training(spec(asked), run_dir=asked.run_dir, resume=asked.resume)


NAMES = (
    *("CLIP", "VAE", "VAE with discriminator", "diffusion", "binary", "latent diffusion"),
    *("noised CLIP", "diffusion prior", "autoregressive prior", "decoder"),
)


def jobs(root: Path, steps: int) -> list[Job]:
    """Those of `NAMES`, in the order in which they need each other, with runs under `root`."""
    clip, model, vae = (str(root / name / "made") for name in ("clip", "diffusion", "vae"))
    train = {**TRAIN, "steps": steps}
    data = {"source": str(root / "pictures"), "image_size": SIDE, "min_side": 4}
    shared: dict[str, Any] = {"data": data, "train": train, "eval_images": 4}
    unet: dict[str, Any] = {**shared, "clip": clip, "unet": UNET, "preview": DRAWN}
    gaussian = {**unet, "schedule": {"name": "cosine", "num_timesteps": 50}}
    embeddings = str(root / "embeddings.safetensors")
    prior = {"train": train, **PRIOR, "embeddings": embeddings, "clip": clip}
    adversary = {"weight": 0.5, "start": 2}
    noised = {**shared, "init": clip, "noise": {"schedule_from": model}, "distill": 0.5}
    del noised["data"]
    return [
        Job("CLIP", "train-clip", {**shared, "clip": CLIP}),
        Job("VAE", "train-vae", {**shared, "vae": VAE}),
        Job(
            "VAE with discriminator",
            "train-vae",
            {**shared, "vae": VAE, "discriminator": adversary},
        ),
        Job("diffusion", "train", gaussian, ("CLIP",)),
        Job("binary", "train", {**unet, "process": "binary"}, ("CLIP",)),
        Job("latent diffusion", "train", {**gaussian, "codec": vae}, ("CLIP", "VAE")),
        Job("noised CLIP", "finetune-clip", noised, ("CLIP", "diffusion")),
        Job("diffusion prior", "train-prior", {**prior, "kind": "diffusion"}, ("CLIP",)),
        Job("autoregressive prior", "train-prior", {**prior, "kind": "autoregressive"}, ("CLIP",)),
        Job("decoder", "train", {**gaussian, "embeddings": embeddings}, ("CLIP",)),
    ]


def make_pictures(folder: Path) -> None:
    """Twelve of a plain colour each, with captions; two are val, two test."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(12):
        name, colour = f"{number}.png", (20 * number, 255 - 20 * number, 40 * (number % 5))
        Image.new("RGB", (SIDE, SIDE), colour).save(folder / name)
        split = {3: "val", 4: "val", 7: "test", 8: "test"}.get(number, "train")
        lines.append(json.dumps({"file_name": name, "text": f"colour {number}", "split": split}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def make_embeddings(root: Path) -> None:
    """What `textdiff embed` writes of the pictures, by the CLIP that was trained."""
    folder = str(root / "clip" / "made")
    clip = ClipModel.load(folder).freeze()
    asked = RunData(source=str(root / "pictures"))
    data = open_data(as_clip_sees(data_of_run(asked, "--clip", folder), clip), "all")
    embeddings = embeddings_of(clip_features(clip, folder), clip, data)
    assert Counter(embeddings.splits)["train"] == 8
    write_embeddings(root / "embeddings.safetensors", embeddings)
