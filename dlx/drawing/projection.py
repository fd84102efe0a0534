"""Many dimensions seen in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlx.errors import UsageError
from dlx.language import _

if TYPE_CHECKING:
    import numpy as np


def principal(values: np.ndarray) -> np.ndarray:
    """The first two principal directions of ``values`` (examples, units), (2, units), orthonormal.

    Each has the sign that makes its largest loading positive.
    """
    import numpy as np

    centred = (values - values.mean(axis=0)).astype(float)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    signs: np.ndarray = np.sign(directions[np.arange(len(directions)), abs(directions).argmax(axis=1)])
    turned: np.ndarray = directions * signs[:, None]
    return turned


def axes_said(width: int) -> tuple[str, str]:
    """What the two axes of a layer's space are: its two units, or two components of more."""
    if width == 2:
        unit = _("unit {unit}")
        return unit.format(unit=0), unit.format(unit=1)
    return _("component {number}").format(number=1), _("component {number}").format(number=2)


def reduced(values: np.ndarray, method: str, units: tuple[int, int]) -> tuple[np.ndarray, tuple[str, str], str]:
    """Two columns of ``values`` (examples, units), the names of both, and how they came about.

    ``units``: two of them, as they are; ``pca``: the first two principal components; ``tsne``:
    scikit-learn's, perplexity 30, started from the components. Raises
    :class:`~dlx.errors.UsageError` where there are no such units.
    """
    import numpy as np

    width = values.shape[1]
    if method == "units":
        for unit in units:
            if unit >= width:
                raise UsageError(f"--units: the layer has the units 0 to {width - 1}, no {unit}")
        name = _("unit {unit}")
        return values[:, list(units)], (name.format(unit=units[0]), name.format(unit=units[1])), _("as they are")
    if width < 2 or len(values) < 4:
        raise UsageError("two dimensions need two units and four examples at least")
    centred = values - values.mean(axis=0)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(values) - 1) / 3)
        points = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(centred)
        return points, ("t-SNE 1", "t-SNE 2"), "t-SNE"
    points = centred @ principal(values).T
    whole = max(float(np.square(centred).sum()), 1e-300)
    first, second = (f"{float(np.square(points[:, at]).sum()) / whole:.0%}" for at in (0, 1))
    name = _("component {number} ({share} of the variance)")
    axes = name.format(number=1, share=first), name.format(number=2, share=second)
    return points, axes, _("principal components")
