"""When "auto" compiles, and that a compiler which fails costs no more than a warning."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textdiff.config import parse_flags
from textdiff.training import compiling
from textdiff.training.compiling import LONG_MINUTES, LONG_STEPS, compile_network, pays
from textdiff.training.config import TrainConfig


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (("cuda", LONG_STEPS, None), True),
        (("cuda", LONG_STEPS, LONG_MINUTES), True),
        (("cuda", LONG_STEPS - 1, None), False),
        (("cuda", LONG_STEPS, LONG_MINUTES / 2), False),
        (("cpu", 10**6, None), False),
        (("mps", 10**6, None), False),
    ],
)
def test_auto_compiles_long_runs_on_a_gpu(given, wanted):
    assert pays(*given) is wanted


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], False),
        (["--compile"], True),
        (["--compile", "true"], True),
        (["--compile", "false"], False),
        (["--compile", "auto"], "auto"),
    ],
)
def test_the_setting_reads_as_a_switch_or_auto(argv, wanted):
    assert parse_flags(TrainConfig, argv, "train", "").compile == wanted


@pytest.fixture
def network():
    torch.compiler.reset()  # code made for another network of these layers would be taken
    return nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2))


def broken(graph, inputs):
    raise RuntimeError("no C++ compiler\nsecond line")


def test_a_compiler_that_fails_leaves_the_layers_as_they_are(network, monkeypatch, caplog):
    x = torch.randn(5, 3)
    network(x).sum().backward()
    output = network(x).detach()
    gradients = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda name: broken)
    compile_network(network, or_eager=True)
    for _ in range(2):
        found = network(x)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), output)
    torch.testing.assert_close([weight.grad for weight in network.parameters()], gradients)
    (record,) = [each for each in caplog.records if each.name == compiling.__name__]
    assert "(no C++ compiler)" in record.getMessage()
    assert "--train.compile false" in record.getMessage()


def test_what_the_compiler_made_is_what_runs(network, monkeypatch):
    made = []

    def compiler(graph, inputs):
        made.append(len(inputs))
        return lambda *given: tuple(2 * each for each in graph.forward(*given))

    x = torch.randn(5, 3)
    usual = network(x)
    monkeypatch.setattr("torch._dynamo.lookup_backend", lambda name: compiler)
    compile_network(network, or_eager=True)
    torch.testing.assert_close(network(x), 2 * usual)
    assert len(made) == 1
