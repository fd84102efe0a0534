"""Kinds of charts: an open set. A member's ``Spec`` holds its options, its numbers and its drawing, each apart.

``data`` makes a tidy table of results and is tested by a second route; ``draw`` makes an
Altair chart of the table and is looked at. Modules have underscores where kinds have
hyphens: ``learning-speed`` is ``learning_speed.py``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

from dlx.drawing.picture import Canvas
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy
from dlx.fields import MemberFields
from dlx.registry import OpenSet

Need = Literal["settings", "trial", "model", "dataset"]


class ChartSpec(MemberFields):
    """The contract of a kind of chart."""

    @property
    def needs(self) -> Need:
        """What :meth:`data` is given.

        ``settings``: a sequence of :class:`~dlx.drawing.subjects.Group`, read from tables; ``trial``:
        one :class:`~dlx.drawing.subjects.Run`, its tables, its weights and (:mod:`dlx.drawing.networks`) its
        network; ``model``: a :class:`~dlx.network.Network`, of a spec or of a
        registered model; ``dataset``: :class:`~dlx.drawing.targets.Data`, alike.
        """
        return "settings"

    @abstractmethod
    def heading(self) -> str:
        """The title, in the language in force."""

    @abstractmethod
    def data(self, subject: Any) -> Tidy:
        """The numbers to be drawn. Raises :class:`~dlx.errors.DlxError` where the results do not hold them."""

    @abstractmethod
    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        """The Altair chart of ``altair.NamedData("rows")``: the rows of ``tidy``, rounded."""

    def curves(self, tidy: Tidy) -> Curves | None:
        """How the rows are drawn as text in a terminal; None for a kind without curves."""
        return None


registry: OpenSet[ChartSpec] = OpenSet("chart", "dlx.charts", ChartSpec)


def kinds() -> list[str]:
    """The names of all kinds, as people write them."""
    return [name.replace("_", "-") for name in registry.names()]
