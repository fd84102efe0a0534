"""What is known of a restricted Boltzmann machine before there is one, in plain Python."""

from __future__ import annotations

from typing import Literal

Units = Literal["binary", "gaussian"]

ENUMERABLE = 12
"""Binary units whose states are enumerated for the exact partition function, at most."""


def can_enumerate(visible_units: int, hidden_units: int, visible: Units, hidden: Units) -> bool:
    """Whether the exact partition function is affordable: few binary units on one side."""
    sides = [count for count, kind in ((visible_units, visible), (hidden_units, hidden)) if kind == "binary"]
    return bool(sides) and min(sides) <= ENUMERABLE
