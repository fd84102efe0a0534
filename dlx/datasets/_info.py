"""What is known of a data set before any of it is read, and what becomes of that when parts are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dlx.errors import FieldError, nearest

Split = Literal["stratified", "shuffled", "ordered"]


@dataclass(frozen=True)
class DatasetInfo:
    """What a network and a check need to know of a data set, before any of it is read.

    ``input_shape`` is that of one example (height, width, channels for images);
    ``outputs`` is the number of classes, or of targets in a regression. ``train`` and
    ``test`` are the official sizes (``test`` 0: there is no test part). ``largest`` is the
    largest value that an input can take: what ``scaling: unit`` divides by.
    ``train_counts`` and ``test_counts`` are the examples of each class (empty where unknown,
    or in a regression). ``validation`` and ``validation_counts`` are those of an official
    validation part (0: there is none, it is held out of the training part). ``feature_names``
    and ``target_names`` are those of a table's columns (empty where there is none);
    ``indicators`` are the features that say 0 or 1 for a category and are never standardised.
    """

    input_shape: tuple[int, ...]
    task: Literal["classification", "regression"]
    outputs: int
    train: int
    test: int
    largest: float = 255.0
    class_names: tuple[str, ...] = ()
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    feature_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    indicators: tuple[int, ...] = ()
    validation: int = 0
    validation_counts: tuple[int, ...] = ()

    def name_of(self, label: int) -> str:
        """What people call a class."""
        return self.class_names[label] if self.class_names else str(label)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every class."""
        return tuple(map(self.name_of, range(self.outputs)))


def allocate(
    counts: tuple[int, ...], held: int, names: Sequence[str] = (), part: Literal["validation", "test"] = "validation"
) -> tuple[int, ...]:
    """How many of each class are held out, ``held`` in all: shares by the largest remainder.

    ``counts`` are the examples of each class; equal remainders go to the lower class.
    Classes without examples are left out. Raises :class:`~dlx.errors.FieldError` (path
    ``part``) where a class would be missing from either side.
    """
    total = sum(counts)
    shares = [held * count // total for count in counts]
    by_remainder = sorted(range(len(counts)), key=lambda label: (-(held * counts[label] % total), label))
    for label in by_remainder[: held - sum(shares)]:
        shares[label] += 1
    for label, (count, share) in enumerate(zip(counts, shares, strict=True)):
        if count and not 0 < share < count:
            side = "training" if share else part
            called = repr(names[label]) if names else label
            raise FieldError(
                f"class {called} has {count} of the {total} examples, too few to be in both parts when {held} "
                f"{'is' if held == 1 else 'are'} held out (none would be left for {side}); hold out another number, "
                "or use split: shuffled",
                (part,),
            )
    return tuple(shares)


def share(of: float, examples: int, part: Literal["validation", "test"]) -> int:
    """How many of ``examples`` a count or a fraction is; :class:`~dlx.errors.FieldError` if impossible."""
    held = round(of * examples) if isinstance(of, float) else of
    if of and not held:
        raise FieldError(f"{of} of {examples} examples is less than one", (part,))
    if held >= examples:
        raise FieldError(f"{held} of {examples} examples held out leave none to train on", (part,))
    return held


def class_numbers(info: DatasetInfo, classes: Sequence[int | str]) -> list[int]:
    """The numbers of classes given by name, or by number; raises :class:`~dlx.errors.FieldError`."""
    if info.task != "classification":
        raise FieldError("are for classification, and this is a regression", ("classes",))
    by_name = {name: number for number, name in enumerate(info.names)}
    found: list[int] = []
    for position, wanted in enumerate(classes):
        number = by_name.get(str(wanted))
        if number is None and isinstance(wanted, int) and 0 <= wanted < info.outputs:
            number = wanted
        if number is None:
            hint = nearest(str(wanted), info.names)
            raise FieldError(f"there is no class {wanted!r} ({hint})", ("classes", position))
        if number in found:
            raise FieldError(f"the class {wanted!r} is there twice", ("classes", position))
        found.append(number)
    return found


def picked(info: DatasetInfo, numbers: Sequence[int]) -> DatasetInfo:
    """A classification set with some of its classes only, numbered anew in the order given."""
    known = info.train_counts and (info.test_counts or not info.test)
    known = known and (info.validation_counts or not info.validation)
    if not known:
        raise FieldError("how many examples each class has is not known before this set is read", ("classes",))

    def of(counts: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(counts[number] for number in numbers) if counts else ()

    train, test, validation = of(info.train_counts), of(info.test_counts), of(info.validation_counts)
    for position, count in enumerate(train):
        if not count:
            raise FieldError(f"class {info.name_of(numbers[position])!r} has no training examples", ("classes",))
    return replace(
        info,
        outputs=len(numbers),
        train=sum(train),
        test=sum(test),
        class_names=tuple(info.name_of(number) for number in numbers),
        train_counts=train,
        test_counts=test,
        validation=sum(validation),
        validation_counts=validation,
    )


def resized(info: DatasetInfo, size: tuple[int, int]) -> DatasetInfo:
    """A set of images with all of them brought to a height and a width; raises :class:`~dlx.errors.FieldError`."""
    if len(info.input_shape) != 3:
        shape = "x".join(map(str, info.input_shape))
        raise FieldError(f"is for images (height, width, channels), and the data have shape {shape}", ("resize",))
    return replace(info, input_shape=(*size, info.input_shape[2]))


def kept_counts(info: DatasetInfo, fractions: Mapping[str, float]) -> tuple[int, ...]:
    """Training examples of each class where of some only a fraction is kept; :class:`~dlx.errors.FieldError`."""
    if info.task != "classification":
        raise FieldError("is for classification, and this is a regression", ("imbalance",))
    if not info.train_counts:
        raise FieldError("how many examples each class has is not known before this set is read", ("imbalance",))
    counts = list(info.train_counts)
    seen: set[int] = set()
    for key, fraction in fractions.items():
        label = info.names.index(key) if key in info.names else int(key) if key.isdecimal() else -1
        if not 0 <= label < info.outputs:
            raise FieldError(f"there is no class {key!r} ({nearest(key, info.names)})", ("imbalance", key))
        if label in seen:
            raise FieldError(f"the class {info.name_of(label)!r} is there twice", ("imbalance", key))
        seen.add(label)
        counts[label] = round(fraction * counts[label])
        if not counts[label]:
            raise FieldError(
                f"{fraction:g} of the {info.train_counts[label]} training examples of class {info.name_of(label)!r} "
                "is less than one",
                ("imbalance", key),
            )
    return tuple(counts)


def thinned(info: DatasetInfo, counts: tuple[int, ...]) -> DatasetInfo:
    """A classification set with so many training examples of each class."""
    return replace(info, train=sum(counts), train_counts=counts)


def test_drawn(info: DatasetInfo, test: float, split: Split) -> DatasetInfo:
    """A set without a test part of its own, with one drawn from its examples."""
    held = share(test, info.train, "test")
    if not held:
        return info
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    if split == "stratified" and info.train_counts:
        test_counts = allocate(info.train_counts, held, info.names, "test")
        train_counts = tuple(count - each for count, each in zip(info.train_counts, test_counts, strict=True))
    return replace(info, train=info.train - held, test=held, train_counts=train_counts, test_counts=test_counts)


def rejoined(info: DatasetInfo) -> DatasetInfo:
    """A set whose test part was drawn once for all, with that part put back."""
    counts = tuple(a + b for a, b in zip(info.train_counts, info.test_counts, strict=True))
    return replace(info, train=info.train + info.test, test=0, train_counts=counts, test_counts=())
