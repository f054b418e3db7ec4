"""Exact search beside what else does it, and lists beside exact search: seconds, memory, recall.

    python benchmarks/search.py --json out/search.json
    python benchmarks/search.py --only exact --rows 100000 --rounds 3

exact        the --top nearest of --rows unit rows of --dim for --queries queries, by
             textdiff     nearest_rows on the two planes of an index
             mm + topk    queries @ rows.T of float32, then topk: all products at once
             faiss        IndexFlatIP (extra `retrieval`)
approximate  one query after the other among the same rows: all of them by textdiff, and the lists
             of textdiff.retrieval.approximate, whose candidates are scored exactly. From how many
             rows on that pays is what APPROXIMATE_FROM there says
query        from a text to its hits on an index of --pictures pictures, by ViT-B-32 with random
             weights, after one query to warm up

Sides of `exact` have the same rows in one process and as many threads, take turns, and ratios are
of the same round; medians and quartiles over rounds. Memory: the most that the process held during
the work (Linux), less what it held before. `other hits`: those that differ from the ones of mm +
topk, whose float32 products order near ties otherwise.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from protocol import protocol
from rounds import ratio, shown, spread, table
from torch import Tensor

from textdiff.errors import missing_packages
from textdiff.evaluation.results import write_numbers
from textdiff.memory import MEBIBYTE, forget_peak, peak_bytes
from textdiff.retrieval.exact import nearest_rows
from textdiff.retrieval.planes import Planes, StoredRows
from textdiff.retrieval.shard import ROWS

AIM = 1.5  # times mm + topk
TUNED_ON = 128  # queries
Search = Callable[[], Tensor]  # (q, k) numbers of rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    kinds = list(BENCHMARKS)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--top", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=4000, help="of the index of `query`")
    parser.add_argument("--centres", type=int, default=2000, help="of the rows, 0: no structure")
    parser.add_argument("--rounds", type=int, default=5, help="two or more")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def unit_rows(count: int, options: argparse.Namespace, seed: int) -> Tensor:
    """Around random centres, as pictures of things are; queries around the same ones."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, options.dim, generator=generator)
    if options.centres:
        fixed = torch.Generator().manual_seed(0)
        centres = torch.randn(options.centres, options.dim, generator=fixed)
        which = torch.randint(options.centres, (count,), generator=generator)
        for start in range(0, count, ROWS):
            rows[start : start + ROWS] += centres[which[start : start + ROWS]]
    return torch.nn.functional.normalize(rows, dim=1, out=rows)


def stored(rows: Tensor) -> StoredRows:
    return StoredRows([Planes.of(part) for part in torch.split(rows, ROWS)])


# exact


def exact(options: argparse.Namespace) -> dict[str, dict]:
    rows, queries = unit_rows(options.rows, options, 1), unit_rows(options.queries, options, 2)
    searches = sides(rows, queries, options.top)
    found = {name: search() for name, search in searches.items()}  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    peaks: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(options.rounds):
        for name, search in searches.items():
            gc.collect()
            held, start = forget_peak(), time.perf_counter()
            search()
            seconds[name].append(time.perf_counter() - start)
            peaks[name].append((peak_bytes() - held) / MEBIBYTE)
    return {
        name: {
            "seconds": spread(seconds[name]),
            "ratio": ratio(seconds[name], seconds["textdiff"]),
            "mib": spread(peaks[name]),
            "apart": int((found[name] != found["mm + topk"]).sum()),
        }
        for name in searches
    }


def sides(rows: Tensor, queries: Tensor, top: int) -> dict[str, Search]:
    planes = stored(rows)
    searches: dict[str, Search] = {
        "textdiff": lambda: nearest_rows(queries, planes, top).rows,
        "mm + topk": lambda: (queries @ rows.T).topk(top, dim=1).indices,
    }
    if missing_packages("retrieval"):
        print("faiss is left out: pip install faiss-cpu (extra 'retrieval')")
        return searches
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows.numpy())
    searches["faiss IndexFlatIP"] = lambda: torch.from_numpy(flat.search(queries.numpy(), top)[1])
    return searches


def print_exact(results: dict[str, dict], options: argparse.Namespace) -> None:
    head = ["", "seconds", "times ours", "MiB above rows", "other hits"]
    title = f"exact: {options.top} of {options.rows:,} x {options.dim}, {options.queries} queries"
    rows = [
        [
            name,
            shown(each["seconds"], 3),
            shown(each["ratio"], 2),
            f"{each['mib']['median']:,.0f}",
            f"{each['apart']:,}",
        ]
        for name, each in results.items()
    ]
    table(f"{title}; the aim is {AIM} times mm + topk", head, rows)


# approximate


def approximate(options: argparse.Namespace) -> dict[str, dict]:
    from textdiff.retrieval.approximate import Lists

    rows, queries = unit_rows(options.rows, options, 1), unit_rows(options.queries, options, 2)
    planes = stored(rows)
    start = time.perf_counter()
    lists = Lists.of(planes, unit_rows(TUNED_ON, options, 3))
    built = time.perf_counter() - start
    true = nearest_rows(queries, planes, options.top).rows

    def one_by_one(search: Callable[[Tensor], Tensor]) -> dict:
        seconds, hits = [], 0
        for number in range(len(queries)):
            begun = time.perf_counter()
            found = search(queries[number : number + 1])
            seconds.append(time.perf_counter() - begun)
            hits += len(set(found[0].tolist()) & set(true[number].tolist()))
        return {"ms": spread([1e3 * s for s in seconds]), "recall": hits / true.numel()}

    return {
        "exact": one_by_one(lambda query: nearest_rows(query, planes, options.top).rows),
        "approximate": {
            **one_by_one(lambda query: lists.nearest(query, planes, options.top).rows),
            "seconds to build": built,
        },
    }


def print_approximate(results: dict[str, dict], options: argparse.Namespace) -> None:
    head = ["", "ms", "recall"]
    rows = [[n, shown(each["ms"], 1), f"{each['recall']:.3f}"] for n, each in results.items()]
    table(f"one query among {options.rows:,} x {options.dim}, top {options.top}", head, rows)


# query


def query(options: argparse.Namespace) -> dict[str, dict]:
    """Seconds from a text to its hits, by the searcher of an index on disk."""
    import open_clip

    from textdiff.clip import ClipModel, source
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.retrieval import Index, Query, Searcher, Weighted
    from textdiff.retrieval.manifest import (
        FORMAT,
        Calibration,
        IndexedSource,
        Manifest,
        write_manifest,
    )
    from textdiff.retrieval.shard import write_shard

    config = open_clip.get_model_config("ViT-B-32")
    module = source.instantiate(config, {}, seed=0)
    clip = ClipModel(source.Source(module, config, open_clip.SimpleTokenizer())).freeze()
    extractor = ClipExtractor("ViT-B-32", clip)
    rows = unit_rows(options.pictures, argparse.Namespace(dim=clip.embed_dim, centres=0), 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names = [str(k) for k in range(len(rows))]
        parts = [range(len(rows))[k : k + ROWS] for k in range(0, len(rows), ROWS)]
        shards = [
            write_shard(folder, k, 0, rows[p], [names[i] for i in p], [[names[i]] for i in p])
            for k, p in enumerate(map(list, parts))
        ]
        settings = {"kind": "openmoji", "source": "openmoji"}
        manifest = Manifest(
            format=FORMAT,
            clip="ViT-B-32",
            extractor=extractor.protocol,
            sources=[IndexedSource("openmoji", settings, "")],
            shards=shards,
            removed=[],
            calibration=Calibration(len(rows), None, None),
        )
        write_manifest(folder, manifest)
        searcher = Searcher(Index.open(folder), clip)
        texts = [f"picture number {k}" for k in range(options.rounds + 1)]
        seconds = [searcher.search(Query(texts=[Weighted(t)])).seconds for t in texts]
    return {"textdiff": {"seconds": spread(seconds[1:]), "first": seconds[0]}}


def print_query(results: dict[str, dict], options: argparse.Namespace) -> None:
    cells = [[n, shown(each["seconds"], 3)] for n, each in results.items()]
    title = f"text to result, {options.pictures:,} pictures; the aim is 0.3 seconds"
    table(title, ["", "seconds"], cells)


BENCHMARKS = {
    "exact": (exact, print_exact),
    "approximate": (approximate, print_approximate),
    "query": (query, print_query),
}


def main() -> None:
    options = arguments()
    if options.rounds < 2:
        raise SystemExit("--rounds: quartiles need two or more")
    if options.threads:
        torch.set_num_threads(options.threads)
    results = {}
    for name in options.only:
        measure, show = BENCHMARKS[name]
        results[name] = measure(options)
        show(results[name], options)
    write_numbers(options.json, {"protocol": protocol(options, "cpu"), "results": results})


if __name__ == "__main__":
    main()
