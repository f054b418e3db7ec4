"""Functions of tensors, recorded as CUDA graphs and played back.

first call of a key and its shapes:   warm up, record every kernel that the function launches
later ones:                           copy what changed into the recorded inputs, launch all at once

A small network's kernels are done sooner than Python launches the next: at 16 pictures of 32 pixels
a GPU waits most of the time. A graph is launched as one, and its kernels are the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

Function = Callable[..., Tensor]
Record = Callable[[Function, Sequence[Tensor]], tuple[Tensor, Callable[[], None]]]

WARM_UPS = 2  # libraries choose their kernels and take their memory in the first calls


class Graphs:
    """Recordings by key and shapes, of which the `most` used last are kept.

    A recording reads weights where they lay in memory when it was made: `clear` it when they move.

    record: makes one; of CUDA, unless a test puts something in its place.
    """

    def __init__(self, most: int = 4, record: Record | None = None) -> None:
        self.most = most
        self._record = record or record_cuda_graph
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()

    def clear(self) -> None:
        self._recordings.clear()

    def __len__(self) -> int:
        return len(self._recordings)

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """`function(*inputs)`, without a graph for autograd from the inputs.

        Args:
            key: says, with the inputs' shapes and types, which kernels `function` launches. It may
                do nothing that waits for the GPU, and must keep what it reads besides where it is.
            inputs: on one GPU. One that is the very tensor of the call before is not copied again.
        """
        forms = tuple((tuple(each.shape), each.dtype, each.device) for each in inputs)
        place = (key, forms)
        if place not in self._recordings:
            self._recordings[place] = _Recording(self._record, function, inputs)
            while len(self._recordings) > self.most:
                self._recordings.popitem(last=False)
        self._recordings.move_to_end(place)
        return self._recordings[place].play(inputs)


class _Recording:
    def __init__(self, record: Record, function: Function, inputs: Sequence[Tensor]) -> None:
        self._function = function  # what it reads must not be freed
        self._inputs = [each.detach().clone() for each in inputs]
        self._filled = [(each, each._version) for each in inputs]
        self._output, self._replay = record(function, self._inputs)

    def play(self, inputs: Sequence[Tensor]) -> Tensor:
        for own, given, (last, version) in zip(self._inputs, inputs, self._filled, strict=True):
            if given is not last or given._version != version:
                own.copy_(given.detach())
        self._filled = [(each, each._version) for each in inputs]
        self._replay()
        return self._output.clone()  # the next playing writes over it


def record_cuda_graph(
    function: Function, inputs: Sequence[Tensor]
) -> tuple[Tensor, Callable[[], None]]:
    """The output of `function(*inputs)`, and what computes it anew from the inputs' contents."""
    before = torch.cuda.Stream()
    before.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(before):
        for _ in range(WARM_UPS):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(before)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        output = function(*inputs)
    return output, graph.replay
