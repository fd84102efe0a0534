"""Semeion: 1,593 handwritten digits, 16 × 16 in black and white."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from dlx.datasets import DatasetInfo, Facts, allocate
from dlx.datasets._containers import Container, is_there
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote

if TYPE_CHECKING:
    from dlx.sources import Official

_COUNTS = (161, 162, 159, 159, 161, 159, 161, 158, 155, 158)
_TEST = 319
_TEST_COUNTS = allocate(_COUNTS, _TEST)


@dataclass(frozen=True)
class _Text(Container):
    """UCI's ``semeion.data``, with the fixed test part taken out of it."""

    names: tuple[str, ...] = ("semeion/semeion.data", "semeion.data")

    def wanted(self) -> str:
        return self.names[0]

    def find(self, folder: Path) -> Path | None:
        return next((folder / name for name in self.names if is_there(folder / name)), None)

    def read(self, path: Path, info: DatasetInfo) -> Official:
        from dlx.datasets import _formats
        from dlx.datasets._division import TEST_KEY, hold_out_stratified
        from dlx.sources import Official

        pixels, digits = _formats.read_semeion(path, sum(_COUNTS))
        kept, held = hold_out_stratified(digits, _TEST_COUNTS, TEST_KEY)
        return Official(pixels[kept], digits[kept], pixels[held], digits[held], drawn=(kept, held))


class Spec(Registered):
    """1,593 images of 16 × 16 pixels that are 0 or 1, uint8, ten classes: 1,274 to train and 319 to test.

    There is no official test set. The test part is a fifth, stratified over the ten classes and
    chosen once for all by a fixed draw (``test`` draws another); both parts keep the order of the file, in which about
    eighty people wrote every digit twice. Source: Buscema, "MetaNet*: the theory of independent
    judges", Substance Use & Misuse 33(2), 1998.
    """

    name: Literal["semeion"] = "semeion"
    summary: ClassVar[str] = "handwritten digits, 16 × 16 black and white"
    source: ClassVar[str] = "https://archive.ics.uci.edu/dataset/178"
    facts: ClassVar[Facts] = Facts(
        title="Semeion handwritten digits",
        unit="0 (paper) or 1 (ink); unit leaves them so",
        licence="none stated",
        url="https://archive.ics.uci.edu/dataset/178/semeion+handwritten+digit",
        citation="Semeion Research Center of Sciences of Communication and Tattile (2008). Semeion Handwritten Digit. "
        "UCI Machine Learning Repository. doi:10.24432/C5SC8V",
    )
    drawn_test: ClassVar[bool] = True
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(16, 16, 1),
        task="classification",
        outputs=10,
        train=sum(_COUNTS) - _TEST,
        test=_TEST,
        largest=1.0,
        class_names=tuple("0123456789"),
        train_counts=tuple(count - held for count, held in zip(_COUNTS, _TEST_COUNTS, strict=True)),
        test_counts=_TEST_COUNTS,
    )
    files: ClassVar[Files] = Files(
        containers=(_Text(),),
        downloads=(
            Remote(
                path="semeion/semeion.data",
                urls=("https://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data",),
                sha256="f43228ae3da5ea6a3c95069d53450b86166770e3b719dcc333182128fe08d4b1",
                bytes=2_889_702,
            ),
        ),
        digest="bb76e674cd5193d51f96e18cf11bdc20a3acbe87875db8c7dba903b0d6fe4f36",
    )
