"""Parts of the examples held out for testing in turn: folds, and draws that are repeated.

What is in a fold depends on the repeat, the number of folds and the labels alone: it is the
same for every setting and every seed, so that these are compared on the same examples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dlx.datasets import _info
from dlx.datasets._info import DatasetInfo, allocate
from dlx.errors import FieldError

if TYPE_CHECKING:
    from dlx.sources import Array, Indices

_KEY = 0x646C78_464F_4C44
_KEY_OF_HOLDOUT = 0x646C78_484F_4C44


@dataclass(frozen=True)
class Fold:
    """One part that is held out: number ``fold`` of ``folds``, or a draw of ``test`` examples (a count or a fraction).

    ``repeat``: which of the divisions, from 0. ``stratified``: as many of each class in every part as can be.
    """

    repeat: int
    stratified: bool
    fold: int | None = None
    folds: int | None = None
    test: int | float | None = None

    @property
    def overlap(self) -> float:
        """Examples tested on for each one trained on, those for validation counted as trained on.

        What the correction of Nadeau and Bengio (2003) depends on.
        """
        if self.folds is not None:
            return 1 / (self.folds - 1)
        assert isinstance(self.test, float)
        return self.test / (1 - self.test)

    @property
    def sound(self) -> bool:
        """Whether the numbers are such as can be, wherever they were read from."""
        if type(self.repeat) is not int or self.repeat < 0 or type(self.stratified) is not bool:
            return False
        if self.folds is None:
            return self.fold is None and isinstance(self.test, float) and 0.0 < self.test < 1.0
        return type(self.folds) is int and type(self.fold) is int and 0 <= self.fold < self.folds >= 2

    def identity(self, task: str) -> dict[str, Any]:
        """What of it determines what is trained; the first repeat is that of a division made only once."""
        found: dict[str, Any] = {"test": self.test} if self.folds is None else {"folds": self.folds, "fold": self.fold}
        if self.repeat:
            found["repeat"] = self.repeat
        if self.stratified != (task == "classification"):
            found["stratified"] = self.stratified
        return found

    def plain(self) -> dict[str, Any]:
        """The protocol as ``trial.yaml`` has it, which all folds share."""
        how = {"test": self.test} if self.folds is None else {"folds": self.folds}
        return {**how, "stratified": self.stratified}

    def info(self, info: DatasetInfo) -> DatasetInfo:
        """The sizes where this is held out of a set without a test part.

        Raises :class:`~dlx.errors.FieldError`, relative to the protocol, where that cannot be.
        """
        if self.stratified and info.task != "classification":
            raise FieldError("needs classes, and this is a regression: stratified: false", ("stratified",))
        if self.stratified and not info.train_counts:
            message = "how many examples each class has is not known before this set is read: stratified: false"
            raise FieldError(message, ("stratified",))
        if self.folds is None:
            return self._drawn(info)
        if self.folds > info.train:
            raise FieldError(f"{self.folds} folds of {info.train} examples leave some of them empty", ("folds",))
        if not self.stratified:
            held = len(range(self.fold or 0, info.train, self.folds))
            return replace(info, train=info.train - held, test=held, train_counts=(), test_counts=())
        self._enough(info)
        counts = self._counts(info.train_counts)
        rest = tuple(all_ - mine for all_, mine in zip(info.train_counts, counts, strict=True))
        return replace(info, train=sum(rest), test=sum(counts), train_counts=rest, test_counts=counts)

    def divided(self, targets: Array, info: DatasetInfo) -> tuple[Indices, Indices]:
        """(trained on, held out) of the examples with these targets, in original order."""
        import numpy as np

        from dlx.datasets._division import hold_out_shuffled, hold_out_stratified, ranks

        if self.folds is None:
            held, key = self.info(info).test, _KEY_OF_HOLDOUT + (self.repeat << 64)
            if not self.stratified:
                kept, out = hold_out_shuffled(len(targets), held, key)
                return np.sort(kept), np.sort(out)
            return hold_out_stratified(targets, allocate(info.train_counts, held, info.names, "test"), key)
        drawn = ranks(len(targets), _KEY + (self.repeat << 64))
        # Class by class, at random within each, dealt to the folds in turn: every part has its share of each class,
        # to within one example, and so has every fold of all.
        order = np.lexsort((drawn, targets)) if self.stratified else np.argsort(drawn, kind="stable")
        held_out = np.zeros(len(targets), bool)
        held_out[order[self.fold :: self.folds]] = True
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _drawn(self, info: DatasetInfo) -> DatasetInfo:
        try:
            return _info.test_drawn(info, self.test or 0, "stratified" if self.stratified else "shuffled")
        except FieldError as error:
            message = error.message.replace("use split: shuffled", "use stratified: false")
            raise FieldError(message, ("test",)) from None

    def _enough(self, info: DatasetInfo) -> None:
        least, label = min((count, label) for label, count in enumerate(info.train_counts) if count)
        assert self.folds is not None
        if least < self.folds:
            most = f"folds: {least} at most, or " if least > 1 else ""
            raise FieldError(
                f"class {info.names[label]!r} has {least} of the {info.train} examples, too few for each of "
                f"{self.folds} folds to have one ({most}stratified: false)",
                ("folds",),
            )

    def _counts(self, counts: tuple[int, ...]) -> tuple[int, ...]:
        """Examples of each class in this fold, as :meth:`divided` deals them."""
        assert self.folds is not None and self.fold is not None
        found, start = [], 0
        for count in counts:
            first = start + (self.fold - start) % self.folds
            found.append(len(range(first, start + count, self.folds)))
            start += count
        return tuple(found)
