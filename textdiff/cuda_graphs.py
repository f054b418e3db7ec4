"""Functions of tensors, recorded as CUDA graphs and played back.

first calls of a key and its shapes:  the function itself, as a few calls do not pay for a recording
the next:                             warm up, record every kernel that the function launches
later ones:                           copy what changed into the recorded inputs, launch all at once

A small network's kernels are done sooner than Python launches the next: at 16 pictures of 32 pixels
a GPU waits most of the time. A graph is launched as one, and its kernels are the same.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

Function = Callable[..., Tensor]
Record = Callable[[Function, Sequence[Tensor]], tuple[Tensor, Callable[[], None]]]

MOST = 4  # recordings kept: each keeps the memory that its kernels use
PLAIN_CALLS = 3  # a recording takes about as long as so many calls
COUNTED = 32  # keys and shapes whose calls are counted
WARM_UPS = 2  # libraries choose their kernels and take their memory in the first calls


class Graphs:
    """Recordings by key and shapes, of which the `most` used last are kept.

    A recording that fails is the last one: what it was of, and all else, is called from then on,
    and one warning says why. Threads may share one of these if they use the same CUDA stream.

    plain_calls: of a key and shapes, before it is recorded.
    record: makes one; of CUDA, unless a test puts something in its place.
    """

    def __init__(
        self, most: int = MOST, plain_calls: int = PLAIN_CALLS, record: Record | None = None
    ) -> None:
        self.most, self.plain_calls = most, plain_calls
        self._record = record or record_cuda_graph
        self._recordings: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._calls: OrderedDict[Hashable, int] = OrderedDict()
        self._weights: WeakKeyDictionary[nn.Module, Hashable] = WeakKeyDictionary()
        self._failed = False
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type[Graphs], tuple[int, int, Record]]:
        """Copies start without recordings."""
        return Graphs, (self.most, self.plain_calls, self._record)

    def clear(self) -> None:
        """Gives the memory of all recordings back."""
        with self._lock:
            self._recordings.clear()
            self._calls.clear()
            self._weights.clear()

    def __len__(self) -> int:
        return len(self._recordings)

    def for_run(self, *networks: nn.Module) -> Graphs | None:
        """Itself, for calls of functions of these networks as they are now. Where weights moved,
        the recordings, which read them where they lay, are dropped first.

        None where a recording would not do as the networks do: off a GPU, in inference mode, under
        autocast, with hooks on a layer, or after one failed.
        """
        if self._failed or not self._can_record(networks):
            return None
        weights = {network: where_weights_lie(network) for network in networks}
        with self._lock:
            if any(self._weights.get(network, now) != now for network, now in weights.items()):
                self.clear()
            self._weights.update(weights)
        return self

    def _can_record(self, networks: Sequence[nn.Module]) -> bool:
        on_gpu = all(weight.is_cuda for network in networks for weight in network.parameters())
        if not on_gpu and self._record is record_cuda_graph:
            return False
        if torch.is_inference_mode_enabled() or torch.is_autocast_enabled("cuda"):
            return False
        modules = [module for network in networks for module in network.modules()]
        return not any(module._forward_hooks or module._forward_pre_hooks for module in modules)

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> Tensor:
        """`function(*inputs)`; once recorded, without a graph for autograd from the inputs.

        Args:
            key: says, with the inputs' shapes and types, which kernels `function` launches. It may
                do nothing that waits for the GPU, and must keep what it reads besides where it is.
            inputs: on one GPU. One that is the very tensor of the call before is not copied again.
        """
        forms = tuple((tuple(each.shape), each.dtype, each.device) for each in inputs)
        place = (key, forms)
        with self._lock:
            if place not in self._recordings and self._is_due(place):
                self._add(place, function, inputs)
            if place in self._recordings:
                self._recordings.move_to_end(place)
                return self._recordings[place].play(inputs)
        return self._called(function, inputs)

    def _is_due(self, place: Hashable) -> bool:
        """Counts a call; whether the plain ones are over."""
        calls = self._calls[place] = self._calls.pop(place, 0) + 1
        while len(self._calls) > COUNTED:
            self._calls.popitem(last=False)
        return calls > self.plain_calls and not self._failed

    def _add(self, place: Hashable, function: Function, inputs: Sequence[Tensor]) -> None:
        try:
            self._recordings[place] = _Recording(self._record, function, inputs)
        except RuntimeError as error:  # CUDA's errors, lack of memory among them
            self._failed = True
            self.clear()
            logging.getLogger(__name__).warning(
                "no CUDA graph could be recorded, so kernels are launched one by one, which may be "
                "slower (%s); --graphs false, or graphs=False in Python, does not try",
                " ".join(str(error).split())[:200] or type(error).__name__,
            )
            return
        del self._calls[place]
        while len(self._recordings) > self.most:
            self._recordings.popitem(last=False)

    def _called(self, function: Function, inputs: Sequence[Tensor]) -> Tensor:
        try:
            return function(*inputs)
        except torch.OutOfMemoryError:
            if not self._recordings:
                raise
        self.clear()  # they may hold what is lacking
        return function(*inputs)


def where_weights_lie(network: nn.Module) -> Hashable:
    """What a recording of `network` relies on: addresses and forms of its weights, and its mode."""
    tensors = chain(network.parameters(), network.buffers())
    return network.training, tuple((each.data_ptr(), each.dtype, each.stride()) for each in tensors)


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
