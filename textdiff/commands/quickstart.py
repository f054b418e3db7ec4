"""The whole cycle in one command: two CLIPs, a U-Net, pictures of prompts that no training caption
had, and how many of them show what was asked for.

Every step is a command that can be typed, and is printed before it runs. A finished training is not
run again, an unfinished one continues from its checkpoint.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import Field

from textdiff.config import Settings
from textdiff.errors import TextdiffError, UsageError
from textdiff.training.continuable import continuable

DATA = "data.json"


class QuickstartSettings(Settings):
    """What may be changed about the quickstart."""

    run_dir: str = Field("runs/quickstart", description="where everything is kept")
    configs: str | None = Field(
        None,
        description="folder with other YAML files for it; none: the recipes that 'textdiff "
        "configs' lists",
    )


@continuable
def run(settings: QuickstartSettings) -> None:
    """Runs the steps one after the other; a step that fails ends the quickstart with its code."""
    from textdiff.errors import require_extra

    require_extra("openmoji", "the quickstart")
    root = Path(settings.run_dir)
    configs = Path(settings.configs) if settings.configs else None
    if configs and not (configs / "quickstart.yaml").is_file():
        raise UsageError(
            f"no quickstart.yaml in --configs {configs}; leave the flag out for the recipes that "
            "come with textdiff"
        )
    start = time.monotonic()
    for title, command in steps(configs, root):
        print(f"\n== {title}\n$ textdiff {shlex.join(command)}", flush=True)
        code = run_step([sys.executable, "-m", "textdiff", *command])
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code} (9: out of memory?)"
            raise _StepFailedError(f"'{title}' ended with {how}", code)
    seconds = time.monotonic() - start
    print(closing(root, seconds, peak_of_steps()))


class _StepFailedError(TextdiffError):
    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.exit_code = code if code > 0 else 1


def run_step(command: list[str]) -> int:
    """Runs a step to its end and returns its exit code.

    Signals are the step's to handle: training saves a checkpoint first.
    """
    process = subprocess.Popen(command)

    def pass_on(number: int, _frame: object) -> None:
        if number != signal.SIGINT:  # the terminal sends Ctrl-C to both by itself
            process.send_signal(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # the latter two: not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def peak_of_steps() -> int | None:
    """Bytes of memory of the largest step that has ended; None where it is not told: Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def steps(configs: Path | None, root: Path) -> list[tuple[str, list[str]]]:
    """(title, arguments of textdiff) of every step, with recipes or with the files of `configs`."""

    def config(name: str) -> list[str]:
        return ["--config", str(configs / f"{name}.yaml") if configs else name]

    data, model = config("quickstart_data"), str(root / "model")
    clip, judge = str(root / "clip"), str(root / "judge")
    sampling = config("quickstart_sampling")
    return [
        (
            "1/6 the captioned images",
            [
                *("data", "info", *data),
                *("--out", str(root / "data.png"), "--json", str(root / DATA)),
            ],
        ),
        (
            "2/6 CLIP: its frozen text embeddings will steer the U-Net",
            ["train-clip", *data, *config("quickstart_clip"), "--run-dir", clip],
        ),
        (
            "3/6 another CLIP, which only judges",
            ["train-clip", *data, *config("quickstart_judge"), "--run-dir", judge],
        ),
        (
            "4/6 the U-Net",
            ["train", *data, *config("quickstart"), "--clip", clip, "--run-dir", model],
        ),
        (
            "5/6 how well CLIP finds pictures of combinations that it has not seen",
            ["retrieval", *data, "--clip", clip, "--json", str(root / "retrieval.json")],
        ),
        (
            "6/6 pictures of combinations that training had, and never had: what is read in them",
            [
                *("composition", *data, *sampling, "--model", model, "--judge", judge),
                *("--overview", str(root / "grid.png")),
                *("--grid", str(root / "right_and_wrong.png")),
                *("--json", str(root / "composition.json")),
            ],
        ),
    ]


def unseen_prompts(file: Path) -> list[str]:
    """Three captions of combinations that were held out, as the report on the data names them."""
    from textdiff.data.scenes.facts import Group
    from textdiff.data.scenes.wording import phrase

    pairs = json.loads(file.read_text("utf-8"))["combinations"]["unseen_pairs"]
    step = max(1, len(pairs) // 3)
    return [phrase(Group(kind, colour, 1)) for kind, colour in pairs[::step][:3]]


def closing(root: Path, seconds: float, peak_bytes: int | None) -> str:
    """What the user reads last."""
    memory = f"; the largest step used {peak_bytes / 2**30:.1f} GiB of memory" if peak_bytes else ""
    program = Path(sys.executable).parent / "textdiff"
    activate = program.with_name("activate")
    prompts = " ".join(shlex.quote(prompt) for prompt in unseen_prompts(root / DATA))
    return f"""
Done in {seconds / 60:.1f} minutes{memory}.

  pictures   {root}/grid.png; {root}/right_and_wrong.png says what was read in some;
             {root}/model/samples/timeline.png shows how they came to be
  numbers    {root}/composition.json, {root}/retrieval.json
  model      {root}/model   (the CLIP it was trained with: {root}/clip)

Next ({program} is in this environment; `source {activate}` puts it on the path). Three prompts
that no training caption had, to try:
  {program} sample --model {root}/model --num-images 4 --prompt {prompts}
  {program} data info path/to/images        what is in an image folder with captions
  Your own images, and the whole of OpenMoji in about an hour: see the README."""
