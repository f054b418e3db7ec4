"""All that a GPU can say about speed, in under eight minutes: ours beside diffusers and open_clip.

    bash benchmarks/gpu.sh --out out/gpu             # on a GPU
    bash benchmarks/gpu.sh --profile                 # where a training step's time goes, a minute
    bash benchmarks/gpu.sh --dry-run --out out/gpu   # tiny, on a CPU: does the script work?

training   a step, the largest batch in half the card and a small one (gpu_training.py)
profile    kernels of a step by time (gpu_profile.py)
sampling   20 DDIM steps with guidance (gpu_sampling.py)
loss       the contrastive loss (gpu_loss.py)
loop       images per second of the whole training loop (gpu_loop.py)
guidance   a noised CLIP beside classifier-free guidance alone (gpu_sampling.py)

The most telling comes first (gpu_plan.py). One process at a time has the card to itself; what it
times it times in rounds, in turn (gpu_schedule.py): medians and quartiles. With time left all is
measured again. A variant that fails, takes longer than its limit or finds no time left says so in
its row. Tables are Markdown; all numbers are in results.json under --out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from gpu_card import about
from gpu_plan import DRY, GROUPS, Sizes, asked_for, sections
from gpu_schedule import Found, Job, carry_out
from gpu_tables import show

from textdiff.evaluation.protocol import versions
from textdiff.evaluation.results import as_text, to_json
from textdiff.files import write_text


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    parser.add_argument("--sections", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--profile", action="store_true", help="the section profile alone")
    parser.add_argument("--minutes", type=float, help="in all; none: 7.5")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, on the CPU")
    return parser.parse_args(argv)


def share_compiled_code() -> None:
    """Of all processes, each of which may compile with all cores as none runs beside it."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(os.cpu_count() or 1))
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")
    os.environ.setdefault("TORCHINDUCTOR_AUTOGRAD_CACHE", "1")
    # asked so, whether there is a GPU does not keep processes from being forked
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")


def main(argv: Sequence[str] | None = None) -> None:
    start = time.monotonic()
    options = arguments(argv)
    share_compiled_code()
    dry = options.dry_run
    sizes = DRY if dry else Sizes()
    device = "cuda" if torch.cuda.is_available() and not dry else "cpu"
    if device == "cpu" and not dry:
        raise SystemExit("no GPU here; --dry-run runs tiny sizes on a CPU")
    total = 60 * options.minutes if options.minutes else sizes.total
    groups = ["profile"] if options.profile else options.sections
    chosen = asked_for(sections(sizes, device, "eager" if dry else "inductor"), groups)
    options.out.mkdir(parents=True, exist_ok=True)
    what, peak = about(options, device)
    print("# GPU benchmark\n")
    for key, value in what.items():
        print(f"- {key}: {value}")

    def keep(job: Job, found: Found) -> None:
        """Written at once, so that what was found is kept whatever happens next."""
        why = "; ".join(sorted({row.why for row in found.rows[job.name].values() if row.why}))
        said = f"[{time.monotonic() - start:.0f} s] {job.name}{f': {why}' if why else ''}"
        print(said, flush=True)
        results = {"about": what, "rows": found.rows, "facts": found.facts, "seconds": found.took}
        write_text(
            options.out / "results.json", as_text({**to_json(results), "versions": versions()})
        )

    # tracing takes a CPU most of a minute, and says nothing of a GPU
    with torch.compiler.set_stance("force_eager" if dry else "default"):
        found = carry_out(
            [job for section in chosen for job in section.jobs],
            device=device,
            end=start + total,
            rounds=sizes.rounds,
            cycles=sizes.cycles,
            turn=sizes.turn,
            done=keep,
        )
    for section in chosen:
        show(section, found, peak)
    print(f"\n{time.monotonic() - start:.0f} s; all numbers: {options.out / 'results.json'}")


if __name__ == "__main__":
    main()
