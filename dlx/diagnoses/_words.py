"""Numbers as they are read aloud."""

from __future__ import annotations

from dlx.blocks import Together, together
from dlx.language import _


def number(value: float) -> str:
    """Two or three digits, without an exponent where people would not write one: 0.0030, 12.5, 3.2e-07."""
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        text = f"{value:.3g}"
        return f"{value:.0f}" if "e" in text else text
    return f"{value:.1e}"


def times(value: float) -> str:
    """A factor: 3.2, 45, 230."""
    return f"{value:.1f}" if abs(value) < 10 else number(float(f"{value:.2g}"))


def percent(fraction: float) -> str:
    """A share: 43 %; below ten one digit more."""
    value = 100 * fraction
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.1f} %"


def points(fraction: float) -> str:
    """A difference of shares in points, as 4.2."""
    return f"{100 * fraction:.1f}"


def at_start(stage: str | None) -> str:
    """When: before training, or at the start of a later stage."""
    return _("Before training") if stage is None else _("At the start of {stage}").format(stage=stage)


def listed(names: tuple[str, ...]) -> str:
    """Names in one go; of more than four layers how many of each block or stage, of more than four others the ends."""
    for stages in (False, True):
        if len(names) > MOST:
            groups = together(names, stages=stages)
            if stages or len(groups) <= MOST:
                names = tuple(_said(group) for group in groups)
    if len(names) > MOST:
        names = (*names[:2], "…", names[-1])
    return ", ".join(names)


MOST = 4


def _said(group: Together) -> str:
    count = len(group.positions)
    return _("{count} layers of {block}").format(count=count, block=group.name) if count > 1 else group.name
