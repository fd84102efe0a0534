"""The width that a number of parameters allows."""

from __future__ import annotations

from collections.abc import Callable

from dlx.errors import FieldError

PATH = ("parameters",)


def widest(parameters: Callable[[int], int], budget: int) -> int:
    """The largest width whose network has no more than ``budget`` parameters, moving statistics counted.

    ``parameters(width)`` grows with the width, from 1. Raises :class:`~dlx.errors.FieldError`
    where even a width of 1 is too much.
    """
    if (least := parameters(1)) > budget:
        raise FieldError(f"{budget:,} are too few: the narrowest such network has {least:,}", PATH)
    fits, too_wide = 1, 2
    while parameters(too_wide) <= budget:
        fits, too_wide = too_wide, 2 * too_wide
    while too_wide - fits > 1:
        middle = (fits + too_wide) // 2
        if parameters(middle) <= budget:
            fits = middle
        else:
            too_wide = middle
    return fits
