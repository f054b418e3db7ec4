"""What may import what, that no files import each other, how little `--help` loads, no pickle."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.import_graph import SourceFile, circles, file_of, import_graph, read_files
from tests.helpers.paths import ROOT

# Lower layers first. A room may import lower layers and itself, not the others of its layer.
LAYERS = [
    {"errors", "types", "randomness", "precision", "attention", "byte_pairs", "recipes", "cgroup"}
    | {"plain_yaml", "stopping"},
    {"config", "files", "devices", "embeddings", "timesteps", "cuda_graphs", "cores", "memory"},
    {"manifests", "locks"},
    {"checkpoint", "sealed", "threads", "pictures", "latent_space"},
    {"clip", "diffusion", "models", "data", "vae"},
    {"guidance", "sampling", "metrics"},
    {"binary"},
    {"pipeline"},
    {"textdiff"},  # textdiff/__init__.py: TextToImage and the version
    {"interop", "training", "evaluation"},
    {"retrieval"},
    {"app"},
    {"commands"},
    {"__main__", "scripts", "evals"},
    {"tests"},
    {"benchmarks", "examples"},
]
LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
HEAVY = "torch numpy PIL open_clip transformers diffusers accelerate datasets gradio fastapi faiss"
FILES = read_files(ROOT, ["textdiff", "scripts", "evals", "benchmarks", "examples"])


def room_of(module: str) -> str:
    """textdiff.clip.model -> clip, textdiff -> textdiff, scripts.train -> scripts."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "textdiff" and rest else top


def violations(file: SourceFile) -> list[str]:
    """A line for each import in `file` that points the wrong way."""
    room = room_of(file.module)
    found = []
    for line, name in file.imported_names():
        imported = file_of(name, FILES)
        target = room if imported is None else room_of(imported)
        upwards = target != room and LAYER_OF[target] >= LAYER_OF[room]
        if upwards or (room in ("benchmarks", "examples") and target == "commands"):
            found.append(f"{file.module}:{line}: {room} must not import {name}")
    return found


def test_every_file_belongs_to_a_layer():
    assert [module for module in FILES if room_of(module) not in LAYER_OF] == []


def test_imports_point_one_way():
    found = [line for file in FILES.values() for line in violations(file)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("textdiff.types", "from textdiff.errors import UsageError"),
        ("textdiff.errors", "from textdiff import files"),
        ("textdiff.config", "import textdiff.clip"),
        ("textdiff.pictures", "from textdiff.data.decode import BadImage"),
        ("textdiff.vae.codec", "from textdiff.data.decode import BadImage"),
        ("textdiff.clip.model", "from textdiff.models import UNet"),
        ("textdiff.clip.model", "from textdiff import models"),
        ("textdiff.clip.model", "from ..models import UNet"),
        ("textdiff.models.config", "from textdiff.diffusion.config import ScheduleConfig"),
        ("textdiff.sampling.base", "def f():\n    from textdiff.guidance import classifier_free"),
        ("textdiff.pipeline.text_to_image", "if TYPE_CHECKING:\n    import textdiff.training.loop"),
        ("textdiff.pipeline.text_to_image", "from textdiff import __version__"),
        ("textdiff.training.loop", "from textdiff.commands import cli"),
        ("textdiff.commands.train", "import scripts.train"),
        ("textdiff.data.base", "from textdiff import TextToImage"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert len(violations(SourceFile(module, source))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("textdiff.clip.model", "import torch\nfrom textdiff.types import Features"),
        ("textdiff.clip.model", "from textdiff.clip.config import ClipConfig"),
        ("textdiff.checkpoint", "from textdiff.files import replacing"),
        ("textdiff.vae.codec", "from textdiff.pictures import to_float"),
        ("textdiff.pipeline.text_to_image", "from textdiff.data.grid import to_pil"),
        ("textdiff.commands.cli", "from textdiff import __version__"),
        ("scripts.train", "from textdiff.commands.cli import main"),
    ],
)
def test_a_right_import_is_let_through(module, source):
    assert violations(SourceFile(module, source)) == []


def test_no_files_import_each_other_in_a_circle():
    graph = import_graph(FILES)
    found = [
        f"{module} imports {imported}"
        for circle in circles(graph)
        for module in circle
        for imported in sorted(graph[module] & set(circle))
    ]
    assert not found, "\n".join(found)


def planted(**sources: str) -> dict[str, SourceFile]:
    """Files of a package `p`; `init` is the package's own."""
    files = [SourceFile(f"p.{name}", source) for name, source in sources.items() if name != "init"]
    files.append(SourceFile("p", sources.get("init", ""), is_package=True))
    return {file.module: file for file in files}


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"a": "from p.b import f", "b": "import p.a"}, ["p.a", "p.b"]),
        ({"a": "from p import b", "b": "from .a import f"}, ["p.a", "p.b"]),
        ({"a": "import p.b", "b": "import p.c", "c": "import p.a"}, ["p.a", "p.b", "p.c"]),
        (
            {"a": "import p.b", "b": "if TYPE_CHECKING:\n    from p.a import f\n"},
            ["p.a", "p.b"],
        ),
        ({"a": "import p.b", "b": "def f():\n    import p.a"}, ["p.a", "p.b"]),
        # by way of the package's exports
        ({"init": "from .a import f as f", "a": "import p.b", "b": "from p import f"}, None),
    ],
)
def test_a_planted_circle_is_found(sources, circle):
    assert circles(import_graph(planted(**sources))) == [circle or ["p", "p.a", "p.b"]]


def test_two_circles_are_told_apart():
    sources = {"a": "import p.b", "b": "import p.a", "c": "import p.d, p.a", "d": "import p.c"}
    assert circles(import_graph(planted(**sources))) == [["p.a", "p.b"], ["p.c", "p.d"]]


def test_imports_without_a_circle_are_let_through():
    sources = {"init": "from .a import f as f", "a": "import p.b, p.c", "b": "import p.c", "c": ""}
    assert circles(import_graph(planted(**sources))) == []


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


STUBS = sorted((ROOT / "textdiff").rglob("*.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_the_names_in_a_stub_are_those_that_the_package_has(stub: Path):
    """What an editor shows exists, under the name and from the file that the stub gives."""
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    exported = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            file = importlib.import_module(f"{package.__name__}.{node.module}")
            for alias in node.names:
                assert alias.asname == alias.name, "only `as` makes a checker re-export it"
                assert getattr(package, alias.name) is getattr(file, alias.name)
                exported.append(alias.name)
        else:
            assert isinstance(node, ast.AnnAssign) and hasattr(package, node.target.id)
    assert sorted(exported) == sorted(package.__all__)


def test_a_package_with_exports_has_a_stub():
    lazy = {
        path.with_suffix(".pyi")
        for path in (ROOT / "textdiff").rglob("__init__.py")
        if "attach_stub" in path.read_text(encoding="utf-8")
    }
    assert sorted(lazy) == STUBS


PACKAGES = sorted(module for module, file in FILES.items() if file.is_package)


@pytest.mark.parametrize("name", PACKAGES)
def test_exports_are_not_hidden_by_files_of_the_same_name(name):
    package = importlib.import_module(name)
    for exported in getattr(package, "__all__", []):
        getattr(package, exported)  # imports its file, which sets an attribute of the file's name
        assert not isinstance(getattr(package, exported), ModuleType), exported


UNPICKLING = re.compile(
    r"torch\.load\b(?![^\n]*weights_only=True)|\b(import|from) pickle\b|\bpickle\.load|"
    r"allow_pickle\s*=\s*True"
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
