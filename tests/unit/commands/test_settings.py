"""What the settings of commands refuse, by their flags and files alone."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.helpers.command import settings_of
from textdiff.commands.cli import COMMANDS
from textdiff.config import leaves
from textdiff.errors import UsageError


def refusal(*command) -> str:
    """The message, one line, of a command whose settings are wrong."""
    with pytest.raises(UsageError) as caught:
        settings_of(command)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def train(configs, tmp_path):
    """A training whose settings are right."""
    flags = ["--config", configs / "unet.yaml", "--clip", "clip", "--run-dir", tmp_path / "run"]
    return ["train", *flags]


def test_right_settings_are_let_through(train):
    assert settings_of(train).train.steps == 6


@pytest.mark.parametrize(
    ("flags", "cause", "cure"),
    [
        (["--train.lrr", "1"], "unknown flag '--train.lrr'", "did you mean '--train.lr'?"),
        (["--train.steps", "many"], "--train.steps: Input should be a valid integer", "'many'"),
        (["--check", "all"], "--check: Input should be 'overfit'", "'all'"),
        (["--resume", "maybe"], "--resume: Input should be 'auto', 'must' or 'never'", "'maybe'"),
        (["--config", "absent.yaml"], "config file absent.yaml", "does not exist"),
        (["--data.image-size", "15"], "image size 15 cannot be halved 1 times", "multiple of 2"),
    ],
)
def test_wrong_settings_of_training(train, flags, cause, cure):
    message = refusal(*train, *flags)
    assert cause in message
    assert cure in message


def test_unknown_key_of_a_config_file(train, tmp_path):
    (tmp_path / "wrong.yaml").write_text("train: {stepz: 4}")
    message = refusal(*train, "--config", tmp_path / "wrong.yaml")
    assert "wrong.yaml: unknown key 'train.stepz'; did you mean 'train.steps'?" in message


def test_strength_of_more_than_all():
    message = refusal("sample", "--model", "model", "--strength", "1.5")
    assert "--strength: Input should be less than or equal to 1" in message


def test_split_that_is_none():
    message = refusal("retrieval", "--clip", "clip", "--split", "nothing")
    assert "--split: Input should be 'train', 'val', 'test' or 'all'" in message


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (["train", "--clip", "c"], "run_dir"),
        (["train-clip"], "run_dir"),
        (["finetune-clip", "--init", "c", "--noise.schedule-from", "m"], "run_dir"),
        (["embed", "--clip", "c"], "out"),
        (["train-prior", "--embeddings", "e"], "run_dir"),
        (["prior", "--prior", "p", "--embeddings", "e"], "json"),
        (["sample"], "out"),
        (["export", "--model", "m"], "out"),
        (["retrieval", "--clip", "c"], "json"),
        (["likelihood", "--model", "m"], "plot"),
        (["prompt-following", "--model", "m", "--judge", "j"], "grid"),
        (["plot", "schedules"], "out"),
        (["quickstart"], "run_dir"),
    ],
)
def test_a_tilde_in_an_output_is_the_home_folder(command, key, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = settings_of([*command, f"--{key.replace('_', '-')}=~/x"])
    assert getattr(settings, key) == "/home/somebody/x"


# One name for one idea in all commands; the names that some had before still work

IDEAS = {
    "limit": (
        *("retrieval", "noised-clip", "guidance", "likelihood", "inversion", "distribution"),
        *("features", "report", "prior", "unclip", "vae"),
    ),
    "image_seed": ("likelihood", "inversion"),
    "num_images": ("sample", "guidance", "composition", "distribution", "report", "unclip"),
}


@pytest.mark.parametrize("name", IDEAS)
def test_commands_with_an_idea_have_its_name(name):
    has = set()
    for command, entry in COMMANDS.items():
        schema = getattr(import_module(f"textdiff.commands.{entry.module}"), entry.settings)
        has |= {command} if name in dict(leaves(schema)) else set()
    assert has == set(IDEAS[name])


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ("inversion --model m --num-pictures 5", "limit", 5),
        ("inversion --model m --picture-seed 5", "image_seed", 5),
        ("likelihood --model m --num-images 5", "limit", 5),
        ("likelihood --model m --num-images none", "limit", None),
        ("guidance --model m --judges a b --images-per-prompt 5", "num_images", 5),
        ("guidance --model m --evaluators a b", "judges", ["a", "b"]),
        ("clip-score --images a --clip b", "judge", "b"),
    ],
)
def test_earlier_names(flags, name, value):
    assert getattr(settings_of(flags.split()), name) == value


def test_likelihood_looks_at_a_part_by_default():
    settings = settings_of(["likelihood", "--model", "m"])
    assert (settings.limit, settings.estimate) == (128, 25)
