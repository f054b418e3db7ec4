"""Pictures from a VAE alone: z ~ N(0, I), and the decoder's mean (SPEC S9.6).

They are samples of the VAE only where its latents are about N(0, I). A KL-VAE with a small weight,
as latent diffusion uses, has latents of another scale, and pictures of N(0, I) show nothing: what
draws them is a diffusion model of its latents.
"""

from __future__ import annotations

import torch

from textdiff.pictures import to_uint8
from textdiff.randomness import Stream, normals
from textdiff.types import Pictures
from textdiff.vae import LatentStatistics, Vae

CHUNK = 64  # pictures at a time
FAR = 0.05  # nats per latent: a standard deviation of 1.23 or 0.8, or a mean of 0.32


@torch.no_grad()
def draw_from_prior(vae: Vae, count: int, *, seed: int, first: int = 0) -> Pictures:
    """`count` pictures (n, 3, S, S) of the size that the VAE was trained on; picture k is a
    function of (seed, first + k).

    Raises:
        UsageError: its config names a size that it cannot halve often enough.
    """
    shape = vae.latent_shape(vae.image_size)
    drawn = []
    for start in range(first, first + count, CHUNK):
        numbers = range(start, min(start + CHUNK, first + count))
        z = normals([Stream("vae sample", seed, number) for number in numbers], shape)
        drawn.append(to_uint8(vae.decode(z)))
    return torch.cat(drawn)


def distance_from_prior(statistics: LatentStatistics) -> float:
    """KL(N(mean, std^2) || N(0, 1)) in nats, mean over channels: 0 where the latents have the mean
    and deviation that N(0, I) has."""
    mean, variance = statistics.mean.double(), statistics.std.double().square()
    return (0.5 * (mean.square() + variance - 1 - variance.log())).mean().item()


def note_on_prior(vae: Vae) -> str | None:
    """Why its pictures of N(0, I) are no samples; None where they are, as far as is known."""
    if vae.statistics is None:
        return f"nobody has measured how near the latents of {vae.source} are to N(0, I)"
    distance = distance_from_prior(vae.statistics)
    if distance <= FAR:
        return None
    low, high = vae.statistics.std.min().item(), vae.statistics.std.max().item()
    return (
        f"the latents of {vae.source} are not N(0, I): deviations {low:.2f} to {high:.2f}, "
        f"{distance:.2g} nats per latent away, as a small KL weight leaves them; so these are no "
        "samples of what it learned, and say nothing of its reconstructions. Draw from a diffusion "
        "model of its latents, or train with --objective elbo"
    )
