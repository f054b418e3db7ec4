"""Pictures per second of our loader beside `datasets` with torchvision, and beside webdataset.

    python benchmarks/data.py --photos 24 --pngs 1000 --rounds 5 --json out/data.json

12-megapixel JPEGs   a folder with metadata.jsonl
64-pixel PNGs        the same
64-pixel parquet     the same pictures as bytes in a parquet file
64-pixel tars        the same in shards

textdiff        open_data, batches; `first`: an epoch from an empty cache, opening, filling it on
                all cores and starting the workers included; `later`: an epoch afterwards
textdiff plain  the same with `data.cache off`: each picture is decoded when it is met
datasets        load_dataset, with_transform(convert, Resize, CenterCrop, ToTensor, Normalize) and a
                DataLoader that shuffles, starting its workers each epoch: as diffusers' script
webdataset      of tars, in its place: WebDataset(...).shuffle(1000).decode("pil"), the same
                transforms and a WebLoader, as its README has it

All give batches of squares with captions from the same files, which the system holds in memory.
Opening a data set is timed in our first epoch alone, which reads the headers of tars. Rounds are in
turn; printed are medians and quartiles over rounds, and ratios to the other library in the same
round.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import json
import math
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from protocol import protocol
from rounds import ratio, shown, spread, table

from textdiff.evaluation.results import write_result

WIDTH, HEIGHT = 4000, 3000
SHARDS = 4
KINDS = {
    "photos": "photos",
    "pngs": "pngs",
    "parquet": "pngs.parquet",
    "tars": f"tars/{{0..{SHARDS - 1}}}.tar",
}
TITLES = {
    "photos": "12-megapixel JPEGs",
    "pngs": "64-pixel PNGs",
    "parquet": "64-pixel PNGs in parquet",
    "tars": "64-pixel PNGs in tars",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--photos", type=int, default=24, help="JPEGs of 12 megapixels")
    parser.add_argument("--pngs", type=int, default=1000, help="PNGs of 64 pixels")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="two or more")
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


# The pictures


def photo(seed: int, width: int, height: int) -> Image.Image:
    """Smooth shapes with fine grain, so that a JPEG of it is as large as one of a camera."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = random.normal(0, 4, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def write_pictures(folder: Path, count: int, size: tuple[int, int], kind: str) -> None:
    folder.mkdir(parents=True)
    rows = []
    for index in range(count):
        name = f"{index:05d}.{kind}"
        photo(index, *size).save(folder / name, quality=92)
        rows.append(json.dumps({"file_name": name, "text": f"picture number {index}"}))
    (folder / "metadata.jsonl").write_text("\n".join(rows), encoding="utf-8")


def write_parquet(pngs: Path, file: Path) -> None:
    import datasets

    names = sorted(pngs.glob("*.png"))
    columns = {
        "image": [{"bytes": name.read_bytes(), "path": None} for name in names],
        "text": [f"picture number {index}" for index in range(len(names))],
    }
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    datasets.Dataset.from_dict(columns, features=features).to_parquet(file)


def write_tars(pngs: Path, folder: Path) -> None:
    """As webdataset's ShardWriter does, pictures dealt out to SHARDS."""
    folder.mkdir()
    names = sorted(pngs.glob("*.png"))
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for index in range(shard, len(names), SHARDS):
                content = {"png": names[index].read_bytes(), "txt": b"picture number %d" % index}
                for extension, data in content.items():
                    info = tarfile.TarInfo(f"{names[index].stem}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


# One epoch of each


class Ours:
    """Endless batches; an epoch is as many as it takes to see every picture once."""

    def __init__(self, source: str, options: argparse.Namespace, workers: int, cache: Path | None):
        from textdiff.data import DataConfig

        self.config = DataConfig(
            source=source,
            image_size=options.image_size,
            val_fraction=0,
            test_fraction=0,
            resample="bilinear",
        )
        self.cache, self.times = cache, 0
        self.cached, self.options, self.workers = cache is not None, options, workers
        self.steps: Iterator | None = None

    def first(self) -> float:
        """Pictures per second of an epoch that finds no cache; workers start in it."""
        from textdiff.data import open_data

        if self.cached:
            self.times += 1
            folder = f"{self.cache}-{self.times}"
            self.config = self.config.model_copy(update={"cache_dir": folder})
        start = time.perf_counter()
        data = open_data(self.config)
        if self.cached:
            data.cache_pixels()
        self._start(data)
        self._epoch()
        return len(data) / (time.perf_counter() - start)

    def later(self) -> float:
        """Of an epoch after those batches that the workers had ready."""
        for _ in itertools.islice(self.steps, 3 * self.workers):
            pass
        start = time.perf_counter()
        self._epoch()
        return len(self.data) / (time.perf_counter() - start)

    def _start(self, data) -> None:
        from textdiff.data import batches

        if self.steps is not None:
            self.steps.close()
        self.data = data
        self.steps = batches(data, seed=0, batch_size=self.options.batch_size, workers=self.workers)

    def _epoch(self) -> None:
        for _ in itertools.islice(self.steps, math.ceil(len(self.data) / self.options.batch_size)):
            pass


def squares_of(image_size: int) -> Callable[[Image.Image], torch.Tensor]:
    from torchvision import transforms

    return transforms.Compose(
        [
            transforms.Resize(image_size, interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
    )


class Theirs:
    """A loader of (pixels, captions), an epoch each time."""

    name: str
    loader: Iterable[tuple[torch.Tensor, list[str]]]

    def epoch(self) -> float:
        start = time.perf_counter()
        count = sum(len(captions) for _, captions in self.loader)
        return count / (time.perf_counter() - start)


class Datasets(Theirs):
    """As `examples/text_to_image/train_text_to_image.py` of diffusers, without its tokens."""

    name = "datasets"

    def __init__(self, source: str, options: argparse.Namespace, workers: int):
        import datasets

        kind = "parquet" if source.endswith(".parquet") else "imagefolder"
        where = {"data_files": source} if kind == "parquet" else {"data_dir": source}
        loaded = datasets.load_dataset(kind, **where, split="train")
        squares = squares_of(options.image_size)

        def prepare(rows: dict) -> dict:
            return {
                "pixel_values": [squares(image.convert("RGB")) for image in rows["image"]],
                "text": rows["text"],
            }

        def collate(rows: list[dict]) -> tuple[torch.Tensor, list[str]]:
            pixels = torch.stack([row["pixel_values"] for row in rows])
            return pixels.contiguous().float(), [row["text"] for row in rows]

        self.loader = torch.utils.data.DataLoader(
            loaded.with_transform(prepare),
            shuffle=True,
            collate_fn=collate,
            batch_size=options.batch_size,
            num_workers=workers,
        )


class Webdataset(Theirs):
    name = "webdataset"

    def __init__(self, source: str, options: argparse.Namespace, workers: int):
        import webdataset

        pairs = (
            webdataset.WebDataset(source, shardshuffle=SHARDS)
            .shuffle(1000)
            .decode("pil")
            .to_tuple("png", "txt")
            .map_tuple(squares_of(options.image_size))
            .batched(options.batch_size)
        )
        self.loader = webdataset.WebLoader(pairs, batch_size=None, num_workers=workers)


def measure(source: str, options: argparse.Namespace, workers: int, scratch: Path) -> dict:
    """Pictures per second of each way, round by round."""
    cached = Ours(source, options, workers, scratch / f"cache-{workers}")
    plain = Ours(source, options, workers, None)
    theirs = (Webdataset if source.endswith(".tar") else Datasets)(source, options, workers)
    plain.first()
    ways: dict[str, Callable[[], float]] = {
        "textdiff, first": cached.first,
        "textdiff, later": cached.later,
        "textdiff plain": plain.later,
        theirs.name: theirs.epoch,
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    theirs.epoch()  # warms up
    for _ in range(options.rounds):
        for name, way in ways.items():
            speeds[name].append(way())
    for ours in (cached, plain):
        ours.steps.close()
    return {
        name: {"speed": spread(values), "ratio": ratio(values, speeds[theirs.name])}
        for name, values in speeds.items()
    }


def main() -> None:
    options = arguments()
    if "tars" in options.kinds and not importlib.util.find_spec("webdataset"):
        raise SystemExit("--kinds tars: pip install webdataset")
    if options.rounds < 2:
        raise SystemExit("--rounds: quartiles need two or more")
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        os.environ["TEXTDIFF_CACHE"] = str(scratch / "cache")
        os.environ["HF_DATASETS_CACHE"] = str(scratch / "hf")  # before `datasets` is imported
        os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
        if "photos" in options.kinds:
            write_pictures(scratch / "photos", options.photos, (WIDTH, HEIGHT), "jpg")
        write_pictures(scratch / "pngs", options.pngs, (64, 64), "png")
        write_parquet(scratch / "pngs", scratch / "pngs.parquet")
        write_tars(scratch / "pngs", scratch / "tars")
        results: dict[str, dict] = {}
        for kind in options.kinds:
            title, source = TITLES[kind], str(scratch / KINDS[kind])
            results[title] = {
                workers: measure(source, options, workers, scratch) for workers in options.workers
            }
            rows = [
                [f"{name}, {workers} workers", shown(row["speed"], 1), shown(row["ratio"], 2)]
                for workers, measured in results[title].items()
                for name, row in measured.items()
            ]
            beside = (Webdataset if kind == "tars" else Datasets).name
            table(title, ["", "pictures/s", f"x {beside}"], rows)
    if options.json:
        write_result(options.json, {"protocol": protocol(options, "cpu"), "results": results})


if __name__ == "__main__":
    main()
