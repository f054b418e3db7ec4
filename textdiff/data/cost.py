"""What reading a picture costs, and what follows: a cache of resized pixels, worker processes.

saved by a cache = (reads - pictures) * seconds per picture        kept where it is worth it
workers = cores left beside training, where pictures are slow to read
"""

from __future__ import annotations

import time

from textdiff.cores import usable_cores
from textdiff.data.base import CaptionedImages
from textdiff.data.decode import BadImage
from textdiff.data.pixel_cache import free_bytes
from textdiff.errors import DataError

WORTH_A_CACHE = 10.0  # seconds that it saves at least
WORTH_WORKERS = 30.0  # seconds of reading in the whole run; starting workers takes some
SLOW = 5e-4  # seconds per picture that are worth another process
MOST_WORKERS = 8
TIMED = 5  # pictures
FREE_SHARE = 0.5  # of the disk's free space that "auto" takes at most


def cache_pixels(data: CaptionedImages, reads: int) -> str | None:
    """Fills its cache as `data.cache` says; "auto": where that saves time and there is room.

    Args:
        reads: pictures that will be read in all.

    Returns:
        What was done, in words; None if nothing was.

    Raises:
        DataError: no room where the cache must be on; too many pictures that cannot be used.
    """
    mode = data.config.cache
    if mode == "off" or not data.can_cache:
        return None
    if mode == "auto" and (reads - len(data)) * seconds_per_image(data) < WORTH_A_CACHE:
        return None
    size, free = 3 * data.image_size**2 * len(data), free_bytes(data.config)
    if size > free * (FREE_SHARE if mode == "auto" else 1):
        room = f"{gigabytes(size)} for the cache of {len(data)} pictures, {gigabytes(free)} free"
        if mode == "on":
            raise DataError(f"{room}: set data.cache_dir to a larger disk or data.cache to off")
        return f"no cache of resized pictures: {room}"
    try:
        folder = data.cache_pixels()
    except DataError as error:
        if mode == "on" or "cache folder" not in str(error):
            raise
        return f"no cache of resized pictures: {error}"
    return f"resized pictures are read from {folder} ({gigabytes(size)})"


def choose_workers(data: CaptionedImages, reads: int, processes: int = 1) -> int:
    """Worker processes of each training process: none where reading is cheap or soon over."""
    cost = seconds_per_image(data)
    if cost < SLOW or cost * reads < WORTH_WORKERS:
        return 0
    return min(MOST_WORKERS, max(usable_cores() // processes - 1, 0))


def seconds_per_image(data: CaptionedImages) -> float:
    """Median of a few pictures spread over the set."""
    times = []
    for k in range(min(TIMED, len(data))):
        start = time.perf_counter()
        try:
            data.image(k * len(data) // TIMED if len(data) > TIMED else k)
        except BadImage:
            continue
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] if times else 0.0


def slow_loading(share: float, data: CaptionedImages, workers: int) -> str:
    """A line for who waits for pictures: what to change.

    Args:
        share: of a step's time that went into waiting.
    """
    remedies = []
    if data.can_cache and not data.is_cached:
        remedies.append(f"set --data.cache on (now {data.config.cache})")
    cores = usable_cores()
    if workers + 1 < cores:
        remedies.append(f"raise --train.workers (now {workers}; there are {cores} cores)")
    remedies = remedies or ["put the data and data.cache_dir on a faster disk"]
    return f"{share:.0%} of the time goes into waiting for pictures: {' or '.join(remedies)}"


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
