"""Error of the ODE samplers against the number of steps, where the exact answer is known.

    python -m benchmarks.convergence --out docs/convergence.png     # from the repository's root

Data are N(0.3, 0.5^2) per pixel, whose denoiser and whose ODE are known in closed form; they are
those of the tests (tests/helpers/exact.py).

The linear schedule is cut into 100,000 timesteps, so that the grids are even. The error is the
largest on arrival at the timesteps that all grids share. The last step is left out: from the least
noisy timestep it goes to x_0_hat in one, whatever the sampler.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor

from tests.helpers.exact import gaussian, gaussian_flow
from textdiff.diffusion import NoiseSchedule
from textdiff.evaluation.figures import figure
from textdiff.sampling import DDIM, DPMSolverPP, UniPC, sample, timestep_grid

MEAN, STD = 0.3, 0.5
X_T = torch.tensor([1.2, -0.7, 0.4, -2.1], dtype=torch.float64).view(1, 1, 2, 2)
STEPS = [10 * 2**k for k in range(7)]
SAMPLERS = {"DDIM": (DDIM(), 1), "DPM-Solver++(2M)": (DPMSolverPP(), 2), "UniPC-2": (UniPC(), 3)}


def exact(schedule: NoiseSchedule, timestep: int) -> Tensor:
    """Where the trajectory from X_T is when it reaches `timestep`."""
    ac = schedule.alphas_cumprod
    return gaussian_flow(X_T, ac[-1], ac[timestep], MEAN, STD)


def error(schedule: NoiseSchedule, sampler, num_steps: int) -> float:
    """The largest at the timesteps of the shortest grid but its first."""
    grid = timestep_grid(schedule, num_steps)
    denoise = gaussian(schedule, MEAN, STD)
    steps = sample(denoise, schedule, sampler, grid, X_T, lambda: X_T)
    reached = dict(zip(grid.flip(0)[1:].tolist(), (step.x_t for step in steps), strict=False))
    shared = timestep_grid(schedule, STEPS[0])[:-1].tolist()
    return max(float((reached[t] - exact(schedule, t)).abs().max()) for t in shared)


def draw(errors: dict[str, list[float]], path: str) -> None:
    """The table on log-log axes; dotted lines have the slopes that the orders promise."""
    with figure(path, 6.0, 4.0, "the convergence plot") as drawn:
        axes = drawn.subplots()
        for (name, (_, order)), marker in zip(SAMPLERS.items(), "osD", strict=True):
            values = errors[name]
            (line,) = axes.loglog(STEPS, values, marker=marker, markersize=5, label=name)
            guide = [values[-1] * (n / STEPS[-1]) ** -order for n in STEPS]
            axes.loglog(STEPS, guide, ":", color=line.get_color(), linewidth=1)
            spot = (STEPS[-2], values[-2])
            axes.annotate(f"slope \u2212{order}", spot, (4, 6), textcoords="offset points")
        axes.set_xticks(STEPS, [str(n) for n in STEPS])
        axes.minorticks_off()
        axes.set(xlabel="steps", ylabel="largest error of x on the way")
        axes.set_title("ODE samplers on a Gaussian, whose exact trajectories are known")
        axes.legend(loc="lower left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", help="where to write the figure, a .png")
    out = parser.parse_args().out
    schedule = NoiseSchedule.linear(100_000)
    errors = {
        name: [error(schedule, sampler, n) for n in STEPS]
        for name, (sampler, _) in SAMPLERS.items()
    }
    print(f"{'steps':18}" + "".join(f"{n:>10}" for n in STEPS) + "    slope of the last doubling")
    for name, values in errors.items():
        slope = math.log2(values[-1] / values[-2])
        print(f"{name:18}" + "".join(f"{value:10.1e}" for value in values) + f"{slope:10.2f}")
    if out:
        draw(errors, out)


if __name__ == "__main__":
    main()
