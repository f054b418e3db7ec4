"""`textdiff <command> [flags]`: find the command, read its settings, turn errors into exit codes.

Nothing heavy is imported before a command runs, so `--help` is quick.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import io
import os
import sys
from dataclasses import dataclass

from textdiff.errors import EXIT_DONE, TextdiffError, UsageError
from textdiff.stopping import Interrupted, interruptible

EXIT_NO_READER = 141  # as a shell names the end by SIGPIPE

# What a disk or its permissions can do to a command: no bug of ours, so no traceback.
DISK_TROUBLE = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    }
)


@dataclass(frozen=True)
class Command:
    """Where a command lives. `positional`: keys that bare arguments set, the last one all that are
    left."""

    module: str
    settings: str
    about: str
    positional: tuple[str, ...] = ()


COMMANDS = {
    "train": Command("train", "TrainSettings", "train a U-Net on captioned images"),
    "train-clip": Command("train_clip", "TrainClipSettings", "train a CLIP on captioned images"),
    "finetune-clip": Command(
        "finetune_clip", "FinetuneClipSettings", "fine-tune a CLIP on noised pictures"
    ),
    "embed": Command(
        "embed", "EmbedSettings", "CLIP embeddings of a data set in a file, for priors and decoders"
    ),
    "train-prior": Command(
        "train_prior", "TrainPriorSettings", "train a prior from captions to image embeddings"
    ),
    "train-vae": Command("train_vae", "TrainVaeSettings", "train a VAE, for diffusion in latents"),
    "plan": Command(
        "plan", "PlanSettings", "what a training will take: memory, largest batch, time, disk"
    ),
    "sample": Command("sample", "SampleSettings", "draw pictures of prompts"),
    "export": Command("export", "ExportSettings", "write a model as a folder for diffusers"),
    "features": Command(
        "features", "FeaturesSettings", "features of pictures in a file, for evaluations"
    ),
    "clip-score": Command("clip_score", "ClipScoreSettings", "CLIP score of pictures and prompts"),
    "retrieval": Command("retrieval", "RetrievalSettings", "R@k of a CLIP, both ways"),
    "prior": Command(
        "prior", "PriorEvalSettings", "how near a prior's embeddings come to those of images"
    ),
    "classify": Command(
        "classify", "ClassifySettings", "zero-shot accuracy of a CLIP, or the classes of pictures"
    ),
    "noised-clip": Command(
        "noised_clip",
        "NoisedClipSettings",
        "what a noised CLIP and its clean one recognise at each timestep",
    ),
    "prompt-following": Command(
        "prompt_following",
        "PromptFollowingSettings",
        "how often a judge CLIP recognises the prompt of a drawn picture",
    ),
    "composition": Command(
        "composition",
        "CompositionSettings",
        "whether pictures show the things, colours and relations of seen and unseen prompts",
    ),
    "distribution": Command(
        "distribution",
        "DistributionSettings",
        "Frechet distance, KID, CMMD, precision, recall, diversity and copies of pictures",
    ),
    "guidance": Command(
        "guidance",
        "GuidanceSettings",
        "sweep of classifier-free and CLIP guidance, judged by CLIPs held out of both",
    ),
    "unclip": Command(
        "unclip",
        "UnclipEvalSettings",
        "whose embedding a decoder draws best: priors, text, beside a model without one",
    ),
    "vae": Command("vae", "VaeEvalSettings", "how faithful a VAE is, and what its latents are"),
    "report": Command(
        "report", "ReportSettings", "a page of a run: numbers, curves, pictures, how to repeat it"
    ),
    "ui": Command("ui", "UiSettings", "a page in the browser, and a JSON API: draw and search"),
    "inversion": Command(
        "inversion", "InversionSettings", "pictures to noise and back by DDIM, and the error"
    ),
    "likelihood": Command(
        "likelihood", "LikelihoodSettings", "bits/dim of pictures given their captions, by timestep"
    ),
    "compare": Command(
        "compare",
        "CompareSettings",
        "two JSON files of one evaluation: paired differences, or why they do not compare",
        ("files",),
    ),
    "data info": Command(
        "data_info",
        "DataInfoSettings",
        "counts, captions, bad images of a data set",
        ("data.source",),
    ),
    "data check": Command(
        "data_check",
        "DataCheckSettings",
        "whether a training would run on a data set, and all that it would refuse, as a page",
        ("data.source",),
    ),
    "index build": Command(
        "index_build", "IndexBuildSettings", "make an index of pictures, to be searched"
    ),
    "index add": Command("index_add", "IndexAddSettings", "add pictures to an index", ("index",)),
    "index remove": Command(
        "index_remove", "IndexRemoveSettings", "take pictures out of an index", ("index",)
    ),
    "index info": Command(
        "index_info",
        "IndexInfoSettings",
        "what is in an index, and whether it can be used",
        ("index",),
    ),
    "index search": Command(
        "index_search",
        "IndexSearchSettings",
        "find pictures by text, by picture, by both with weights",
        ("index", "text"),
    ),
    "ckpt list": Command(
        "ckpt_list", "CkptListSettings", "the checkpoints that a run keeps", ("run",)
    ),
    "ckpt info": Command(
        "ckpt_info", "CkptInfoSettings", "what is in a checkpoint of a run", ("run",)
    ),
    "ckpt verify": Command(
        "ckpt_verify",
        "CkptVerifySettings",
        "whether the files of a run, model or CLIP are as they were written",
        ("run",),
    ),
    "ckpt export": Command(
        "ckpt_export",
        "CkptExportSettings",
        "the model of one checkpoint as a folder of its own",
        ("run",),
    ),
    "plot schedules": Command(
        "plot_schedules",
        "PlotSchedulesSettings",
        "noise schedules as curves, and one picture under each",
    ),
    "quickstart": Command(
        "quickstart", "QuickstartSettings", "train on OpenMoji, draw prompts, print metrics"
    ),
    "configs": Command(
        "configs",
        "ConfigsSettings",
        "list, print or copy the recipes that --config names",
        ("name",),
    ),
    "doctor": Command(
        "doctor", "DoctorSettings", "versions, devices, free cores, precision, missing extras"
    ),
}


def main(argv: list[str] | None = None) -> None:
    """Runs one command and exits with its code (see textdiff.errors)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding cannot say is shown in part, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except TextdiffError as error:
        sys.exit(_say(error))
    except BrokenPipeError:  # `textdiff ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(EXIT_NO_READER)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(_say(UsageError(f"{where}{error.strerror}; make room, or name another place")))
    except Interrupted as signal:
        with contextlib.suppress(OSError):
            print(f"textdiff: ended by {signal}", file=sys.stderr)
        sys.exit(signal.exit_code)
    except KeyboardInterrupt:  # the second one
        sys.exit(130)
    sys.exit(EXIT_DONE)


def _say(error: TextdiffError) -> int:
    """Prints the error as one line; returns its exit code."""
    with contextlib.suppress(OSError):  # nobody reads it any more
        print(f"textdiff: error: {' '.join(str(error).split())}", file=sys.stderr)
    return error.exit_code


def run(argv: list[str]) -> None:
    """Parses `argv` and runs the command that it names.

    Raises:
        TextdiffError: what the user can mend.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return
    if argv[0] == "--version":
        from textdiff import __version__

        print(f"textdiff {__version__}")
        return
    name = " ".join(argv[:2]) if " ".join(argv[:2]) in COMMANDS else argv[0]
    if name not in COMMANDS:
        raise UsageError(f"unknown command '{argv[0]}'; {_near_commands(argv[0])}")
    command, flags = COMMANDS[name], argv[len(name.split()) :]
    flags = _with_names(command.positional, flags)
    from textdiff.config import parse_flags

    module = importlib.import_module(f"textdiff.commands.{command.module}")
    schema_for = getattr(module, "SCHEMA_FOR", None)  # where they depend on the flags
    schema = schema_for(flags) if schema_for else getattr(module, command.settings)
    shown = " ".join([name, *(f"[{key}]" for key in command.positional)])
    module.run(parse_flags(schema, flags, f"textdiff {shown}", command.about))


def _with_names(keys: tuple[str, ...], words: list[str]) -> list[str]:
    """`words` with the flags of `keys` before the bare ones that they begin with."""
    named = []
    for number, key in enumerate(keys):
        if number < len(words) and not any(w.startswith("-") for w in words[: number + 1]):
            named += [f"--{key.replace('_', '-')}", words[number]]
    return named + words[len(named) // 2 :]


def _near_commands(word: str) -> str:
    """Those that `word` begins or nearly is, or all: a wrong guess is worse than none."""
    near = [name for name in COMMANDS if name.startswith(word)]
    near = near or difflib.get_close_matches(word, COMMANDS, n=1, cutoff=0.75)
    if not near:
        return f"known: {', '.join(COMMANDS)}"
    quoted = " or ".join(f"'{name}'" for name in near)
    return f"did you mean {quoted}?"


def overview() -> str:
    """What `textdiff --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: textdiff <command> [--config FILE ...] [--key value ...]",
            "",
            *lines,
            "",
            "textdiff <command> --help lists a command's settings with their defaults.",
            "Several processes: accelerate launch scripts/train.py --config ... (see the README).",
        ]
    )


if __name__ == "__main__":
    main()
