"""Draw with an update rule of your own: python examples/own_sampler.py runs/openmoji "red apple"

Euler's method for d (x / sqrt(ac)) = eps_hat d sigma, sigma = sqrt((1 - ac) / ac). Its steps are
those of DDIM, so the picture is that of `textdiff sample --sampler ddim --guidance-scale 1`.
"""

import sys

from textdiff import TextToImage
from textdiff.data import to_pil
from textdiff.sampling import ImageNoise, sample, static_threshold, timestep_grid


class Euler:
    """`chain` is the schedule of the visited timesteps alone; ac = 1 after its last one."""

    def update(self, x_t, predictions, chain, index, noise):
        ac, ac_next = (
            float(table[index]) for table in (chain.alphas_cumprod, chain.alphas_cumprod_prev)
        )
        sigma, sigma_next = ((1 - ac) / ac) ** 0.5, ((1 - ac_next) / ac_next) ** 0.5
        return ac_next**0.5 * (x_t / ac**0.5 + (sigma_next - sigma) * predictions[-1].eps)


model, prompt = sys.argv[1:]
pipe = TextToImage.load(model)
grid = timestep_grid(pipe.schedule, 25)
denoise = pipe.denoiser(pipe.conditioning([prompt]), grid)
denoise = static_threshold(denoise, pipe.schedule)  # x_0_hat stays in the range of pixels
noise = ImageNoise([(0, 0)], pipe.codec.shape)  # of seed 0, picture 0

for step in sample(denoise, pipe.schedule, Euler(), grid, noise(), noise):
    print(f"timestep {step.timestep}: x_0_hat has a deviation of {step.x_0_hat.std():.2f}")
to_pil(pipe.codec.decode(step.x_t))[0].save("own_sampler.png")
