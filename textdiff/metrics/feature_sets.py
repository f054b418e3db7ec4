"""Two sets of features that can be compared: x (n, D) of drawn pictures, y (m, D) of real ones."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from textdiff.errors import DataError

DrawnFeatures = Float[Tensor, "n dim"]
RealFeatures = Float[Tensor, "m dim"]


def check_sets(x: DrawnFeatures, y: RealFeatures, rows: int) -> None:
    """Raises DataError: fewer than `rows` rows, a number that is not finite; ValueError: widths
    that differ."""
    for name, features in (("first", x), ("second", y)):
        if features.ndim != 2 or len(features) < rows:
            raise DataError(
                f"the {name} set of features is {tuple(features.shape)}; "
                f"give (n, D) with n of {rows} or more"
            )
        # a sum is finite only if all it sums is: no second array of the size of the features
        if not features.sum().isfinite():
            spoilt = (~features.isfinite()).any(dim=1).nonzero().flatten().tolist()
            if spoilt:
                raise DataError(
                    f"{len(spoilt)} rows of the {name} set of features hold NaN or infinity, "
                    f"the first is row {spoilt[0]}; leave these pictures out"
                )
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of width {x.shape[1]} and {y.shape[1]}; give one width")


def check_groups(rows: int, groups: int, group: int) -> None:
    """Raises ValueError: fewer than two groups, or rows that are not whole groups."""
    if groups < 2 or rows != groups * group:
        raise ValueError(
            f"{rows} rows in groups of {group} as against {groups} groups counted; "
            "give two groups or more, all of one size"
        )
