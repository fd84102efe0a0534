"""Images looked at from elsewhere: whole pixels moved exactly, and values between pixels.

Written as gathers of whole pixels, which every backend compiles: TensorFlow's own image
operations do not run under XLA, and those of Keras take sixteen gathers for a batch.
"""

from __future__ import annotations

from dlx.augmentations import Tensor


def uniform(key: object, images: Tensor, count: int, low: float = 0.0, high: float = 1.0) -> list[Tensor]:
    """``count`` independent draws from [low, high) for each image, (batch, 1, 1) each."""
    import keras

    drawn = keras.random.uniform((count, images.shape[0], 1, 1), low, high, dtype="float32", seed=key)
    return [drawn[number] for number in range(count)]


def pixels_or_zeros(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at whole positions, (batch or 1, height, 1) and (batch or 1, 1, width); zeros where either is < 0."""
    from keras import ops

    padded = ops.pad(images, [(0, 0), (1, 0), (1, 0), (0, 0)])
    return pixels(padded, ops.maximum(rows + 1, 0), ops.maximum(columns + 1, 0))


def look_up(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values at positions between pixels, interpolated bilinearly; zeros outside.

    ``rows``, ``columns`` broadcastable to (batch, height, width): positions in pixels, (0, 0) being
    the centre of the first pixel.
    """
    from keras import ops

    _, height, width, _ = images.shape
    # With one pixel of zeros around, nothing has to be told apart: what is farther outside is put there.
    padded = ops.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    (top, down), (left, right) = _between(rows, height), _between(columns, width)
    upper = _mixed(pixels(padded, top, left), pixels(padded, top, left + 1), right)
    lower = _mixed(pixels(padded, top + 1, left), pixels(padded, top + 1, left + 1), right)
    return _mixed(upper, lower, down)


def around_the_centre(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each pixel's position relative to the image's centre: downwards (height, 1) and to the right (width,)."""
    from keras import ops

    _, height, width, _ = images.shape
    down, across = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
    return (down - (height - 1) / 2)[:, None], across - (width - 1) / 2


def look_up_around_the_centre(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """:func:`look_up` at positions relative to the centre."""
    _, height, width, _ = images.shape
    return look_up(images, down + (height - 1) / 2, across + (width - 1) / 2)


def _between(positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixel before each position, counted in the padded image, and how far behind it the position is."""
    from keras import ops

    inside = ops.clip(positions, -1.0, float(size))
    before = ops.clip(ops.floor(inside), -1.0, float(size - 1))
    return ops.cast(before, "int32") + 1, (inside - before)[..., None]


def _mixed(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """``share`` of the other and the rest of the one; products with one number per pixel are what costs here."""
    return one + (other - one) * share


def pixels(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at whole positions, broadcastable to (batch, height, width)."""
    from keras import ops

    batch, height, width, channels = images.shape
    first = ops.reshape(ops.arange(batch, dtype="int32") * height, (batch, 1, 1))
    return ops.take(ops.reshape(images, (-1, channels)), (first + rows) * width + columns, axis=0)
