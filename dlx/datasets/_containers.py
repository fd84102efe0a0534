"""The containers in which a registered set may lie in a folder: how each is found, how each is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.datasets import DatasetInfo

if TYPE_CHECKING:
    from dlx.sources import Official


def is_there(path: Path) -> bool:
    """Whether there is such a file, as far as one may look."""
    try:
        return path.is_file()
    except OSError:
        return False


class Container(ABC):
    """One layout of files. ``find`` looks at names only; ``read`` raises DataError for anything but the set's shape."""

    @abstractmethod
    def find(self, folder: Path) -> Path | None:
        """The file, or the folder of files, if all that is needed is in ``folder``."""

    @abstractmethod
    def read(self, path: Path, info: DatasetInfo) -> Official:
        """All examples, in official order; not yet compared with the digest."""

    @abstractmethod
    def wanted(self) -> str:
        """The name that a person would look for, relative to a data folder."""

    def shared(self, path: Path, folder: Path) -> bool:
        """Whether another set's files bear the same names there, so that other content is no sign of damage."""
        return False


@dataclass(frozen=True)
class KerasNpz(Container):
    """``x_train y_train x_test y_test`` in one ``.npz``, integers, as Keras publishes MNIST."""

    names: tuple[str, ...]

    def wanted(self) -> str:
        return self.names[0]

    def find(self, folder: Path) -> Path | None:
        return next((folder / name for name in self.names if is_there(folder / name)), None)

    def read(self, path: Path, info: DatasetInfo) -> Official:
        import numpy as np

        from dlx.datasets import _formats
        from dlx.sources import Official

        shapes = {
            "x_train": (info.train, *info.input_shape),
            "y_train": (info.train,),
            "x_test": (info.test, *info.input_shape),
            "y_test": (info.test,),
        }
        if info.input_shape[-1] == 1:  # Keras stores grey images without a channel
            shapes = {name: shape[:-1] if name[0] == "x" else shape for name, shape in shapes.items()}
        arrays = _formats.read_npz(path, shapes)
        with _formats.reading(path):
            for name in ("x_train", "x_test"):
                if arrays[name].dtype != np.uint8:
                    raise ValueError(f"array {name!r} holds {arrays[name].dtype}, not uint8")
            return Official(
                arrays["x_train"].reshape(-1, *info.input_shape),
                _formats.labels(arrays["y_train"], info.outputs),
                arrays["x_test"].reshape(-1, *info.input_shape),
                _formats.labels(arrays["y_test"], info.outputs),
            )


_IDX_STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


@dataclass(frozen=True)
class IdxFiles(Container):
    """The four files of MNIST and of the sets published in its place, gzipped or not.

    ``folders`` are searched in order; ``.`` (flat in the data folder) is where MNIST and
    Fashion-MNIST cannot be told apart by name.
    """

    folders: tuple[str, ...]

    def wanted(self) -> str:
        return f"{self.folders[0]}/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte[.gz]"

    def find(self, folder: Path) -> Path | None:
        return next((folder / inner for inner in self.folders if self._files(folder / inner)), None)

    def shared(self, path: Path, folder: Path) -> bool:
        return path == folder

    def _files(self, folder: Path) -> list[Path]:
        found = []
        for stem in _IDX_STEMS:
            kind = "idx3" if stem.endswith("images") else "idx1"
            written = [f"{stem}{dot}{kind}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
            file = next((folder / name for name in written if is_there(folder / name)), None)
            if file is None:
                return []
            found.append(file)
        return found

    def read(self, path: Path, info: DatasetInfo) -> Official:
        from dlx.datasets import _formats
        from dlx.sources import Official

        files = self._files(path)
        height, width, channels = info.input_shape

        def part(images: Path, labels: Path, count: int) -> tuple[_formats.Bytes, _formats.Labels]:
            pixels = _formats.read_idx(images, (count, height, width))
            numbers = _formats.read_idx(labels, (count,))
            with _formats.reading(labels):
                return pixels.reshape(count, height, width, channels), _formats.labels(numbers, info.outputs)

        return Official(*part(files[0], files[1], info.train), *part(files[2], files[3], info.test))
