"""The studies that come with dlx: what ``dlx sweep`` varies where no spec is given."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

_HERE = Path(__file__).parent


def study(axes: Collection[str]) -> Path:
    """The spec for these axes: of one axis alone its own, where there is one, else the general one."""
    own = [_HERE / f"{axis}.yaml" for axis in axes]
    if len(own) == 1 and own[0].is_file():
        return own[0]
    # Not every net can be pretrained in every way: what the others vary is varied in one that can.
    return _HERE / ("pretraining.yaml" if "pretraining" in axes else "general.yaml")
