"""Image classification sets of TensorFlow Datasets, read without TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import secrets
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from dlx.datasets import DatasetInfo, DatasetSpec, Facts, Places
from dlx.errors import DataError, FieldError
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.sources import Splits

_PARTS = ("train", "validation", "test")
_STANDARDIZED_BY = 10_000


class Spec(DatasetSpec):
    """A set by the name that it has there, with its variant and version (``imagenette/160px-v2:1.0.0``).

    It must lie prepared in the format that is read in any order: ``tfds build NAME
    --file_format=array_record``, in the folder that ``DLX_DATA`` names, in
    ``TFDS_DATA_DIR`` or in ``~/tensorflow_datasets``. Its parts train, validation and test are
    taken as they are. The digest is that of the set's full name, whose version stands for the
    content.
    """

    name: Literal["tfds"] = "tfds"
    summary: ClassVar[str] = "any image classification set of TensorFlow Datasets (pip install 'dlx[tfds]')"
    source: ClassVar[str] = "https://www.tensorflow.org/datasets"
    facts: ClassVar[Facts] = Facts(
        title="A set of TensorFlow Datasets",
        unit="bytes 0 to 255; unit divides by 255",
        licence="the set's own",
        url="https://www.tensorflow.org/datasets/catalog/overview",
        origin="where tfds build has put it",
    )

    dataset: str = Field(min_length=1, description="NAME, NAME/VARIANT or NAME:VERSION, as in the catalogue")
    validation: Count | Fraction | None = Field(
        default=None,
        description="held out of the training set: a count or a fraction; null: the set's own validation part, and "
        "where there is none a tenth. With a number, its own part is for testing where there is no other",
    )

    def whole(self) -> DatasetInfo:
        known = _known(self.dataset)
        shape = (*(self.sides or known.shape[:2]), known.shape[2])
        if None in shape:
            message = f"the images of {known.full_name} differ in size: resize: N brings them to one"
            raise FieldError(message, ("resize",))
        parts = self._parts(known)
        counts = {part: _counts(known, source) for part, source in parts.items()}
        sizes = {part: sum(each) for part, each in counts.items()}
        return DatasetInfo(
            input_shape=shape,
            task="classification",
            outputs=len(known.classes),
            train=sizes["train"],
            test=sizes.get("test", 0),
            class_names=known.classes,
            train_counts=counts["train"],
            test_counts=counts.get("test", ()),
            validation=sizes.get("validation", 0),
            validation_counts=counts.get("validation", ()),
        )

    def digest(self) -> str:
        return hashlib.sha256(f"tfds {_known(self.dataset).full_name}\n".encode()).hexdigest()

    def load(self, places: Places) -> Splits:
        from dlx.datasets._images import of_parts
        from dlx.sources.images import Encoded

        known = _known(self.dataset)
        height, width, channels = self.whole().input_shape
        parts = {
            part: Encoded(
                _records(known.folder, own, known.image), known.image, (height, width), channels, _labels(known, own)
            )
            for part, own in self._parts(known).items()
        }
        return of_parts(self, parts, _STANDARDIZED_BY)

    def _parts(self, known: Known) -> dict[str, str]:
        """The set's own name of each part that is used."""
        parts = {part: part for part in _PARTS if part in known.sizes}
        if "train" not in parts:
            raise FieldError(f"{known.full_name} has no part train: {', '.join(known.sizes)}", ("dataset",))
        if self.validation is not None and "validation" in parts:
            own = parts.pop("validation")
            parts.setdefault("test", own)
        return parts


class Known(NamedTuple):
    """What a prepared set says of itself: which feature is the image and which the class, and what its parts hold."""

    full_name: str
    folder: str
    image: str
    label: str
    shape: tuple[Any, ...]
    classes: tuple[str, ...]
    sizes: dict[str, int]


@cache
def _known(name: str) -> Known:
    """Raises :class:`~dlx.errors.FieldError`."""
    library = _library()
    places = Places.here()
    folders = [str(places.environment)] if places.environment else []
    known = False
    for folder in (*folders, None):
        try:
            builder = library.builder(name, **({"data_dir": folder} if folder else {}))
        except library.core.DatasetNotFoundError:
            continue
        except (ValueError, AssertionError, OSError) as error:
            raise FieldError(" ".join(str(error).split())[:300], ("dataset",)) from None
        known = True
        if builder.info.splits:
            return _described(library, builder)
    if not known:
        from difflib import get_close_matches

        names = library.list_builders(with_community_datasets=False)
        near = get_close_matches(name.partition("/")[0].partition(":")[0], names, 1)
        hint = f"did you mean {near[0]!r}?" if near else "they are listed on tensorflow.org/datasets"
        raise FieldError(f"TensorFlow Datasets has no {name!r} ({hint})", ("dataset",))
    command = f"tfds build {name} --file_format=array_record"
    raise FieldError(f"{name} is not prepared here: {command}, or DLX_DATA names where it is", ("dataset",))


def _library() -> Any:
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise FieldError("needs TensorFlow Datasets, which is not installed: pip install 'dlx[tfds]'", ("name",))
    return importlib.import_module("tensorflow_datasets")


def _described(library: Any, builder: Any) -> Known:
    info = builder.info
    if info.file_format is None or info.file_format.value != "array_record":
        command = f"tfds build {builder.name} --file_format=array_record"
        message = f"{info.full_name} was prepared in a format that is only read from front to end: {command}"
        raise FieldError(message, ("dataset",))
    features = dict(info.features.items())
    images = [key for key, one in features.items() if isinstance(one, library.features.Image)]
    labels = [key for key, one in features.items() if isinstance(one, library.features.ClassLabel)]
    if info.supervised_keys:
        images = [key for key in images if key in info.supervised_keys] or images
        labels = [key for key in labels if key in info.supervised_keys] or labels
    if len(images) != 1 or len(labels) != 1 or features[images[0]].shape[2] not in (1, 3):
        what = ", ".join(f"{key}: {type(one).__name__}" for key, one in features.items())
        raise FieldError(f"{info.full_name} is no set of images with one class each ({what})", ("dataset",))
    sizes = {part: int(split.num_examples) for part, split in info.splits.items()}
    names = tuple(features[labels[0]].names)
    return Known(info.full_name, str(builder.data_dir), images[0], labels[0], features[images[0]].shape, names, sizes)


def _records(folder: str, part: str, image: str) -> Any:
    """The examples of a part in any order, their images still encoded; raises :class:`~dlx.errors.DataError`."""
    library = _library()
    try:
        builder = library.builder_from_directory(folder)
        return builder.as_data_source(part, decoders={image: library.decode.SkipDecoding()})
    except (ImportError, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read: {' '.join(str(error).split())[:300]}") from None


@cache
def _classes(known_folder: str, full_name: str, image: str, label: str, part: str, size: int) -> array[int]:
    """The class of each example of a part, read once and kept in the cache folder: records hold images as well."""
    folder = Places.here().cache
    name = hashlib.sha256(f"{full_name} {part} {size}".encode()).hexdigest()[:32]
    kept = folder / "labels" / f"{name}.bin" if folder else None
    found = array("i")
    with contextlib.suppress(OSError, ValueError):
        if kept is not None:
            found.frombytes(kept.read_bytes())
    if len(found) == size:
        return found
    source = _records(known_folder, part, image)
    found = array("i", (int(source[at][label]) for at in range(size)))
    if kept is not None:
        _keep(kept, found.tobytes())
    return found


def _keep(path: Path, content: bytes) -> None:
    """Only a convenience: where it cannot be kept, the set is read again."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)


def _counts(known: Known, part: str) -> tuple[int, ...]:
    from collections import Counter

    counted = Counter(_labels_of(known, part))
    return tuple(counted[number] for number in range(len(known.classes)))


def _labels_of(known: Known, part: str) -> Iterator[int]:
    return iter(_classes(known.folder, known.full_name, known.image, known.label, part, known.sizes[part]))


def _labels(known: Known, part: str) -> Any:
    import numpy as np

    return np.fromiter(_labels_of(known, part), np.int32, known.sizes[part])
