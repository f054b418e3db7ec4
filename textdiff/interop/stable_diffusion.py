"""A latent model as a folder of diffusers' own `StableDiffusionPipeline`, without code of ours.

    unet/ vae/ scheduler/ text_encoder/ tokenizer/  model_index.json  README.md

    prompt ─► tokenizer ─► text_encoder (CLIPTextModel), padding included ─┐
    noise ─► scheduler, unet ◄─────────────────────────────────────────────┘ ─► z' ─► vae ─► picture

What it takes of a model:

    padding   it gives the U-Net no mask of the text, so one that was trained with `text_padding`.
              open_clip pads with the id of "!", so a token of its own with the same embedding is
              the tokenizer's padding: prompts that end in "!" keep theirs
    scale     by channel, folded into the VAE (see `interop.vae`)
    eps       and x_0 and v, by one network output: no learned variance
    text      the last layer of the text tower; no pooled feature
    x_0_hat   as it comes: it forces clip_sample False, which latents want anyway
    guidance  at scales above 1 alone
    steps     are those of diffusers' scheduler, see `interop.scheduler`

What a model has besides is refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff import checkpoint
from textdiff.clip.config import LAST_LAYER
from textdiff.clip.model import ClipModel
from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import follow_umask, write_text
from textdiff.interop.readme import readme_of
from textdiff.interop.scheduler import SamplerName, scheduler_to_diffusers
from textdiff.interop.text_encoder import TOLERANCE, text_encoder_to_transformers
from textdiff.interop.tokenizer import PROBES, tokenizer_to_transformers
from textdiff.interop.unet import unet_to_diffusers
from textdiff.interop.unet_layout import refuse_decoder
from textdiff.interop.vae import vae_to_diffusers
from textdiff.pipeline import TextToImage

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

INDEX = "model_index.json"
PADDING = "<|padding|>"  # a token that no prompt holds


def stable_diffusion_to_diffusers(
    pipe: TextToImage,
    folder: str | Path,
    sampler: SamplerName = "ddim",
    variance: VarianceType = "fixed_small",
) -> None:
    """Writes the folder; model_index.json last, so that a broken one does not load.

    Args:
        variance: of ddpm.

    Raises:
        UsageError: a model or choice that the pipeline cannot hold.
        CheckpointError: the exported text tower's outputs differ from ours.
    """
    folder = Path(folder).expanduser()
    check_stable_diffusion(pipe)
    assert pipe.vae is not None and isinstance(pipe.schedule, NoiseSchedule)
    scheduler = scheduler_to_diffusers(
        pipe.schedule, pipe.config.prediction, sampler, variance, clip=False
    )
    scheduler.register_to_config(steps_offset=1)  # or the pipeline warns; trailing ignores it

    (folder / INDEX).unlink(missing_ok=True)
    tokenizer = padding_tokenizer(pipe.clip)
    tokenizer.save_pretrained(folder / "tokenizer")
    padding_text_model(pipe.clip, tokenizer, folder / "text_encoder")
    unet_to_diffusers(pipe.unet, folder / "unet")
    vae_to_diffusers(pipe.vae, folder / "vae")
    scheduler.save_pretrained(folder / "scheduler")
    write_text(folder / "README.md", readme_of("stable diffusion"))
    write_text(folder / INDEX, json.dumps(_index(type(scheduler).__name__), indent=2) + "\n")
    follow_umask(folder)


def check_stable_diffusion(pipe: TextToImage) -> None:
    """Raises UsageError for what a StableDiffusionPipeline cannot hold."""
    model, unet = pipe.config, pipe.unet.config
    refuse_decoder(unet)
    if pipe.vae is None:
        raise UsageError(
            "StableDiffusionPipeline draws latents, and this model pixels; take --pipeline bundled"
        )
    if not model.text_padding:
        raise UsageError(
            "StableDiffusionPipeline gives the U-Net no mask of the text, so it attends to the "
            "padding behind a prompt, which this model never saw; train with --text-padding true"
        )
    if unet.pooled_dim:
        raise UsageError(
            "StableDiffusionPipeline gives the U-Net no pooled text feature, which this model has; "
            "train with --use-pooled false"
        )
    if model.text_layers != LAST_LAYER:
        raise UsageError(
            "StableDiffusionPipeline takes the text tower's last layer, this model attends to "
            f"text_layers {list(model.text_layers)}; train with -1"
        )
    if unet.learned_variance:
        raise UsageError(
            "StableDiffusionPipeline takes one output of the U-Net, this model learned a variance "
            "besides; train with objective.loss simple"
        )
    if unet.patch_size > 1:
        raise UsageError(
            "StableDiffusionPipeline folds no places into channels, this model has "
            f"unet.patch_size {unet.patch_size}; train with 1"
        )


def padding_tokenizer(clip: ClipModel) -> CLIPTokenizer:
    """With a padding token of its own. Raises as `tokenizer_to_transformers`."""
    tokenizer = tokenizer_to_transformers(clip)
    tokenizer.add_special_tokens({"pad_token": PADDING})
    return tokenizer


def padding_text_model(clip: ClipModel, tokenizer: CLIPTokenizer, folder: Path) -> CLIPTextModel:
    """The text tower without its projection, its padding token's embedding that of open_clip's
    padding, 0; written to `folder` and read back.

    Raises:
        UsageError: as `text_encoder_to_transformers`.
        CheckpointError: the outputs differ from ours.
    """
    from transformers import CLIPTextModel

    whole = text_encoder_to_transformers(clip)
    tensors = whole.text_model.state_dict()
    name = "embeddings.token_embedding.weight"
    tensors[name] = torch.cat([tensors[name], tensors[name][:1]])
    config = whole.config
    config.vocab_size, config.pad_token_id = len(tokenizer), tokenizer.pad_token_id
    theirs = CLIPTextModel(config)
    tower = getattr(theirs, "text_model", theirs)  # of its own before transformers 5.6
    checkpoint.load_module(tower, tensors, "the text tower for CLIPTextModel")
    theirs.save_pretrained(folder)
    follow_umask(folder)
    theirs = CLIPTextModel.from_pretrained(folder).eval()
    _check_outputs(clip, tokenizer, theirs)
    return theirs


@torch.no_grad()
def _check_outputs(clip: ClipModel, tokenizer: CLIPTokenizer, theirs: CLIPTextModel) -> None:
    ids = tokenizer(
        list(PROBES),
        padding="max_length",
        max_length=clip.context_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    ours = clip.conditioning(list(PROBES), padding=True).tokens.cpu()
    error = (theirs(ids).last_hidden_state - ours).abs().max().item()
    if not error <= TOLERANCE * max(1.0, ours.abs().max().item()):
        raise CheckpointError(
            f"the exported CLIPTextModel's features differ from ours by up to {error:.2g}: this "
            "version of transformers is not one that textdiff can export to; use another"
        )


def _index(scheduler: str) -> dict[str, Any]:
    import diffusers

    absent = dict.fromkeys(("safety_checker", "feature_extractor", "image_encoder"), (None, None))
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ("diffusers", scheduler),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        **absent,
        "requires_safety_checker": False,
    }
