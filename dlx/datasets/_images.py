"""Images that are made when they are read, divided and scaled as the settings of their data set say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlx.datasets._division import arrange, divide, scaling_of
from dlx.sources import ArraySource, Official, Source, Splits
from dlx.sources.images import ImageFiles, MadeSource, Resized

if TYPE_CHECKING:
    from dlx.datasets import DatasetSpec
    from dlx.datasets._folder import Part


def resized(splits: Splits, size: tuple[int, int]) -> Splits:
    """All parts with their images at another size.

    The scaling stays that of the images as they were. Bytes that use their range (0 to 255)
    stay bytes; other values are interpolated without rounding.
    """
    whole = splits.info.largest == 255.0

    def at_size(source: Source) -> Source:
        return Resized(source, size, whole=whole)

    return replace(
        splits,
        train=at_size(splits.train),
        validation=at_size(splits.validation) if splits.validation else None,
        test=at_size(splits.test) if splits.test else None,
    )


def of_folder(spec: DatasetSpec, root: Path, parts: Mapping[str, Part], standardized_by: int) -> Splits:
    """The parts of a folder of images as a data set's settings divide them; see :func:`of_parts`."""
    height, width, channels = spec.info().input_shape

    def files(part: Part) -> ImageFiles:
        return ImageFiles(root, part.paths, (height, width), channels, np.array(part.labels, np.int32))

    return of_parts(spec, {name: files(part) for name, part in parts.items()}, standardized_by)


def of_parts(spec: DatasetSpec, parts: Mapping[str, MadeSource], standardized_by: int) -> Splits:
    """Parts as published (train, perhaps validation and test) as a data set's settings divide them.

    ``standardize`` looks at ``standardized_by`` images of the training part at most.
    """
    info = spec.info()

    def numbers(part: str) -> tuple[Any, Any]:
        if part not in parts:
            return None, None
        return np.arange(len(parts[part])), parts[part].targets

    # Divided as arrays are, the place of an image in its part standing for the image.
    plain = spec.model_copy(update={"scaling": "none"})
    train = arrange(plain, Official(*numbers("train"), *numbers("test")))
    divided = divide(plain if "validation" not in parts else plain.model_copy(update={"validation": 0}), train)
    validation = divided.validation
    if "validation" in parts:
        official = arrange(plain, Official(*numbers("train"), *numbers("validation")))
        assert official.test_inputs is not None and official.test_targets is not None
        validation = ArraySource(np.asarray(official.test_inputs), official.test_targets, official.test_ids)

    def made(part: str, source: Source | None) -> MadeSource | None:
        if source is None:
            return None
        rows, targets = source.read(np.arange(len(source)))
        return parts[part].take(rows, targets)

    held = "validation" if "validation" in parts else "train"
    tested = "test" if "test" in parts else "train"
    training = made("train", divided.train)
    assert training is not None
    looked_at = training
    if spec.scaling == "standardize" and len(training) > standardized_by:
        looked_at = training.take(np.linspace(0, len(training) - 1, standardized_by).astype(np.int64))
    scaling = scaling_of(spec, info.largest, looked_at)
    return Splits(training, made(held, validation), made(tested, divided.test), info, scaling)
