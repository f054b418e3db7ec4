"""What a training will take before it is started: memory, largest batch, time, disk.

One real step is measured in processes of their own at two small batches, and carried on. With --gpu
or --gpu-memory for GPUs that need not be here, else for this machine.
"""

from __future__ import annotations

from textdiff.config import Settings
from textdiff.training.plan.settings import PlanOptions, schema_for

# which settings there are depends on the training
SCHEMA_FOR = schema_for
PlanSettings = PlanOptions


def run(settings: Settings) -> None:
    """Measure, estimate, show.

    Raises:
        UsageError, DataError, CheckpointError: as the training's own command, before it trains.
    """
    from dataclasses import asdict
    from typing import cast

    from textdiff.evaluation.results import write_numbers
    from textdiff.files import check_file
    from textdiff.training.plan.plan import make_plan
    from textdiff.training.plan.table import lines_of

    file = cast(PlanOptions, settings).json
    check_file("--json", file)
    plan = make_plan(settings)
    print("\n".join(lines_of(plan)))
    write_numbers(file, asdict(plan))
