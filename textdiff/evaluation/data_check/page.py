"""What a check of a data set found, as facts for the terminal and as the sections of a page.

Names and captions come from anybody: control characters are written out here, the page escapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from textdiff import __version__
from textdiff.config import to_yaml
from textdiff.data.check import Checked, DataCheck
from textdiff.data.facts import repeats_text, spread_text
from textdiff.data.histogram import Range
from textdiff.data.survey import Flaw
from textdiff.data.text import shown
from textdiff.evaluation.report.document import (
    Bars,
    Block,
    Facts,
    Gallery,
    Notes,
    Report,
    Section,
    Table,
    Text,
)
from textdiff.evaluation.report.images import of_tensor

EXAMPLES = 4  # of a reason
EXAMPLE_LETTERS = 200
MOST_LINES = 2000  # of flaws and of replacements on the page; the JSON has all
CAPTION_LETTERS = 400  # of the longest one


def summary(check: DataCheck) -> list[tuple[str, str]]:
    """(name, value) of what matters most."""
    return [*_counts(check), *_reasons(check)]


def _counts(check: DataCheck) -> list[tuple[str, str]]:
    report = check.report
    images = sum(split.images for split in check.splits.values())
    usable = sum(split.usable for split in check.splits.values())
    return [
        ("a training", "would not run" if check.trouble else "would run"),
        ("rows and files", f"{check.rows:,}"),
        ("usable pictures", f"{usable:,} of {images:,}"),
        *((f"split {name}", f"{each.usable:,}") for name, each in check.splits.items()),
        ("captions", f"{report.captions:,}"),
        ("refused", f"{len(report.flaws):,}"),
    ]


def _reasons(check: DataCheck) -> list[tuple[str, str]]:
    """Why what is refused or ignored is; the page has a section of them."""
    report = check.report
    return [
        *(
            (f"refused: {reason}", f"{each.count:,} (first: {each.first})")
            for reason, each in sorted(report.rejected.items(), key=lambda item: -item[1].count)
        ),
        *((f"ignored: {why}", f"{len(names):,}") for why, names in report.ignored.items()),
    ]


def data_report(checked: Checked, num_pictures: int, context_length_from: str) -> Report:
    """num_pictures: usable ones that are shown. context_length_from: in words."""
    check = checked.check
    sections = [
        _refused(check),
        _pictures(checked, num_pictures),
        _captions(check, context_length_from),
        _splits(check),
        _repeats(check),
        _settings(checked),
    ]
    about = [(name, shown(value)) for name, value in _counts(check)]
    return Report(shown(check.report.source), about, [], sections, __version__)


def _refused(check: DataCheck) -> Section:
    """By reason, the most frequent first."""
    report = check.report
    lead = (
        "What a training does not use. A row or file that is refused is not there for it; in place "
        "of a picture that cannot be decoded it reads the next usable one of the split, the same "
        "on every run."
    )
    places: dict[str, list[str]] = defaultdict(list)
    for flaw in report.flaws:
        places[flaw.reason].append(_example(flaw))
    ordered = sorted(places.items(), key=lambda item: -len(item[1]))
    blocks: list[Block] = []
    if check.trouble:
        title = "Why a training would not run"
        blocks.append(Text(title, shown(check.trouble), folded=False))
    if ordered:
        rows = [[shown(reason), f"{len(names):,}", _examples(names)] for reason, names in ordered]
        blocks += [
            Table("", ["reason", "count", "examples"], rows),
            Text(f"Each of the {len(report.flaws):,}", _lines(map(_flaw_line, report.flaws))),
        ]
    else:
        blocks.append(Notes(["Nothing is refused."]))
    if check.replacements:
        pairs = [f"{a}: {b}" for a, b in check.replacements.items()]
        title = f"Which picture stands in for each of the {len(pairs):,} that cannot be decoded"
        blocks.append(Text(title, _lines(pairs)))
    if report.ignored:
        rows = [[why, f"{len(names):,}", _examples(names)] for why, names in report.ignored.items()]
        blocks.append(
            Table("Ignored, as none of the data's", ["reason", "count", "examples"], rows)
        )
    return Section("refused", "Refused", lead, blocks)


def _pictures(checked: Checked, num_pictures: int) -> Section:
    check, usable = checked.check, checked.inspection.usable
    report = check.report
    blocks: list[Block] = [
        Facts(
            "Usable pictures",
            [
                ("width", spread_text(report.original_width, "pixels")),
                ("height", spread_text(report.original_height, "pixels")),
                ("used as", f"{report.image_size} x {report.image_size} pixels"),
            ],
        ),
        Bars("Shorter side", "Pixels, as the files have them.", _bars(check.shorter_side)),
        Bars(
            "Longer by shorter side",
            "1 is a square; what a crop cuts off, or a border adds, grows with it.",
            _bars(check.aspect),
        ),
    ]
    count = min(num_pictures, len(usable))
    if count:
        chosen = [usable[k * len(usable) // count] for k in range(count)]  # spread evenly
        data = checked.data
        pictures = [of_tensor(data.image(i), data.captions[i][0]) for i in chosen]
        blocks.append(Gallery("As training sees them", "With their first captions.", pictures))
    return Section("pictures", "Pictures", "How large they are, and how they look.", blocks)


def _captions(check: DataCheck, context_length_from: str) -> Section:
    report = check.report
    length = report.context_length
    facts = [
        ("captions", f"{report.captions:,}"),
        ("of a picture", spread_text(report.captions_per_image)),
        ("tokens", spread_text(report.caption_tokens)),
        (f"cut, of more than {length} tokens", f"{report.truncated:,}"),
        ("same caption", repeats_text(report.same_caption, "captions")),
    ]
    if report.longest_caption:
        facts.append(("longest", shown(report.longest_caption, CAPTION_LETTERS)))
    about = f"Start and end included. A text encoder sees {length}: {context_length_from}."
    blocks: list[Block] = [Facts("", facts), Bars("Tokens", about, _bars(check.caption_tokens))]
    return Section("captions", "Captions", "How long they are.", blocks)


def _splits(check: DataCheck) -> Section:
    rows = [[name, f"{each.images:,}", f"{each.usable:,}"] for name, each in check.splits.items()]
    blocks: list[Block] = [Table("", ["split", "pictures", "usable"], rows)]
    notes = [shown(note) for note in check.report.notes if "held out" in note]
    notes += [
        f"No picture of split '{name}' can be used."
        for name, each in check.splits.items()
        if each.images and not each.usable
    ]
    if notes:
        blocks.append(Notes(notes))
    return Section("splits", "Splits", "What is trained on, and what is held out.", blocks)


def _repeats(check: DataCheck) -> Section:
    """A picture on both sides of the split makes what is measured too good."""
    report = check.report
    lead = (
        "The same picture under several names, compared at the size that training sees. One on "
        "two sides of the split is measured on what was trained on."
    )
    blocks: list[Block] = [
        Facts("", [("same picture", repeats_text(report.same_picture, "pictures"))])
    ]
    if check.alike:
        rows = [
            [str(k), f"{len(names):,}", _examples(names)] for k, names in enumerate(check.alike, 1)
        ]
        blocks.append(Table("The first groups", ["group", "pictures", "names"], rows))
    return Section("repeats", "Repeats", lead, blocks)


def _settings(checked: Checked) -> Section:
    fingerprint = checked.check.report.fingerprint
    blocks: list[Block] = [
        Facts("", [("fingerprint of names, captions and looks", fingerprint)]),
        Text("Settings", to_yaml(checked.data.config)),
    ]
    lead = "Another size, resize or limit gives other counts."
    return Section("settings", "Settings", lead, blocks)


def _bars(ranges: Sequence[Range]) -> list[tuple[str, int]]:
    return [(_range_text(each), each.count) for each in ranges]


def _range_text(each: Range) -> str:
    """Of whole numbers both ends count, of others the first one."""
    if each.high is None:
        return f"{each.low:g} and more"
    if isinstance(each.low, int) and isinstance(each.high, int):
        last = each.high - 1
        return f"{each.low:,}" if last == each.low else f"{each.low:,} to {last:,}"
    return f"{each.low:g} to {each.high:g}"


def _examples(names: Sequence[str]) -> str:
    """The first few, a line each."""
    more = len(names) - EXAMPLES
    first = [shown(name, EXAMPLE_LETTERS) for name in names[:EXAMPLES]]
    return "\n".join([*first, *([f"and {more:,} more"] if more > 0 else [])])


def _example(flaw: Flaw) -> str:
    """A picture by its name, as the reason says the rest; a row with what is wrong with it."""
    return flaw.where if flaw.where in flaw.detail else f"{flaw.where}: {flaw.detail}"


def _flaw_line(flaw: Flaw) -> str:
    return str(flaw) if flaw.where not in flaw.detail else shown(flaw.detail, EXAMPLE_LETTERS)


def _lines(texts: Iterable[str]) -> str:
    every = list(texts)
    more = len(every) - MOST_LINES
    lines = [shown(text) for text in every[:MOST_LINES]]
    return "\n".join([*lines, *([f"and {more:,} more; --json FILE has all"] if more > 0 else [])])
