"""Nothing that we read can run code: by what the source calls, and by what happens to payloads."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.helpers.paths import ROOT

FOLDERS = ("textdiff", "scripts", "evals")
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# calls by their last names, whatever stands before
BANNED = {"eval", "exec", "__import__", "system", "popen", "extractall", "unsafe_load", "full_load"}
# keywords that may not be True
SWITCHES = {"trust_remote_code", "allow_pickle", "shell"}
# which function may do it, and why
ALLOWED = {
    # torch's restricted reader, of weights of other projects
    ("textdiff/checkpoint.py", "load_foreign_tensors", "torch.load(weights_only=True)"),
    # of the table of commands
    ("textdiff/commands/cli.py", "run", "import_module of a name that is computed"),
}


def findings(source: str, file: str = "file.py") -> Iterator[str]:
    """What in `source` could run code that somebody else wrote."""
    yield from _in(ast.parse(source), file, "")


def _in(node: ast.AST, file: str, function: str) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        function = node.name
    for what in _of(node):
        if (file, function, what) not in ALLOWED:
            yield f"{file}:{node.lineno}: {what}"
    for child in ast.iter_child_nodes(node):
        yield from _in(child, file, function)


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names]
        yield from (name for name in names if name.partition(".")[0] in UNPICKLERS)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    called = ast.unparse(call.func)
    last = called.rpartition(".")[2]
    method = isinstance(call.func, ast.Attribute) and last == "eval"  # of a module of torch
    if last in BANNED and not method:
        yield called
    keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
    yield from (f"{name}=True" for name in SWITCHES if keywords.get(name, "False") != "False")
    if called == "torch.load":
        yield f"torch.load(weights_only={keywords.get('weights_only')})"
    if called == "yaml.load" or called.startswith(("yaml.Unsafe", "yaml.Full")):
        yield called
    if last == "import_module" and not isinstance(call.args[0], (ast.Constant, ast.Name)):
        yield "import_module of a name that is computed"


def test_no_source_runs_what_it_reads():
    found = [
        line
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in findings(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "builtins.exec(text)",
        "exec(text)",
        "__import__(name)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=settings.trust)",
        "np.load(file, allow_pickle=True)",
        "tarfile.open(path).extractall(folder)",
        "importlib.import_module(config['class'])",
    ],
)
def test_a_planted_one_is_found(source):
    assert len(list(findings(f"def f():\n    {source}"))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "yaml.safe_load(text)",
        "np.load(file, mmap_mode='r', allow_pickle=False)",
        "subprocess.run(words)",
        "importlib.import_module('textdiff.app.page')",
        "'exec(text)'",
    ],
)
def test_what_is_harmless_is_let_through(source):
    assert list(findings(source)) == []


def test_what_is_allowed_is_still_there():
    """An exemption that nothing needs would let the next one through."""
    found = {
        line.partition(": ")[2]
        for file, _, _ in ALLOWED
        for line in findings((ROOT / file).read_text("utf-8"), "elsewhere.py")
    }
    assert found == {what for _, _, what in ALLOWED}
