"""README.md of an exported folder: how to draw with it where there is no textdiff."""

from __future__ import annotations

BUNDLED = """\
# A text-to-image model for diffusers

Exported by textdiff; loading and drawing need diffusers and transformers alone. `pipeline.py` is
the pipeline: read it, then let diffusers run it.

```python
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True)
pipe("a red apple", num_inference_steps=50, guidance_scale=3.0).images[0].save("apple.png")
```

`pipe.save_pretrained(OTHER)` writes a folder that the same call loads, with
`trust_remote_code=True` too.

The noise to start from may be given as `latents` (B, C, H, W). Where textdiff is installed, these
lines take the noise of its picture 3 of seed 0, and so draw what `textdiff sample --seed 0
--first 3` draws with the same settings (ddim and dpmpp draw no further noise):

```python
from textdiff import TextToImage

latents = TextToImage.load(RUN).noise(1, seed=0, first=3)
pipe("a red apple", latents=latents)
```
"""

STOCK = """\
# A text-to-image model for diffusers

Exported by textdiff; loading and drawing need diffusers and transformers alone. diffusers'
`IFPipeline` runs it on prompts that these lines embed. It gives the U-Net no mask of the text, so
each prompt's tokens are repeated to one common length: attention to a set equals attention to
several copies of it.

```python
import math

import torch
from diffusers import DiffusionPipeline
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

pipe = DiffusionPipeline.from_pretrained(FOLDER)
tokenizer = CLIPTokenizer.from_pretrained(FOLDER, subfolder="tokenizer")
text_encoder = CLIPTextModelWithProjection.from_pretrained(FOLDER, subfolder="text_encoder")


@torch.no_grad()
def embed(*prompts):
    ids = [tokenizer(prompt, return_tensors="pt").input_ids for prompt in prompts]
    tokens = [text_encoder(row).last_hidden_state for row in ids]
    length = math.lcm(*(row.shape[1] for row in tokens))
    return [row.repeat(1, length // row.shape[1], 1) for row in tokens]


prompt, negative = embed("a red apple", "")
pictures = pipe(
    prompt_embeds=prompt,
    negative_prompt_embeds=negative,
    num_inference_steps=50,
    guidance_scale=3.0,
).images
pictures[0].save("apple.png")
```

At some numbers of steps diffusers' own grid differs from textdiff's: of 1000 timesteps 48 are
rounded another way, and 61 become 62, the last at timestep -1. This is textdiff's, for schedulers
that take it (DDPM, DPM-Solver++), in place of `num_inference_steps`:

    T, N = pipe.scheduler.config.num_train_timesteps, 61
    timesteps=[round(T - i * T / N) - 1 for i in range(N)]
"""

STABLE_DIFFUSION = """\
# A text-to-image model for diffusers

Exported by textdiff; loading and drawing need diffusers and transformers alone.

```python
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained(FOLDER)
pipe("a red apple", num_inference_steps=50, guidance_scale=3.0).images[0].save("apple.png")
```

There is no safety checker. The noise to start from may be given as `latents` (B, C, H, W). Where
textdiff is installed, these lines take the noise of its picture 3 of seed 0, and so draw what
`textdiff sample --seed 0 --first 3` draws with the same settings, where the number of steps divides
the schedule's:

```python
from textdiff import TextToImage

latents = TextToImage.load(RUN).noise(1, seed=0, first=3)
pipe("a red apple", latents=latents)
```

The VAE's latents are scaled within it, channel by channel: its scaling_factor is 1.
"""


def readme_of(kind: str) -> str:
    """The text for a folder of this kind."""
    texts = {"bundled": BUNDLED, "stock": STOCK, "stable diffusion": STABLE_DIFFUSION}
    return texts[kind]
