"""Photographs as bytes: decoded, turned upright, brought to a size by one rule, with Pillow and in parallel.

Pillow reads what people have (JPEG through libjpeg-turbo, PNG), lets go of the interpreter
while it decodes and resamples, so that threads suffice, and needs no backend: both engines
see the same bytes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from dlx.devices import usable_cores

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LARGEST = 64_000_000
"""Pixels: a file that says it has more is not decoded."""

# Not all that Pillow can: some of its formats start other programs.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")


Cut = Callable[[tuple[int, int], tuple[int, int]], tuple[float, float, float, float]]
"""What is seen of a picture (height, width) that is brought to a size (height, width): left, top, right, bottom."""


class Unreadable(Exception):
    """A file that is no image, or a damaged one; the message says in what way."""


def decoded(content: bytes | Path, size: tuple[int, int] | None, channels: int, cut: Cut | None = None) -> Array:
    """An image as bytes (height, width, channels), 1 channel grey or 3 of colour, brought to ``size`` (height, width).

    The rule of Krizhevsky et al. (2012): scaled until the shorter side fits, then the centre cut
    out. Scaling is bilinear with antialiasing (each new pixel a weighted mean of all that it
    covers), in one step with the cut. ``cut`` says what is seen in place of the centre.
    Photographs are turned upright as their EXIF data say; 16 bits become 8, what is transparent
    lies on white. Raises :class:`Unreadable`.
    """
    with _opened(content) as image:
        box, whole = None, image.size
        if size is not None:
            height, width = size
            # The decoder scales down by powers of two at no cost, as long as twice the pixels that are needed are left.
            needed = 2 * width, 2 * height
            if cut is not None:
                if image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE:
                    whole = whole[::-1]
                box = cut(whole[::-1], size)
                factor = max(needed[0] / (box[2] - box[0]), needed[1] / (box[3] - box[1]))
                needed = math.ceil(factor * image.width), math.ceil(factor * image.height)
            image.draft(None, needed)
        upright = _upright(image)
        converted = as_bytes(upright, channels)
        if size is not None:
            converted = fitted(converted, size) if box is None else _seen(converted, size, box, whole)
        return np.asarray(converted, dtype=np.uint8).reshape(converted.height, converted.width, channels)


def kind_of(content: bytes) -> tuple[str, int, int]:
    """What an image is, and its height and width: decoded whole, so that damage is found.

    One of RGB, grey, 16-bit, CMYK, transparent. Raises :class:`Unreadable`.
    """
    with _opened(content) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE:
            width, height = height, width
        image.draft(None, (1, 1))  # a JPEG's data are all gone through; only the transform is spared
        image.load()
        return _kind(image), height, width


def fitted(image: Image, size: tuple[int, int]) -> Image:
    """The largest centred part of the shape of ``size`` (height, width), scaled to it."""
    from PIL import Image

    height, width = size
    if image.size == (width, height):
        return image
    factor = min(image.width / width, image.height / height)
    left, top = (image.width - factor * width) / 2, (image.height - factor * height) / 2
    left, top = max(left, 0.0), max(top, 0.0)  # a product may be rounded past the edge
    box = left, top, min(left + factor * width, image.width), min(top + factor * height, image.height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _seen(image: Image, size: tuple[int, int], box: Sequence[float], whole: tuple[int, int] | None = None) -> Image:
    """What lies in a box of the picture, scaled to ``size``; ``whole``: its (width, height) when the box was drawn."""
    from PIL import Image

    across, down = (now / then for now, then in zip(image.size, whole or image.size, strict=True))
    left, top = max(box[0] * across, 0.0), max(box[1] * down, 0.0)
    right, bottom = min(box[2] * across, image.width), min(box[3] * down, image.height)
    return image.resize(size[::-1], Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def refitted(images: Array, size: tuple[int, int], *, whole: bool = True, cut: Cut | None = None) -> Array:
    """An image (height, width, channels) of an array brought to ``size`` by the same rule, or as ``cut`` says.

    Bytes stay bytes where ``whole``; everything else becomes float32, interpolated without rounding.
    """
    from PIL import Image

    box = None if cut is None else cut(images.shape[:2], size)

    def made(image: Image.Image) -> Image.Image:
        return fitted(image, size) if box is None else _seen(image, size, box)

    if images.dtype == np.uint8 and whole and images.shape[2] in (1, 3):
        image = Image.fromarray(images[:, :, 0] if images.shape[2] == 1 else images)
        return np.asarray(made(image)).reshape(*size, images.shape[2])
    planes = [made(Image.fromarray(images[:, :, at].astype(np.float32))) for at in range(images.shape[2])]
    found = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return found.round().astype(np.uint8) if images.dtype == np.uint8 and whole else found


def as_bytes(image: Image, channels: int) -> Image:
    """An image of 8 bits a channel, grey (1) or RGB (3), whatever it was."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: Pillow would cut off what is above 255
        values = np.asarray(image, dtype=np.float64)
        most = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max()))
        image = Image.fromarray(np.clip(values / most * 255.0, 0.0, 255.0).round().astype(np.uint8))
    if _is_transparent(image):
        over = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(over, image.convert("RGBA"))
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)  # which copies even what is of that mode


def in_parallel(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """What ``function`` makes of each item, in order, by a thread for each core that this process may use."""
    return _threads().map(function, items)


def in_shares(items: range, least: int = 8) -> list[range]:
    """``items`` in as many runs as there are cores, fewer where one would have less than ``least``."""
    share = max(least, -(-len(items) // cores()))
    return [items[first : first + share] for first in range(0, len(items), share)]


@cache
def cores() -> int:
    """Cores that this process may use, quotas of a container included."""
    return usable_cores()


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names one after the other, the first few of many."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="dlx-images")


@cache
def _prepare() -> None:
    """Load what reads the formats, and hush warnings of odd EXIF data and of sizes, none of which concern the pixels.

    Both once and here: Pillow's own way is not made for threads, which also share the filters of warnings.
    """
    for name in ("Jpeg", "Png", "Bmp", "Gif", "Tiff", "WebP"):
        importlib.import_module(f"PIL.{name}ImagePlugin")
    warnings.filterwarnings("ignore", module=r"PIL\.")


_ORIENTATION = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)


@contextlib.contextmanager
def _opened(content: bytes | Path) -> Iterator[Image]:
    from PIL import Image, UnidentifiedImageError

    if isinstance(content, bytes) and not content:
        raise Unreadable("the file is empty")
    _prepare()
    try:
        with _stream(content) as stream, Image.open(stream, formats=_FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise Unreadable(f"{image.width:,} × {image.height:,} pixels are more than an image is read with")
            yield image
    except UnidentifiedImageError:
        raise Unreadable("it is no image") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, ZeroDivisionError) as error:
        raise Unreadable(str(error) or type(error).__name__) from None  # Pillow's parsers raise all of them
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("PIL", "struct", "zlib"):
            raise Unreadable(str(error) or type(error).__name__) from None
        raise


def _stream(content: bytes | Path) -> BinaryIO:
    """A file is read in pieces that hold most photographs: Pillow asks for few bytes at a time."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", buffering=1 << 17)


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _is_transparent(image: Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _kind(image: Image) -> str:
    if image.mode.startswith("I") or image.mode == "F":
        return "16-bit"
    if _is_transparent(image):
        return "transparent"
    return {"L": "grey", "1": "grey", "CMYK": "CMYK"}.get(image.mode, "RGB")
