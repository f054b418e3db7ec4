"""A plan as it is printed."""

from __future__ import annotations

import pytest

from tests.helpers.readings import reading
from textdiff.config import parse_flags
from textdiff.training.plan.plan import assemble
from textdiff.training.plan.settings import schema_of
from textdiff.training.plan.table import count, lines_of

MB = 10**6


def printed(*flags: str, **changes) -> str:
    """Of steps that take 1000 MB, and 100 for each picture."""
    argv = ["--clip", "c", "--train.batch-size", "64", "--train.steps", "1000", *flags]
    settings = parse_flags(schema_of("train"), argv, "plan", "")
    readings = [reading(b, (1000 + 100 * b) * MB, seconds=b / 8, **changes) for b in (2, 12)]
    return "\n".join(lines_of(assemble(settings, readings, ["noise stands in"])))


def test_this_machine():
    text = printed()
    assert "textdiff train: unet of 1M parameters\nbatch 64, 64k pictures to train on;" in text
    assert "note: noise stands in" in text
    assert "memory at batch 64: 7.4 +- 0." in text
    (row,) = (line for line in text.splitlines() if line.startswith("this machine (cpu, 1 thread)"))
    assert row.split()[5:8] == ["8", "may", "not"]
    assert " 8 +- " in row  # pictures a second


def test_gpus_are_rows_of_one_table():
    text = printed("--gpu", "t4", "l4", "--gpu-memory", "5", flops=10**12)
    rows = {line.split("  ")[0]: line for line in text.splitlines() if line[:1] in "tla"}
    assert "fits" in rows["t4"] and "?" in rows["t4"]  # which multiplies no bf16
    assert "fits" in rows["l4"] and "+-" in rows["l4"]
    assert "does not fit" in rows["a GPU of 5 GB"]
    assert len({len(rows[name]) for name in ("t4", "l4", "a GPU of 5 GB")}) == 1


def test_groups_of_the_encoder_bound_memory():
    argv = ["--train.batch-size", "4096", "--train.encoder-batch-size", "16"]
    settings = parse_flags(schema_of("train-clip"), argv, "plan", "")
    readings = [reading(b, (1000 + 100 * b) * MB) for b in (2, 12)]
    plan = assemble(settings, readings, [])
    assert plan.devices[0].needed.value == pytest.approx((1000 + 100 * 32) * MB)
    assert plan.devices[0].largest_batch is None
    assert " any " in "\n".join(lines_of(plan))


@pytest.mark.parametrize(
    ("number", "text"), [(12.0, "12"), (5120, "5.12k"), (16_200_000, "16.2M"), (3e9, "3G")]
)
def test_counts(number, text):
    assert count(number) == text
