"""Photographs of one's own: a folder for each class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, DatasetSpec, Divide, Facts, Places, Side, _folder
from dlx.errors import DataError, FieldError
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.sources import Splits

_TEST = 0.2
_STANDARDIZED_BY = 10_000


class Spec(DatasetSpec):
    """Image files (JPEG, PNG, …) in a folder for each class, whose name is the folder's.

    Either the folders of the classes themselves, or ``train`` with such folders in it and
    perhaps ``val`` and ``test`` with the same classes. Classes are numbered in the order of
    their names; other files are passed over. All images are brought to one size and to RGB.
    A large set is decoded while it trains, one that fits in memory once. The digest is that of
    the paths below the folder and of the bytes of the files.
    """

    name: Literal["image_folder"] = "image_folder"
    summary: ClassVar[str] = "photographs of your own, a folder for each class; streamed where they do not fit"
    source: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, section 2 (how images are brought to one size)"
    facts: ClassVar[Facts] = Facts(
        title="A folder of images",
        unit="bytes 0 to 255; unit divides by 255",
        licence="yours",
        origin="where path says",
    )
    path_fields: ClassVar[tuple[str, ...]] = ("path",)

    path: str = Field(min_length=1, description="the folder, relative to the spec")
    resize: Side | tuple[Side, Side] = Field(
        default=224,
        description="images are brought to N x N pixels, or to [height, width]: scaled until they cover it (the "
        "shorter side fits) and the centre cut out",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="3: colour, 1: grey, converted where they are not; null: 1 if all images are grey"
    )
    unreadable: Count | Fraction = Field(
        default=0.01,
        description="damaged images that are left out at most, a count or a fraction (rounded up); more are an error",
    )
    validation: Count | Fraction | None = Field(
        default=None,
        description="held out of the training set: a count or a fraction; null: the images in val, and where there is "
        "no such folder a tenth. With a number, those in val are for testing",
    )
    test: Count | Fraction | None = Field(
        default=None,
        description="held out for testing before validation, where neither a test nor a val folder is there: a count "
        "or a fraction; null: 0.2",
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="unit",
        description=f"unit (divided by 255), none, standardize (each channel to mean 0 and variance 1 over the "
        f"training part, of more than {_STANDARDIZED_BY:,} images over as many, evenly spread), or {{divide: NUMBER}}",
    )

    def whole(self) -> DatasetInfo:
        parts = self._parts()
        train, validation, test = (parts.get(part) for part in ("train", "validation", "test"))
        assert train is not None
        size = self.sides
        assert size is not None
        return DatasetInfo(
            input_shape=(*size, self._channels(parts)),
            task="classification",
            outputs=len(train.classes),
            train=len(train.paths),
            test=len(test.paths) if test else 0,
            class_names=train.classes,
            train_counts=train.counts,
            test_counts=test.counts if test else (),
            validation=len(validation.paths) if validation else 0,
            validation_counts=validation.counts if validation else (),
        )

    def digest(self) -> str:
        return _folder.digest(self.path)

    def test_share(self) -> int | float:
        if self.test is not None:
            return self.test
        return 0 if len(_folder.look(self.path).parts) > 1 else _TEST

    def notes(self) -> tuple[str, ...]:
        from dlx.images import listed

        parts = self._parts()
        notes = []
        lost = [f"{path} ({why})" for part in parts.values() for path, why in part.unreadable]
        if lost:
            notes.append(f"{_images(len(lost))} cannot be read and {_are(len(lost))} left out: {listed(lost)}")
        wanted = "grey" if self._channels(parts) == 1 else "RGB"
        others = {
            kind: count
            for kind in ("RGB", "grey", "CMYK", "16-bit", "transparent")
            if kind != wanted and (count := sum(part.kinds[kind] for part in parts.values()))
        }
        if others:
            each = ", ".join(f"{count:,} {kind}" for kind, count in others.items())
            notes.append(f"images that are not {wanted} are converted to it: {each}")
        short, size = min(self.sides or (0,)), _images
        small = sum(count for part in parts.values() for side, count in part.sides.items() if side < short)
        if small:
            notes.append(f"{size(small)} {_are(small)} smaller than {self._by} pixels and enlarged")
        empty = [f"{part}/{name}" for part, one in parts.items() for name in one.empty]
        if empty:
            notes.append(f"no class is made of folders without images: {listed(empty)}")
        listing = _folder.look(self.path)
        if listing.loose:
            notes.append(f"{_images(listing.loose)} in no folder of a class {_are(listing.loose)} passed over")
        if listing.beside:
            notes.append(f"folders beside {', '.join(listing.parts)} are passed over: {listed(listing.beside)}")
        return tuple(notes)

    def load(self, places: Places) -> Splits:
        from dlx.datasets._images import of_folder

        try:
            return of_folder(self, _folder.look(self.path).root, self._parts(), _STANDARDIZED_BY)
        except FieldError as error:
            if error.path != ("path",):
                raise
            raise DataError(error.message) from None

    @property
    def _by(self) -> str:
        return " × ".join(map(str, reversed(self.sides or ())))

    def _parts(self) -> dict[str, _folder.Part]:
        """The parts as they are used; raises :class:`~dlx.errors.FieldError` for a folder that is no data set."""
        parts = dict(_folder.look(self.path).parts)
        train = parts["train"]
        self._check_readable(parts)
        if not train.paths:
            raise FieldError(f"{self.path} has no images in its folders: {', '.join(train.empty)}", ("path",))
        if len(train.paths) == 1:
            raise FieldError(f"{self.path} has one image to train on, {train.paths[0]}: too few", ("path",))
        if len(train.classes) == 1:
            raise FieldError(f"{self.path} has one class, {train.classes[0]!r}: there is nothing to learn", ("path",))
        for part in ("validation", "test"):
            if part in parts:
                self._check_classes(train, parts[part], part)
        if self.validation is not None and "validation" in parts:
            if "test" in parts:
                message = "there are folders of images for validation and for testing already: none are held out"
                raise FieldError(message, ("validation",))
            parts["test"] = parts.pop("validation")
        return parts

    def _check_classes(self, train: _folder.Part, part: _folder.Part, name: str) -> None:
        from dlx.images import listed

        if train.classes == part.classes:
            return
        only_train = [repr(one) for one in train.classes if one not in part.classes]
        only_part = [repr(one) for one in part.classes if one not in train.classes]
        told = [f"only train has {listed(only_train)}"] if only_train else []
        told += [f"only {name} has {listed(only_part)}"] if only_part else []
        raise FieldError(f"{self.path}: train and {name} have different classes: {'; '.join(told)}", ("path",))

    def _check_readable(self, parts: dict[str, _folder.Part]) -> None:
        from dlx.images import listed

        lost = [f"{path} ({why})" for part in parts.values() for path, why in part.unreadable]
        images = sum(len(part.paths) for part in parts.values()) + len(lost)
        limit = self.unreadable if isinstance(self.unreadable, int) else math.ceil(self.unreadable * images)
        if len(lost) > limit:
            raise FieldError(
                f"{self.path}: {len(lost):,} of {_images(images)} cannot be read, and {limit:,} may be left out "
                f"(unreadable): {listed(lost)}",
                ("path",),
            )

    def _channels(self, parts: dict[str, _folder.Part]) -> int:
        if self.channels is not None:
            return self.channels
        return 1 if all(set(part.kinds) <= {"grey"} for part in parts.values()) else 3


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
