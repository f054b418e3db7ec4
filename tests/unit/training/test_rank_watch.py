"""A process that fails, is stopped or is killed does not leave the others waiting (gloo)."""

from __future__ import annotations

import json
import re

import pytest

from tests.helpers.command import python

pytestmark = pytest.mark.slow
LOST = 7


@pytest.fixture(scope="module")
def ended() -> dict[str, list[tuple[int, str]]]:
    """How the processes of each pair or trio ended, and what they said."""
    done = python("-m", "tests.helpers.ranks")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_work_that_takes_longer_than_the_limit_ends_nothing(ended):
    assert [code for code, _ in ended["long work of the main one"]] == [0, 0]


def test_a_full_disk_of_the_main_process_is_an_error_on_all(ended):
    for code, said in ended["its disk is full"]:
        assert code == 1  # the command's: an OSError passes
        assert "OSError: [Errno 28] No space left on device: 'unet.safetensors'" in said


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_is_told_by_the_other_with_its_exit_code(ended, rank):
    of_one = ended[f"{rank} fails"]
    assert [code for code, _ in of_one] == [3, 3]
    assert "no image can be read" in of_one[rank][1]
    assert f"process {rank} ended: no image can be read" in of_one[1 - rank][1]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_bug_of_one_ends_the_other(ended, rank):
    of_one = ended[f"{rank} has a bug"]
    assert [code for code, _ in of_one] == [1, 1]
    assert f"process {rank} ended: ZeroDivisionError: a bug" in of_one[1 - rank][1]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_ends_both_as_stopped(ended, rank):
    of_one = ended[f"{rank} gets a signal"]
    assert [code for code, _ in of_one] == [75, 75]
    assert f"process {rank} ended: stopped by SIGTERM" in of_one[1 - rank][1]


@pytest.mark.parametrize("what", ["stopped", "killed"])
@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_gone_is_named(ended, rank, what):
    of_one = ended[f"{rank} is {what}"]
    assert of_one[rank][0] == -9  # by the test, where it was stopped
    code, said = of_one[1 - rank]
    assert code == LOST
    how = r"has not answered for 0\.1 minutes \(--train\.rank-timeout\)"
    if what == "killed":
        how = "has ended"
    assert re.search(rf"process {rank} of the run {how}", said)
    assert "run the same command again to continue" in said


@pytest.mark.parametrize("rank", [1, 2])
def test_of_three_the_one_that_is_gone_is_named(ended, rank):
    of_three = ended[f"{rank} of three is killed"]
    assert of_three.pop(rank)[0] == -9
    for code, said in of_three:
        assert code == LOST
        assert f"process {rank} of the run has ended" in said


def test_one_that_never_comes_is_not_waited_for_for_hours(ended):
    (code, said), _ = ended["1 never comes"]
    assert code == LOST
    assert "process 0 of 2 met not all others within 0.1 minutes (--train.rank-timeout)" in said
