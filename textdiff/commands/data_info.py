"""`textdiff data info SOURCE`: what is in a captioned image set, and what is wrong with it."""

from __future__ import annotations

from pydantic import Field

from textdiff.commands.context_length import CountedSettings, context_length
from textdiff.data.config import DataConfig

COLUMNS = 8  # of the contact sheet


class DataInfoSettings(CountedSettings):
    data: DataConfig = DataConfig()
    out: str = Field("out/contact_sheet.png", description="where the contact sheet goes")
    num_pictures: int = Field(64, ge=1, description="pictures on the contact sheet")
    json: str | None = Field(  # type: ignore[assignment]  # of a deprecated method's name
        None, description="write the numbers here too"
    )


def run(settings: DataInfoSettings) -> None:
    """Prints the table, writes the contact sheet and, where asked, the JSON. Raises DataError."""
    from dataclasses import asdict

    from textdiff.data.facts import facts
    from textdiff.data.grid import labelled_grid, to_pil
    from textdiff.data.inspect import inspect
    from textdiff.data.open import open_as_it_is
    from textdiff.evaluation.results import write_numbers
    from textdiff.evaluation.tables import print_facts
    from textdiff.files import check_file, replacing

    check_file("--out", settings.out)
    check_file("--json", settings.json)
    length, origin = context_length(settings)
    data = open_as_it_is(settings.data)
    inspection = inspect(data, length)
    print_facts(
        data.name, [*facts(inspection.report), ("counted for", f"{length} tokens, {origin}")]
    )
    if settings.json:
        report = asdict(inspection.report) | {"context_length_from": origin}
        if data.scenes is not None:
            report["scenes"] = [
                {"identifier": name, "split": split, "captions": captions, "facts": scene.to_json()}
                for name, split, captions, scene in zip(
                    data.identifiers, data.splits, data.captions, data.scenes, strict=True
                )
            ]
        write_numbers(settings.json, report)
    usable, count = inspection.usable, min(settings.num_pictures, len(inspection.usable))
    if count:
        shown = [usable[i * len(usable) // count] for i in range(count)]  # spread evenly
        size = f"{data.image_size} x {data.image_size}"
        title = f"{data.name}: {count} of {len(data):,} images, {size}"
        labels = [data.captions[index][0] for index in shown]
        with replacing(settings.out) as file:
            sheet = labelled_grid(to_pil(data.images(shown)), labels, COLUMNS, title)
            sheet.save(file, format="PNG")
        print(f"contact sheet: {settings.out}")
