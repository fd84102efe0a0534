"""The 8 × 8 handwritten digits that come with scikit-learn: the set that is always here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from dlx.datasets import DatasetInfo, Facts, InMemory, Places, allocate
from dlx.errors import DataError

if TYPE_CHECKING:
    from dlx.sources import Official

# scikit-learn's sklearn/datasets/data/digits.csv.gz, byte for byte.
_FILE = Path(__file__).with_name("digits.csv.gz")
_DIGEST = "ebe01c7b7916df83878b05fbba4cbf0372acab9a6ead674f4b038442e84d6498"
_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
_TEST = 360
_TEST_COUNTS = allocate(_COUNTS, _TEST)


class Spec(InMemory):
    """1,797 grey images of 8 × 8 pixels, values 0 to 16, ten classes; no download, no file.

    There is no official test set (these are themselves the test part of UCI's optdigits). The
    test part is a fifth, 360 examples, stratified over the ten classes and chosen once for all
    by a fixed draw (``test`` draws another); training and test examples keep the order of the file, and thirteen people
    wrote both. Source: Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI, 1998.
    """

    name: Literal["digits"] = "digits"
    summary: ClassVar[str] = "8 × 8 handwritten digits of scikit-learn; embedded, nothing to download"
    source: ClassVar[str] = "https://archive.ics.uci.edu/dataset/80"
    facts: ClassVar[Facts] = Facts(
        title="Optical recognition of handwritten digits (scikit-learn's load_digits)",
        unit="how many of the 4 × 4 dots under a pixel are inked, 0 to 16; unit divides by 16",
        licence="CC BY 4.0",
        url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        citation="Alpaydin, E. and Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning "
        "Repository. doi:10.24432/C50P49",
        origin="within dlx",
    )

    drawn_test: ClassVar[bool] = True

    def whole(self) -> DatasetInfo:
        return DatasetInfo(
            input_shape=(8, 8, 1),
            task="classification",
            outputs=10,
            train=sum(_COUNTS) - _TEST,
            test=_TEST,
            largest=16.0,
            class_names=tuple("0123456789"),
            train_counts=tuple(count - share for count, share in zip(_COUNTS, _TEST_COUNTS, strict=True)),
            test_counts=_TEST_COUNTS,
        )

    def digest(self) -> str:
        return _DIGEST

    def official(self, places: Places) -> Official:
        from dlx.datasets import _formats
        from dlx.datasets._division import TEST_KEY, hold_out_stratified
        from dlx.sources import Official

        pixels, numbers = _formats.read_digits_csv(_FILE, examples=sum(_COUNTS))
        kept, held = hold_out_stratified(numbers, _TEST_COUNTS, TEST_KEY)
        official = Official(pixels[kept], numbers[kept], pixels[held], numbers[held], drawn=(kept, held))
        if official.digest() != _DIGEST:
            raise DataError(f"{_FILE} is damaged: it does not hold the digits", hint="reinstall dlx")
        return official
