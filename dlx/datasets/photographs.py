"""Patches of the two photographs that come with scikit-learn: colour images that are always here."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, Facts, InMemory, Places
from dlx.errors import DataError
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    import numpy as np

    from dlx.sources import Official

_HEIGHT, _WIDTH = 427, 640
# sklearn/datasets/images/*.jpg: SHA-256 of the files.
_FILES = {
    "china": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "flower": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
}
_TEST = 0.2


class Spec(InMemory):
    """Square patches, side by side from the top left, of a temple and of a flower; the class is which of the two.

    Two JPEG files of 640 × 427 pixels, in colour or grey (ITU-R 601 luma). Small patches are examples of a small
    classification; one large patch is an image to look at filters on.
    """

    name: Literal["photographs"] = "photographs"
    summary: ClassVar[str] = "patches of two photographs, a temple and a flower; nothing to download"
    source: ClassVar[str] = "https://scikit-learn.org/stable/datasets/loading_other_datasets.html#sample-images"
    facts: ClassVar[Facts] = Facts(
        title="scikit-learn's sample images, in patches",
        unit="a colour value, 0 to 255; unit divides by 255",
        licence="CC BY 2.0",
        url="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_sample_images.html",
        citation="china.jpg: danielbuechele, flickr.com/photos/danielbuechele/6061409035; flower.jpg: vultilion, "
        "flickr.com/photos/vultilion/6056698931; both CC BY 2.0",
        origin="within scikit-learn",
    )

    size: int = Field(default=32, ge=8, le=_HEIGHT, description="height and width of a patch in pixels")
    colour: bool = Field(default=True, description="three channels; false: one, grey")
    test: Count | Fraction | None = Field(
        default=None, description="held out for testing before validation: a count, or a fraction below 1; null: 0.2"
    )

    def whole(self) -> DatasetInfo:
        each = (_HEIGHT // self.size) * (_WIDTH // self.size)
        return DatasetInfo(
            input_shape=(self.size, self.size, 3 if self.colour else 1),
            task="classification",
            outputs=len(_FILES),
            train=len(_FILES) * each,
            test=0,
            class_names=tuple(_FILES),
            train_counts=(each,) * len(_FILES),
        )

    def digest(self) -> str:
        cut = {"files": _FILES, "size": self.size, "colour": self.colour, "revision": self.revision}
        return hashlib.sha256(json.dumps(cut, sort_keys=True).encode()).hexdigest()

    def test_share(self) -> int | float:
        return _TEST if self.test is None else self.test

    def official(self, places: Places) -> Official:
        import numpy as np

        from dlx.sources import Official

        patches = [_patches(self._pixels(name), self.size) for name in _FILES]
        labels = np.repeat(np.arange(len(_FILES), dtype=np.int32), [len(one) for one in patches])
        return Official(np.concatenate(patches), labels)

    def _pixels(self, name: str) -> np.ndarray:
        """A photograph, uint8 (height, width, channels)."""
        from io import BytesIO

        import numpy as np
        from PIL import Image

        path = _folder() / f"{name}.jpg"
        try:
            content = path.read_bytes()
        except OSError:
            raise DataError(f"{path} is not there", hint="reinstall scikit-learn") from None
        if hashlib.sha256(content).hexdigest() != _FILES[name]:
            raise DataError(f"{path} is not the photograph that scikit-learn comes with", hint="reinstall scikit-learn")
        with Image.open(BytesIO(content)) as image:
            pixels = np.asarray(image.convert("RGB" if self.colour else "L"))
        return pixels if self.colour else pixels[..., None]


def _folder() -> Path:
    """Where scikit-learn keeps its images, found without importing it."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DataError("scikit-learn is not installed", hint="pip install scikit-learn")
    return Path(next(iter(found.submodule_search_locations))) / "datasets" / "images"


def _patches(pixels: np.ndarray, size: int) -> np.ndarray:
    """(patches, size, size, channels), row by row; what is left at the right and at the bottom is cut off."""
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    cut = pixels[: rows * size, : columns * size]
    return cut.reshape(rows, size, columns, size, -1).swapaxes(1, 2).reshape(rows * columns, size, size, -1)
