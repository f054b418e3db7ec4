"""What may import what, how little `--help` loads, and that nothing unpickles."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import textdiff
from tests.helpers.paths import ROOT

# Lower layers first. A room may import lower layers and itself.
LAYERS = [
    {"errors", "_lazy", "config", "types", "checkpoint", "files", "randomness", "embeddings"}
    | {"precision", "devices", "attention"},
    {"pictures", "clip", "diffusion", "models", "data"},
    {"guidance", "sampling", "metrics"},
    {"binary"},
    {"pipeline"},
    {"interop", "training", "evaluation", "retrieval"},
    {"app", "commands"},
    {"scripts", "evals"},
]
FRIENDS = [LAYERS[0]]  # layers whose rooms may import each other
LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
HEAVY = "torch numpy PIL open_clip transformers diffusers accelerate datasets"


def modules_imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import anywhere in `tree`; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def room_of(module: str) -> str | None:
    """textdiff.clip.model -> clip, scripts.train -> scripts; None for what is not ours."""
    top, _, rest = module.partition(".")
    if top == "textdiff":
        return rest.partition(".")[0]
    return top if top in ("scripts", "evals") else None


def violations(source: str, module: str) -> list[str]:
    """A line for each import in `module`, whose text is `source`, that points the wrong way."""
    room, package = room_of(module), module.rpartition(".")[0]
    found = []
    for line, imported in modules_imported(ast.parse(source), package):
        target = room_of(imported)
        if target is None or target == room or target == "__version__":
            continue
        lower = target in LAYER_OF and LAYER_OF[target] < LAYER_OF[room]
        if not lower and not any({room, target} <= rooms for rooms in FRIENDS):
            found.append(f"{line}: {room} must not import {imported}")
    return found


def our_files() -> Iterator[tuple[Path, str]]:
    """(path, module) of each Python file but textdiff's __init__ and __main__, in no room."""
    for folder in ("textdiff", "scripts", "evals"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if len(parts) > 2 or parts[-1] not in ("__init__", "__main__"):
                yield path, ".".join(parts)


def test_every_file_belongs_to_a_layer():
    homeless = [str(path) for path, module in our_files() if room_of(module) not in LAYER_OF]
    assert homeless == []


def test_imports_point_one_way():
    found = [
        f"{path.relative_to(ROOT)}:{violation}"
        for path, module in our_files()
        for violation in violations(path.read_text(encoding="utf-8"), module)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("textdiff.config", "import textdiff.clip"),
        ("textdiff.clip.model", "from textdiff.models import UNet"),
        ("textdiff.clip.model", "from textdiff import models"),
        ("textdiff.clip.model", "from ..models import UNet"),
        ("textdiff.models.config", "from textdiff.diffusion.config import ScheduleConfig"),
        ("textdiff.sampling.base", "def f():\n    from textdiff.guidance import classifier_free"),
        ("textdiff.pipeline", "if TYPE_CHECKING:\n    from textdiff.training.loop import Trainer"),
        ("textdiff.training.loop", "from textdiff.commands import cli"),
        ("textdiff.commands.train", "import scripts.train"),
        ("textdiff.data.base", "from textdiff import TextToImage"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("textdiff.clip.model", "import torch\nfrom textdiff.types import Features"),
        ("textdiff.clip.model", "from textdiff.clip.config import ClipConfig"),
        ("textdiff.checkpoint", "from textdiff.files import replacing"),
        ("textdiff.pipeline", "from textdiff.data.grid import to_pil"),
        ("textdiff.commands.cli", "from textdiff import __version__"),
        ("scripts.train", "from textdiff.commands.cli import main"),
    ],
)
def test_a_right_import_is_let_through(module, source):
    assert violations(source, module) == []


REPORT_HEAVY_IMPORTS = """
import contextlib, io, json, sys
blame, heavy = {}, set(sys.argv[1].split())

def note(step):
    blame.update({name: step for name in heavy & set(sys.modules) if name not in blame})

import textdiff; note("import textdiff")
from textdiff.commands.cli import COMMANDS, run; note("import textdiff.commands.cli")
for argv in [[], *(name.split() for name in COMMANDS)]:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        run([*argv, "--help"])
    assert "usage:" in shown.getvalue(), argv
    note(" ".join(["textdiff", *argv, "--help"]))
print(json.dumps(blame))
"""


def test_help_loads_nothing_heavy():
    command = [sys.executable, "-c", REPORT_HEAVY_IMPORTS, HEAVY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


ROOMS = [module.name for module in pkgutil.iter_modules(textdiff.__path__) if module.ispkg]


@pytest.mark.parametrize("name_of_room", ROOMS)
def test_exports_are_not_hidden_by_files_of_the_same_name(name_of_room):
    room = importlib.import_module(f"textdiff.{name_of_room}")
    for name in getattr(room, "__all__", []):
        getattr(room, name)  # imports its file, which sets an attribute of the file's name
        assert not isinstance(getattr(room, name), ModuleType), name


UNPICKLING = re.compile(
    r"torch\.load\b|\b(import|from) pickle\b|\bpickle\.load|allow_pickle\s*=\s*True"
)


def test_nothing_unpickles():
    folders = ("textdiff", "scripts", "evals", "configs")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*paths, ROOT / "README.md"]
        if path.suffix in (".py", ".yaml", ".md") and path.exists()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNPICKLING.search(line)
    ]
    assert not found, "\n".join(found)
