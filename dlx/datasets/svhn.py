"""SVHN: house numbers photographed from the street, cropped to single digits, 32 × 32 in colour."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, Facts, Places
from dlx.datasets._containers import Container, is_there
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote, fetch_all
from dlx.errors import DataError

if TYPE_CHECKING:
    from dlx.sources import Array, Official

_URL = "http://ufldl.stanford.edu/housenumbers"


def _remote(name: str, sha256: str, size: int) -> Remote:
    return Remote(f"svhn/{name}", (f"{_URL}/{name}",), sha256, size)


TRAIN = _remote("train_32x32.mat", "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8", 182_040_794)
TEST = _remote("test_32x32.mat", "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b", 64_275_384)
EXTRA = _remote("extra_32x32.mat", "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3", 1_329_278_602)
_EXTRA_COUNTS = (45_550, 90_560, 74_740, 60_765, 50_633, 53_490, 41_582, 43_997, 35_358, 34_456)


def _digest(*files: Remote) -> str:
    """Of the official files, which a file of that name must be byte for byte."""
    return hashlib.sha256("".join(f"{file.sha256}\n" for file in files).encode()).hexdigest()


DIGEST = _digest(TRAIN, TEST)


@dataclass(frozen=True)
class MatFiles(Container):
    """``train_32x32.mat`` and ``test_32x32.mat`` in one folder, each the official file."""

    folders: tuple[str, ...] = ("svhn", "SVHN", ".")

    def wanted(self) -> str:
        return f"{self.folders[0]}/{{train,test}}_32x32.mat"

    def find(self, folder: Path) -> Path | None:
        places = (folder / inner for inner in self.folders)
        return next((place for place in places if all(is_there(place / _name(file)) for file in (TRAIN, TEST))), None)

    def read(self, path: Path, info: DatasetInfo) -> Official:
        from dlx.sources import Official

        return Official(
            *read_mat(path / _name(TRAIN), TRAIN, info.train, info),
            *read_mat(path / _name(TEST), TEST, info.test, info),
        )


def _name(file: Remote) -> str:
    return Path(file.path).name


def read_mat(path: Path, official: Remote, count: int, info: DatasetInfo) -> tuple[Array, Array]:
    """Images (count, 32, 32, 3) and labels, the digit 0 being 10 in the file; raises :class:`~dlx.errors.DataError`."""
    import numpy as np
    from scipy.io import loadmat

    from dlx.datasets import _formats

    with _formats.reading(path):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != official.sha256:
            raise DataError(
                f"{path} is not the official file: its SHA-256 is {found[:12]}…, not {official.sha256[:12]}…"
            )
        content = loadmat(path, variable_names=("X", "y"))
        images, labels = content["X"], content["y"].reshape(-1)
        if images.shape != (*info.input_shape, count) or images.dtype != np.uint8 or labels.shape != (count,):
            raise ValueError(f"X is {images.dtype} {images.shape} and y {labels.shape}")
        return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), _formats.labels(labels % 10, info.outputs)


class Spec(Registered):
    """73,257 training and 26,032 test images of 32 × 32 colour pixels, uint8; the digit in the middle counts.

    With ``extra``, 531,131 easier images are behind those to train on, as in the papers. Read
    from the .mat files as published, which must be those byte for byte.

    Source: Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning",
    NIPS Workshop on Deep Learning and Unsupervised Feature Learning, 2011.
    """

    name: Literal["svhn"] = "svhn"
    summary: ClassVar[str] = "house numbers, single digits cropped to 32 × 32 in colour (SVHN, format 2)"
    source: ClassVar[str] = "http://ufldl.stanford.edu/housenumbers/"
    facts: ClassVar[Facts] = Facts(
        title="Street View House Numbers, cropped digits",
        unit="a colour value, 0 to 255; unit divides by 255",
        licence="non-commercial use",
        url="http://ufldl.stanford.edu/housenumbers/",
        citation="Netzer, Y., Wang, T., Coates, A., Bissacco, A., Wu, B. and Ng, A. Y. (2011). Reading Digits in "
        "Natural Images with Unsupervised Feature Learning. NIPS Workshop on Deep Learning.",
    )
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(32, 32, 3),
        task="classification",
        outputs=10,
        train=73_257,
        test=26_032,
        class_names=tuple(map(str, range(10))),
        train_counts=(4_948, 13_861, 10_585, 8_497, 7_458, 6_882, 5_727, 5_595, 5_045, 4_659),
        test_counts=(1_744, 5_099, 4_149, 2_882, 2_523, 2_384, 1_977, 2_019, 1_660, 1_595),
    )
    files: ClassVar[Files] = Files(
        containers=(MatFiles(),),
        downloads=(TRAIN, TEST),
        digest=DIGEST,
        digest_of=lambda _: DIGEST,  # its files have been compared, to the last byte
    )

    extra: bool = Field(
        default=False, description="also train on the 531,131 easier images (1.3 GB to fetch, 1.6 GB of memory)"
    )

    def whole(self) -> DatasetInfo:
        if not self.extra:
            return self.about
        counts = tuple(map(sum, zip(self.about.train_counts, _EXTRA_COUNTS, strict=True)))
        return replace(self.about, train=sum(counts), train_counts=counts)

    def digest(self) -> str:
        return _digest(TRAIN, TEST, EXTRA) if self.extra else self.files.digest

    def official(self, places: Places) -> Official:
        import numpy as np

        official = super().official(places)
        if not self.extra:
            return official
        images, labels = read_mat(self._extra(places), EXTRA, sum(_EXTRA_COUNTS), self.about)
        return replace(
            official,
            train_inputs=np.concatenate([official.train_inputs, images]),
            train_targets=np.concatenate([official.train_targets, labels]),
        )

    def _extra(self, places: Places) -> Path:
        for _, folder in places.folders():
            for inner in MatFiles().folders:
                if is_there(folder / inner / _name(EXTRA)):
                    return folder / inner / _name(EXTRA)
        if not places.download:
            looked = ", ".join(f"{label} {folder}" for label, folder in places.folders()) or "no folder"
            hint = f"it is fetched from {_URL} where downloads are allowed; extra: false does without"
            raise DataError(f"{EXTRA.path} is not here: looked in {looked}", hint=hint)
        return fetch_all((EXTRA,), places.for_downloads(), places.progress) / EXTRA.path
