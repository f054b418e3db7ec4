"""Where tests are, and what they may import."""

from __future__ import annotations

import ast
import pkgutil

import textdiff
from tests.helpers.paths import ROOT

TESTS = ROOT / "tests"
ROOMS = {module.name for module in pkgutil.iter_modules(textdiff.__path__) if module.ispkg}


def test_folders_of_unit_tests_are_rooms():
    folders = {path.name for path in (TESTS / "unit").iterdir() if (path / "__init__.py").is_file()}
    assert folders - {"benchmarks"} <= ROOMS


# what several files of a room do together, or one of them beside another library
TOGETHER = {
    "clip/contrastive": {"loss_ranks", "loss_sigmoid"},
    "commands": {"settings"},
    "data": {"captions"},
    "diffusion": {"properties"},
    "metrics": {
        "agreement_clip",
        "agreement_distribution",
        "agreement_retrieval",
        "distances",
        "reference_defects",
    },
    "models": {"diffusers_parity"},
    "pipeline": {"latent_models", "load"},
    "sampling": {"against_diffusers", "exact", "properties"},
    "training": {"binary_task", "distributed", "loading_share", "objectives", "resume", "tasks"},
}


def test_unit_tests_are_named_after_the_file_that_they_test():
    unit, package, astray = TESTS / "unit", ROOT / "textdiff", []
    for path in sorted(unit.rglob("test_*.py")):
        room = path.parent.relative_to(unit).as_posix()
        folder = package if room == "." else package / room
        files = folder.glob("*.py") if room == "." else folder.rglob("*.py")
        named = path.stem.removeprefix("test_")
        if room != "benchmarks" and named not in {f.stem for f in files} | TOGETHER.get(
            room, set()
        ):
            astray.append(str(path.relative_to(ROOT)))
    assert astray == []


def test_no_test_imports_another():
    """What two of them need is in tests/helpers."""
    imported = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.")
        if node.module.split(".")[1] != "helpers"
    ]
    assert imported == []
