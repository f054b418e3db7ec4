"""A diffusion prior as a folder for diffusers, which has the parts of unCLIP's pipelines.

    prior/          PriorTransformer: the same tensors, name by name
    scheduler/      UnCLIPScheduler: the cosine schedule, prediction of x_0, not clipped
    text_encoder/ tokenizer/  of transformers        README.md: the lines that draw with them

Kandinsky's pipeline gives its prior CLIP's text feature as it is. Ours is trained on unit features
times sqrt(E), so the lines in README.md scale it; all else is as in `KandinskyV22PriorPipeline`.
UnCLIPScheduler's steps are ours of sampler ddpm with spacing linspace.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff import checkpoint
from textdiff.errors import UsageError
from textdiff.files import disk_errors, follow_umask, write_text
from textdiff.interop.text_encoder import text_encoder_to_transformers
from textdiff.interop.tokenizer import tokenizer_to_transformers
from textdiff.models.diffusion_prior import BEHIND_CAPTION, DiffusionPrior
from textdiff.models.prior_config import DiffusionPriorConfig
from textdiff.pipeline.prior.prior import Prior

if TYPE_CHECKING:
    from diffusers import PriorTransformer, UnCLIPScheduler

README = """\
# A diffusion prior of unCLIP for diffusers

Exported by textdiff; drawing needs diffusers and transformers alone. These lines turn captions into
unit CLIP image embeddings:

```python
import torch
import torch.nn.functional as F
from diffusers import PriorTransformer, UnCLIPScheduler
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

prior = PriorTransformer.from_pretrained(FOLDER, subfolder="prior")
scheduler = UnCLIPScheduler.from_pretrained(FOLDER, subfolder="scheduler")
tokenizer = CLIPTokenizer.from_pretrained(FOLDER, subfolder="tokenizer")
text_encoder = CLIPTextModelWithProjection.from_pretrained(FOLDER, subfolder="text_encoder")


@torch.no_grad()
def draw(prompts, num_steps=25):
    length = prior.config.num_embeddings
    tokens = tokenizer(
        prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    text = text_encoder(tokens.input_ids)
    z_t = F.normalize(text.text_embeds, dim=-1) * prior.config.embedding_dim**0.5
    x = torch.randn(len(prompts), prior.config.embedding_dim)
    scheduler.set_timesteps(num_steps)
    for t, following in zip(scheduler.timesteps, [*scheduler.timesteps[1:], None]):
        x_0 = prior(
            x,
            timestep=t,
            proj_embedding=z_t,
            encoder_hidden_states=text.last_hidden_state,
            attention_mask=tokens.attention_mask.bool(),
        ).predicted_image_embedding
        x = scheduler.step(x_0, timestep=t, sample=x, prev_timestep=following).prev_sample
    return F.normalize(prior.post_process_latents(x), dim=-1)
```
"""


def prior_to_diffusers(prior: Prior, folder: str | Path) -> None:
    """Writes the folder, README.md last.

    Raises:
        UsageError: a prior that diffusers has no class for; names the setting.
    """
    folder = Path(folder).expanduser()
    network, scheduler = network_to_diffusers(prior), unclip_scheduler(prior)
    (folder / "README.md").unlink(missing_ok=True)
    tokenizer_to_transformers(prior.clip, folder / "tokenizer")
    text_encoder_to_transformers(prior.clip, folder / "text_encoder")
    with disk_errors(folder):
        network.save_pretrained(folder / "prior")
    scheduler.save_pretrained(folder / "scheduler")
    follow_umask(folder)
    write_text(folder / "README.md", README.replace("FOLDER", repr(str(folder))))


def network_to_diffusers(prior: Prior) -> PriorTransformer:
    """The same network, in eval mode. Raises UsageError as `prior_to_diffusers`."""
    from diffusers import PriorTransformer

    network = prior.network
    if not isinstance(network, DiffusionPrior):
        raise UsageError(
            f"a prior of kind {prior.config.kind} has no class in diffusers; export one of kind "
            "diffusion"
        )
    theirs = PriorTransformer(**options_of(network.config)).eval()
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    checkpoint.load_module(theirs, tensors, "diffusers' PriorTransformer")
    return theirs


def options_of(config: DiffusionPriorConfig) -> dict[str, Any]:
    """Arguments of PriorTransformer.

    Raises:
        UsageError: token features of another width than embeddings.
    """
    if config.text_width != config.embed_dim:
        raise UsageError(
            f"this CLIP's token features are {config.text_width} wide, its embeddings "
            f"{config.embed_dim}: diffusers' PriorTransformer takes one width for both; train the "
            "CLIP with clip.text.width equal to clip.embed_dim"
        )
    return {
        "num_attention_heads": config.heads,
        "attention_head_dim": config.head_dim,
        "num_layers": config.layers,
        "embedding_dim": config.embed_dim,
        "num_embeddings": config.context_length,
        "additional_embeddings": BEHIND_CAPTION,
        "dropout": config.dropout,
    }


def unclip_scheduler(prior: Prior) -> UnCLIPScheduler:
    """Raises UsageError: another schedule than the cosine one, which it alone has."""
    from diffusers import UnCLIPScheduler

    schedule = prior.config.schedule
    scheduler = UnCLIPScheduler(
        num_train_timesteps=schedule.num_timesteps,
        variance_type="fixed_small_log",
        clip_sample=False,
        prediction_type="sample",
    )
    ours = prior.schedule.alphas_cumprod
    if not torch.allclose(scheduler.alphas_cumprod.double(), ours, rtol=1e-3, atol=1e-6):
        raise UsageError(
            f"schedule {schedule.name}: diffusers' UnCLIPScheduler has the cosine one alone; "
            "train with schedule.name cosine"
        )
    return scheduler
