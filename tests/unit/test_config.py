"""Settings: defaults < files in order < flags, and errors that name the file or flag at fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from textdiff.config import Settings, build, leaves, parse_flags, read_yaml, to_yaml
from textdiff.errors import UsageError


class Train(Settings):
    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    batch_size: int = Field(64, ge=1, description="samples per pass, 100% of them")
    betas: tuple[float, float] = Field((0.9, 0.999), description="decay of the moments")
    flip: bool = Field(True, description="mirror at random")


class Tail(Settings):
    share: float = Field(0.4, gt=0, le=1, description="of the run")


class Options(Settings):
    out: str = Field("out", description="folder")
    spacing: Literal["trailing", "leading"] = Field("trailing", description="grid")
    limit: int | None = Field(None, ge=1, description="at most so many; none: all")
    prompts: list[str] = Field(["a cat"], description="what to draw")
    train: Train = Train()
    tail: Tail | None = Field(None, description="last phase; none: no such phase")


class Needs(Settings):
    model: str = Field(description="folder of a run")


def parse(*argv: str, schema: type[Settings] = Options):
    return parse_flags(schema, [str(a) for a in argv], "textdiff test", "a command for tests")


def written(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def error_of(*argv, schema: type[Settings] = Options) -> str:
    """The message of the UsageError, which must be one line."""
    with pytest.raises(UsageError) as caught:
        parse(*argv, schema=schema)
    message = str(caught.value)
    assert "\n" not in message
    return message


# precedence


def test_no_flags_give_the_defaults():
    assert parse() == Options()


def test_a_file_changes_only_what_it_holds(tmp_path):
    found = parse("--config", written(tmp_path, "train: {lr: 0.5}"))
    assert found == Options(train=Train(lr=0.5))


def test_later_files_win_key_by_key(tmp_path):
    one = written(tmp_path, "out: one\ntrain: {lr: 0.5, batch_size: 2}", "one.yaml")
    two = written(tmp_path, "train: {lr: 0.25}", "two.yaml")
    found = parse("--config", one, "--config", two)
    assert (found.out, found.train.lr, found.train.batch_size) == ("one", 0.25, 2)
    assert parse("--config", two, "--config", one).train.lr == 0.5


@pytest.mark.parametrize("flag_first", [True, False])
def test_flags_win_over_files_wherever_they_stand(tmp_path, flag_first):
    file = ("--config", written(tmp_path, "train: {lr: 0.5, batch_size: 2}"))
    flag = ("--train.lr", "0.125")
    found = parse(*flag, *file) if flag_first else parse(*file, *flag)
    assert (found.train.lr, found.train.batch_size) == (0.125, 2)


# flag values


@pytest.mark.parametrize(
    "argv",
    [
        ("--train.batch-size", "3"),
        ("--train.batch_size", "3"),
        ("--train.batch-size=3",),
        ("--train.batch_size=3",),
    ],
)
def test_spellings_of_a_flag(argv):
    assert parse(*argv).train.batch_size == 3


@pytest.mark.parametrize(
    ("argv", "prompts"),
    [
        (("--prompts", "a dog"), ["a dog"]),
        (("--prompts", "a dog", "a red_bird"), ["a dog", "a red_bird"]),
        (("--prompts", "a dog", "--prompts", "a bird"), ["a dog", "a bird"]),
        (("--prompts", '["a dog", "a bird"]'), ['["a dog", "a bird"]']),  # text, not YAML
        (("--prompts", "{bad"), ["{bad"]),
        (("--prompts", "7"), ["7"]),
    ],
)
def test_lists(argv, prompts):
    assert parse(*argv).prompts == prompts


@pytest.mark.parametrize("argv", [("0.5", "0.6"), ("[0.5, 0.6]",)])
def test_tuples(argv):
    assert parse("--train.betas", *argv).train.betas == (0.5, 0.6)


@pytest.mark.parametrize(
    ("argv", "flip"), [((), True), (("true",), True), (("false",), False), (("no",), False)]
)
def test_booleans(argv, flip):
    assert parse("--train.flip", *argv).train.flip is flip


@pytest.mark.parametrize("word", ["none", "None", "null"])
def test_none_where_it_is_allowed(tmp_path, word):
    file = written(tmp_path, "limit: 3")
    assert parse("--config", file, "--limit", word).limit is None


def test_none_is_an_ordinary_word_where_it_is_not():
    assert parse("--out", "none").out == "none"


@pytest.mark.parametrize("text", ["[a]", "a: b", "--x", "1e3"])
def test_text_is_taken_as_it_stands(text):
    assert parse(f"--out={text}").out == text


# sections that may be missing


def test_a_null_section_stays_null(tmp_path):
    assert parse("--config", written(tmp_path, "tail: null")).tail is None


@pytest.mark.parametrize("argv", [("--tail.share", "0.5"), ("--config", "b.yaml")])
def test_a_value_opens_a_null_section(tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "tail: {share: 0.5}", "b.yaml")
    found = parse("--config", written(tmp_path, "tail: null"), *argv)
    assert found.tail == Tail(share=0.5)


@pytest.mark.parametrize("texts", [["{share: 0.5}", "null"], ["null", "{share: 0.5}", "null"]])
def test_null_closes_a_section_again(tmp_path, texts):
    files = [written(tmp_path, f"tail: {text}", f"{k}.yaml") for k, text in enumerate(texts)]
    assert parse(*(word for path in files for word in ("--config", path))).tail is None


def test_a_section_that_must_be_there_may_not_be_null(tmp_path):
    path = written(tmp_path, "train: null")
    message = error_of("--config", path)
    assert message.startswith(f"{path}: train: ")


# errors


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("spacin: leading", "spacin", "spacing"),
        ("train: {batchsize: 3}", "train.batchsize", "train.batch_size"),
        ("batch_size: 3", "batch_size", "train.batch_size"),
        ("train.batch_sizes: 3", "train.batch_sizes", "train.batch_size"),
    ],
)
def test_unknown_key_is_named_with_its_file_and_the_nearest(tmp_path, text, key, meant):
    path = written(tmp_path, text)
    message = error_of("--config", path)
    assert message == f"{path}: unknown key '{key}'; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--train.batchsize", "--train.batch-size"),
        ("--batch-size", "--train.batch-size"),
        ("--spacings=leading", "--spacing"),
        ("--confg", "--config"),
        ("--lr", "--train.lr"),
    ],
)
def test_unknown_flag_is_named_with_the_nearest(flag, meant):
    name = flag.split("=")[0]
    assert error_of(flag, "3") == f"unknown flag '{name}'; did you mean '{meant}'?"


def test_a_flag_is_not_guessed_from_its_beginning():
    assert "unknown flag '--train.batch'" in error_of("--train.batch", "3")


def test_a_bare_word_is_refused():
    assert error_of("word") == "unknown flag 'word'; flags start with --"


@pytest.mark.parametrize(
    ("key", "value"),
    [("train.lr", "fast"), ("train.lr", "-1"), ("spacing", "karras"), ("limit", "0")],
)
class TestWrongValue:
    def test_from_a_flag_names_the_flag_and_the_value(self, key, value):
        message = error_of(f"--{key}", value)
        assert message.startswith(f"--{key}: ")
        assert value in message

    def test_from_a_file_names_the_file_the_key_and_the_value(self, tmp_path, key, value):
        path = written(tmp_path, f"{key}: {value}")
        message = error_of("--config", path)
        assert message.startswith(f"{path}: {key}: ")
        assert value in message


def test_of_two_files_the_one_at_fault_is_named(tmp_path):
    good = written(tmp_path, "train: {batch_size: 2}", "good.yaml")
    bad = written(tmp_path, "train: {lr: fast}", "bad.yaml")
    for order in ([good, bad], [bad, good]):
        message = error_of(*(word for path in order for word in ("--config", path)))
        assert message.startswith(f"{bad}: train.lr: ")


def test_a_wrong_element_of_a_list_names_its_flag():
    assert error_of("--train.betas", "0.5", "x").startswith("--train.betas")


def test_a_flag_without_its_value_is_refused():
    assert "--train.lr" in error_of("--train.lr")


def test_a_missing_required_value_says_how_to_give_it():
    assert error_of(schema=Needs) == "--model is required: give the flag or set 'model'"


# YAML files


def test_an_empty_file_holds_nothing(tmp_path):
    assert read_yaml(written(tmp_path, "# only a comment\n")) == {}


@pytest.mark.parametrize(("text", "kind"), [("- a\n- b", "list"), ("word", "str"), ("3", "int")])
def test_yaml_that_is_no_mapping(tmp_path, text, kind):
    path = written(tmp_path, text)
    message = error_of("--config", path)
    assert message == f"{path} must hold a mapping of settings, not a {kind}"


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "!!python/object:os.system {}"])
def test_text_that_is_no_yaml(tmp_path, text):
    path = written(tmp_path, text)
    assert error_of("--config", path).startswith(f"{path} cannot be read as YAML: ")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00a")
    assert error_of("--config", path).startswith(f"{path} cannot be read as YAML: ")


def test_a_missing_file(tmp_path):
    path = tmp_path / "no.yaml"
    assert error_of("--config", path) == f"config file {path} does not exist"


def test_a_folder_in_place_of_a_file(tmp_path):
    assert error_of("--config", tmp_path).startswith(f"{tmp_path} cannot be read as YAML: ")


trains = st.builds(
    Train,
    lr=st.floats(1e-12, 1e6),
    batch_size=st.integers(1),
    betas=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    flip=st.booleans(),
)
# PyYAML writes U+0085, U+2028 and U+2029 as line breaks, which it reads as spaces
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"))
options = st.builds(
    Options,
    out=text,
    spacing=st.sampled_from(["trailing", "leading"]),
    limit=st.none() | st.integers(1),
    prompts=st.lists(text),
    train=trains,
    tail=st.none() | st.builds(Tail, share=st.floats(0.1, 1)),
)


@given(options)
def test_round_trip_through_a_file(tmp_path_factory, chosen):
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    path.write_text(to_yaml(chosen), encoding="utf-8")
    assert build(Options, [("resolved.yaml", read_yaml(path))]) == chosen


def test_settings_are_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        Options().out = "elsewhere"


# help


def test_help_shows_every_key_with_its_default_and_description(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    shown = " ".join(capsys.readouterr().out.split())
    for key, field in leaves(Options):
        assert f"--{key.replace('_', '-')} " in shown
        assert f"{field.description} (default: {field.default})" in shown


def test_help_marks_what_is_required(capsys):
    with pytest.raises(SystemExit):
        parse("--help", schema=Needs)
    assert "folder of a run (required)" in " ".join(capsys.readouterr().out.split())


def test_help_lists_choices(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    assert "--spacing {trailing,leading}" in capsys.readouterr().out


class Knobs(Settings):
    scale: float = Field(0.0, ge=0)
    guide: str | None = None


class WithShortNames(Settings):
    short_names: ClassVar[Mapping[str, str]] = {
        "knob_scale": "knobs.scale",
        "knob_guide": "knobs.guide",
    }

    knobs: Knobs = Knobs()
    others: int = 1


class Outer(Settings):
    inner: WithShortNames = WithShortNames()


SHORT = {"knob_scale": 2.0}


class TestShortNames:
    @pytest.mark.parametrize(
        "values",
        [
            {"knobs": Knobs(scale=2.0), "knob_guide": "x"},
            {"knob_guide": "x", "knobs": Knobs(scale=2.0)},
            {"knobs": {"guide": "x"}, **SHORT},
            {"knob_guide": "x", **SHORT},
        ],
        ids=str,
    )
    def test_stand_for_values_of_a_section(self, values):
        assert WithShortNames(**values).knobs == Knobs(scale=2.0, guide="x")

    def test_are_read_in_files_and_sections(self):
        layers = [("a.yaml", {"inner": {**SHORT, "knobs": {"guide": "x"}}})]
        assert build(Outer, layers).inner.knobs == Knobs(scale=2.0, guide="x")

    @pytest.mark.parametrize("flag", ["--knob-scale", "--knobs.scale"])
    def test_are_flags(self, flag):
        assert parse_flags(WithShortNames, [flag, "2"], "p", "").knobs.scale == 2

    def test_later_layers_win_whatever_the_spelling(self):
        layers = [("a", {"knobs": {"scale": 1.0}}), ("b", SHORT)]
        assert build(WithShortNames, layers).knobs.scale == 2

    def test_a_value_given_in_both_spellings_is_refused(self):
        with pytest.raises(UsageError, match=r"a\.yaml: knobs\.scale is given twice"):
            build(WithShortNames, [("a.yaml", {**SHORT, "knobs": {"scale": 3.0}})])

    @pytest.mark.parametrize("flag", ["--knob-scale", "--knobs.scale"])
    def test_errors_name_the_flag_as_it_was_typed(self, flag):
        with pytest.raises(UsageError) as caught:
            parse_flags(WithShortNames, [flag, "-1"], "p", "")
        assert str(caught.value).startswith(f"{flag}: Input should be greater than")

    def test_are_suggested(self):
        with pytest.raises(UsageError, match="did you mean '--knob-guide'"):
            parse_flags(WithShortNames, ["--knob-gide", "x"], "p", "")
        with pytest.raises(UsageError, match="did you mean 'knob_guide'"):
            build(WithShortNames, [("a", {"knob_gide": "x"})])
