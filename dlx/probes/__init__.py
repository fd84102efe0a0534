"""Probes: what is measured on a fixed sample while a stage trains.

A probe computes inside a compiled program and hands numbers over afterwards; it never
pulls a tensor to the host inside a step, and what is trained does not depend on it, to
the last bit. A member is a module with a class ``Spec``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.every import Every, RecordEvery
from dlx.fields import MemberFields, Positive
from dlx.registry import OpenSet

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

Row = dict[str, Any]


@dataclass(frozen=True)
class LayerParameters:
    """A layer as the tables know it: its number (None: a decoder's), Keras name and variables.

    ``parameters``: (parameter name, index into the model's trainable variables), the layer's
    own first, then those of the normalisation or pooling behind it.
    """

    number: int | None
    name: str
    parameters: tuple[tuple[str, int], ...]
    limits: tuple[float, float] | None
    """The limits of its nonlinearity, None where that is unbounded."""


@dataclass(frozen=True)
class Moment:
    """A record point: where training stands, and what the epoch's steps have accumulated.

    ``gradient_norms`` and ``moves`` (‖Δθ‖ and ‖θ‖ of the last step), one per trainable
    variable, are there at the end of an epoch whose steps were watched, else empty. ``ids``:
    the numbers of the examples looked at, in the official part that they come from.
    """

    stage: str
    epoch: int
    step: int
    layers: tuple[LayerParameters, ...]
    gradient_norms: tuple[float, ...] = ()
    moves: tuple[tuple[float, float], ...] = ()
    ids: Sequence[int] = ()

    def row(self, layer: LayerParameters) -> Row:
        """The columns that every probe's rows begin with."""
        return {"stage": self.stage, "epoch": self.epoch, "step": self.step, "layer": layer.number, "name": layer.name}


class ProbeSpec(MemberFields):
    """The contract of a probe: when, on which examples, what, and which rows come of it.

    ``measure``, ``combine`` and ``finish`` are traced into a compiled program and use Keras
    ops only; they see scaled batches of the examples, in inference mode.
    """

    part: ClassVar[Literal["train", "validation", "test"]] = "train"
    """Where the examples come from."""

    @property
    def schedule(self) -> Every | None:
        """When to record, besides the start; None: once, with the weights that the trial ends with."""
        return None

    @property
    def first(self) -> int | None:
        """How many examples are looked at, the first ones of the part; None: all."""
        return None

    @property
    def watches_steps(self) -> bool:
        """Whether it wants the norms accumulated over an epoch's steps."""
        return False

    def check(self, setting: Setting) -> None:
        """Raises :class:`~dlx.errors.FieldError` where it does not suit the rest of the setting."""

    @abstractmethod
    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        """The columns of each table it writes, by file stem."""

    @abstractmethod
    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        """Numbers of a part of the sample, in a form that can be combined."""

    @abstractmethod
    def combine(self, one: Any, other: Any) -> Any:
        """The numbers of two parts together."""

    @abstractmethod
    def finish(self, combined: Any) -> dict[str, Tensor]:
        """From combined numbers to the few that leave the device."""

    @abstractmethod
    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        """Rows of each table at a record point, on the host."""


class SampleProbe(ProbeSpec):
    """A probe that looks at a fixed sample of the training part, again and again."""

    every: RecordEvery = Field(
        default=Every(1, "epochs"), description="when to record: a number of epochs or steps; the start always counts"
    )
    sample: Positive = Field(default=1000, description="examples looked at: the first N of the training part")

    @property
    def schedule(self) -> Every:
        return self.every

    @property
    def first(self) -> int:
        return self.sample


registry: OpenSet[ProbeSpec] = OpenSet("probe", "dlx.probes", ProbeSpec)
