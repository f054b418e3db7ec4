"""Guide by something of your own: python examples/own_guidance.py runs/openmoji "red apple" 0.5

A guidance takes a denoiser and returns one. This one pulls the mean colour of a picture to blue.
"""

import sys

import torch

from textdiff import TextToImage
from textdiff.data import to_pil
from textdiff.diffusion import from_x_0
from textdiff.sampling import DDIM, ImageNoise, sample, static_threshold, timestep_grid

BLUE = torch.tensor([-1.0, -1.0, 1.0]).view(1, 3, 1, 1)  # pixels lie in [-1, 1]


def towards(colour, denoise, schedule, weight):
    """`denoise` with x_0_hat moved by `weight` of what its mean lacks to `colour`; 0 is off."""

    def guided(x_t, timestep):
        x_0 = denoise(x_t, timestep).x_0
        x_0 = x_0 + weight * (colour - x_0.mean((2, 3), keepdim=True))
        return from_x_0(schedule, x_0, x_t, timestep)  # eps_hat follows from x_0_hat and x_t

    return guided


model, prompt, weight = sys.argv[1:]
pipe = TextToImage.load(model)
grid = timestep_grid(pipe.schedule, 25)
denoise = pipe.denoiser(pipe.conditioning([prompt]), grid)
denoise = static_threshold(towards(BLUE, denoise, pipe.schedule, float(weight)), pipe.schedule)
noise = ImageNoise([(0, 0)], pipe.codec.shape)
*_, last = sample(denoise, pipe.schedule, DDIM(), grid, noise(), noise)
to_pil(pipe.codec.decode(last.x_t))[0].save("own_guidance.png")
