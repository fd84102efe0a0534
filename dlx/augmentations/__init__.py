"""Augmentations: an open set. What is done to the images of a training batch before the network sees them.

An augmentation runs inside the compiled step, in Keras ops, on scaled images. What it draws
comes from the step's key: the same step of the same trial always sees the same images,
interrupted or not. What validation, test and probes see is left alone. A member is a module
with a class ``Spec``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dlx.errors import FieldError
from dlx.fields import MemberFields
from dlx.registry import OpenSet

if TYPE_CHECKING:
    from dlx.sources import View

Tensor = Any
Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class AugmentationSpec(MemberFields):
    """The contract of an augmentation: images in, changed images of the same shape out.

    Each image of a batch gets draws of its own. Where something from outside of an image comes
    into view it is 0: black under ``scaling: unit``, the mean under ``standardize``.
    """

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises :class:`~dlx.errors.FieldError` where it cannot be applied to examples of this shape."""
        if len(input_shape) != 3:
            shape = "x".join(map(str, input_shape))
            raise FieldError(f"{self.name} is for images (height, width, channels), and the data have shape {shape}")

    @property
    def view(self) -> View | None:
        """What it makes a picture to be seen as when it is read; None: it changes images that were read before."""
        return None

    @abstractmethod
    def apply(self, images: Tensor, key: Any) -> Tensor:
        """Augmented images; ``images`` float32 (batch, height, width, channels), scaled.

        ``key`` is a :class:`keras.random.SeedGenerator` of this step.
        """


@dataclass(frozen=True)
class Pixels:
    """What lies between scaled values and pixels from 0 (black) to 1: pixel = scaled · ``divide`` + ``subtract``."""

    subtract: Any = 0.0
    divide: Any = 1.0


Moves = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Where the pixels at (rows, columns) of the new images stood before, −1 or beyond the size being outside."""


class MovingAugmentationSpec(AugmentationSpec):
    """An augmentation that moves whole pixels; of several in a row, all pixels are moved at once."""

    def apply(self, images: Tensor, key: Any) -> Tensor:
        return _moved(images, [self.moves(images, key)])

    @abstractmethod
    def moves(self, images: Tensor, key: Any) -> Moves:
        """The draws made, where each pixel comes from: of int32 (batch, height, 1) and (batch, 1, width)."""


class PixelAugmentationSpec(AugmentationSpec):
    """An augmentation of the colours of photographs: it sees RGB pixels from 0 to 1, however they are scaled."""

    def check(self, input_shape: tuple[int, ...]) -> None:
        super().check(input_shape)
        if input_shape[2] != 3:
            raise FieldError(f"{self.name} is for RGB images, and the data have {input_shape[2]} channels")

    def apply(self, images: Tensor, key: Any) -> Tensor:
        return self.change(images, key)

    @abstractmethod
    def change(self, images: Tensor, key: Any) -> Tensor:
        """As :meth:`apply`, of pixels from 0 to 1."""


def augment(
    augmentations: Sequence[AugmentationSpec], images: Tensor, key: Any, pixels: Pixels | None = None
) -> Tensor:
    """One augmentation after the other, in the order of the spec; ``pixels``: how the images are scaled."""
    waiting: list[Moves] = []
    for augmentation in augmentations:
        if isinstance(augmentation, MovingAugmentationSpec):
            waiting.append(augmentation.moves(images, key))
            continue
        images, waiting = _moved(images, waiting), []
        if isinstance(augmentation, PixelAugmentationSpec) and pixels is not None:
            changed = augmentation.apply(images * pixels.divide + pixels.subtract, key)
            images = (changed - pixels.subtract) / pixels.divide
        else:
            images = augmentation.apply(images, key)
    return _moved(images, waiting)


def _moved(images: Tensor, moves: Sequence[Moves]) -> Tensor:
    """All moves in one look-up: on a CPU, copying pixels is what takes time, and not finding their places."""
    if not moves:
        return images
    from keras import ops

    from dlx.augmentations._resampling import pixels_or_zeros

    _, height, width, _ = images.shape
    rows, columns = ops.arange(height, dtype="int32")[None, :, None], ops.arange(width, dtype="int32")[None, None, :]
    for last_first in reversed(moves):
        rows, columns = last_first(rows, columns)
        # What one of them takes from outside, no earlier one brings in again.
        rows, columns = (
            ops.where((places >= 0) & (places < size), places, _OUTSIDE)
            for places, size in ((rows, height), (columns, width))
        )
    return pixels_or_zeros(images, rows, columns)


_OUTSIDE = -(1 << 20)


registry: OpenSet[AugmentationSpec] = OpenSet("augmentation", "dlx.augmentations", AugmentationSpec)
