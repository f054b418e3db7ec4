"""Metrics, and features of pictures, beside other projects: seconds, memory above the inputs.

    python benchmarks/evaluation.py --json out/evaluation.json
    python benchmarks/evaluation.py --only features --pictures 128 --architecture ViT-B-16

retrieval   R@1, 5 and 10 of --rows images with one text each, both ways. open_clip: the metric that
            its training prints, which sorts all scores. CLIP_benchmark: its recall_at_k in batches
            of 64 queries, once per k
KID         --kernel-rows rows on each side, float32. torchmetrics: one subset of all rows, which
            makes both the same number; `subsets`: 100 of 1,000 rows, its default
CMMD        of such rows. reference: its formula, in torch where that has JAX
features    of --pictures JPEGs of 256 pixels in a folder, opening it included, by --architecture
            with random weights, float32. open_clip: its transform in a DataLoader with so many
            workers, encode_image in inference mode, as its evaluation. `again`: from the cache

`with interval` is the number with its bootstrap interval, which the others do not give.

Each measurement is a fresh process, which has done the same with few rows before. Sides take turns,
and ratios are of the same round. Medians and quartiles over rounds. Memory: the most that the
process held during the work (Linux), less what it held before, which is its inputs; workers of a
DataLoader are not in it. `apart`: largest difference of the numbers from ours, relative to the
largest of them. Sides that need more memory than is free are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import evaluation_sides as sides
import psutil
from protocol import protocol
from rounds import ratio, shown, spread, table

from textdiff.evaluation.results import write_numbers
from textdiff.memory import GIBIBYTE, MEBIBYTE, forget_peak, peak_bytes

FEW = {"rows": 64, "kernel_rows": 64, "pictures": 4}  # before the clock starts
PICTURE_SIZE = 256


@dataclass(frozen=True)
class Side:
    """prepare: from the settings to what is timed. aim: ours should be so many times as fast.

    bytes_needed: where it is much, from the settings.
    """

    prepare: Callable[[argparse.Namespace], sides.Work]
    aim: float | None = None
    bytes_needed: Callable[[argparse.Namespace], int] = lambda options: 0


def of_sorted_scores(options: argparse.Namespace) -> int:
    """open_clip's: float32 scores, their sorted copy, and int64 positions of both directions."""
    return options.rows**2 * (4 + 4 + 8 + 8)


COMPARED = {
    "retrieval": {
        "textdiff": Side(sides.retrieval),
        "open_clip": Side(sides.retrieval_by_open_clip, 1.5, of_sorted_scores),
        "CLIP_benchmark": Side(sides.retrieval_by_clip_benchmark, 10),
    },
    "KID": {
        "textdiff": Side(sides.kid),
        "textdiff with interval": Side(sides.kid_with_interval),
        "torchmetrics": Side(sides.kid_by_torchmetrics, 2),
        "torchmetrics, subsets": Side(sides.kid_of_subsets),
    },
    "CMMD": {
        "textdiff": Side(sides.cmmd),
        "textdiff with interval": Side(sides.cmmd_with_interval),
        "reference": Side(sides.cmmd_by_reference, 2),
    },
    "features": {
        "textdiff": Side(sides.features),
        "textdiff again": Side(sides.features_again),
        "open_clip, 0 workers": Side(partial(sides.features_by_open_clip, workers=0), 1),
        "open_clip, 2 workers": Side(partial(sides.features_by_open_clip, workers=2), 1),
    },
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", choices=COMPARED, default=list(COMPARED))
    parser.add_argument("--sides", nargs="+", help="these beside textdiff; none: all")
    parser.add_argument("--rows", type=int, default=30_000, help="of the retrieval")
    parser.add_argument("--kernel-rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--architecture", default="ViT-B-32", help="of open_clip's list")
    parser.add_argument("--batch-size", type=int, default=64, help="pictures encoded at once")
    parser.add_argument("--rounds", type=int, default=3, help="two or more")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--measure", nargs=2, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# In the measured process


def measure(side: Side, options: argparse.Namespace) -> dict:
    """Seconds, bytes and numbers of one piece of work."""
    side.prepare(argparse.Namespace(**{**vars(options), **FEW}))()
    work = side.prepare(options)
    gc.collect()
    held = forget_peak()
    start = time.perf_counter()
    numbers = work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": peak_bytes() - held, "numbers": numbers}


# In the process that asks


def in_fresh_process(what: str, name: str, folder: Path) -> dict:
    asked = ["--measure", what, name, "--folder", str(folder)]
    command = [sys.executable, __file__, *sys.argv[1:], *asked]
    environment = {**os.environ, "TEXTDIFF_CACHE": str(folder / "textdiff")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{what} by {name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(what: str, folder: Path, options: argparse.Namespace) -> dict[str, dict]:
    """Each side's seconds, ratios to ours and mebibytes; or why it is left out."""
    found: dict[str, list[dict]] = {}
    rows: dict[str, dict] = {}
    asked = ("textdiff", *(options.sides or COMPARED[what]))
    for name, side in COMPARED[what].items():
        if name not in asked:
            continue
        needed, free = side.bytes_needed(options), psutil.virtual_memory().available
        if needed + GIBIBYTE > free:
            free_gib = free / GIBIBYTE
            rows[name] = {"left out": f"needs {needed / GIBIBYTE:.1f} GiB of {free_gib:.1f} free"}
        else:
            found[name] = []
    for _ in range(options.rounds):
        for name, measured in found.items():
            measured.append(in_fresh_process(what, name, folder))
    ours = found["textdiff"]
    for name, measured in found.items():
        seconds = [each["seconds"] for each in measured]
        rows[name] = {
            "seconds": spread(seconds),
            "ratio": ratio(seconds, [each["seconds"] for each in ours]),
            "mib": spread([each["bytes"] / MEBIBYTE for each in measured]),
            "apart": apart(measured[0]["numbers"], ours[0]["numbers"]),
            "aim": COMPARED[what][name].aim,
        }
    return rows


def apart(numbers: list[float], ours: list[float]) -> float:
    largest = max(map(abs, ours))
    return max(abs(a - b) for a, b in zip(numbers, ours, strict=True)) / largest


def cells(name: str, row: dict) -> list[str]:
    if "left out" in row:
        return [name, row["left out"], "", "", "", ""]
    aim = "" if row["aim"] is None else f"{row['aim']:g}"
    memory = f"{row['mib']['median']:,.0f}"
    seconds, times = shown(row["seconds"], 3), shown(row["ratio"], 2)
    return [name, seconds, times, aim, memory, f"{row['apart']:.0e}"]


def write_inputs(folder: Path, options: argparse.Namespace) -> None:
    """JPEGs, and a CLIP with random weights, where the sides look for them."""
    import open_clip
    from data import write_pictures

    from textdiff.clip import source

    write_pictures(folder / "pictures", options.pictures, (PICTURE_SIZE, PICTURE_SIZE), "jpg")
    config = open_clip.get_model_config(options.architecture)
    module = source.instantiate(config, {}, seed=0)
    source.save(source.Source(module, config, open_clip.SimpleTokenizer()), folder / "clip")


def main() -> None:
    options = arguments()
    if options.measure:
        what, name = options.measure
        print(json.dumps(measure(COMPARED[what][name], options)))
        return
    if options.rounds < 2:
        raise SystemExit("--rounds: quartiles need two or more")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        if "features" in options.only:
            write_inputs(Path(scratch), options)
        for what in options.only:
            results[what] = compare(what, Path(scratch), options)
            head = ["", "seconds", "times ours", "aim", "MiB above inputs", "apart"]
            table(what, head, [cells(name, row) for name, row in results[what].items()])
    write_numbers(options.json, {"protocol": protocol(options, "cpu"), "results": results})


if __name__ == "__main__":
    main()
