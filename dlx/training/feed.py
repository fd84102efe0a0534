"""Training examples on their way to the device, in windows of whole steps.

Data that fit stay on the device and the order of an epoch is an index into them. Data that
do not are read a window ahead, in a thread, in the order of the epoch: the same compiled
step then runs over the window, so that resident and streamed training give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from dlx.sources import resident_limit

if TYPE_CHECKING:
    from dlx.sources import Source, View

WINDOW_BYTES = 16 << 20
AHEAD = 3
"""Windows read ahead of the one whose steps are running: decoding images takes time, and not always the same."""

Arrays = tuple[np.ndarray, np.ndarray]


def resident_arrays(source: Source) -> Arrays | None:
    """The inputs and targets of a part that is kept on the device whole, None for one that is streamed."""
    return source.arrays if source.nbytes <= resident_limit() else None


class Stream:
    """A part read in windows of about 16 MiB, a few ahead of the step that is running.

    Windows are aligned to multiples of ``length`` steps from the beginning of the epoch, and
    all have the same shape, the rest of the last one being zeros that no step looks at. They are
    given to the device (``to_device``) by the thread that reads them, so that no step waits for that.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        view: View | None = None,
        to_device: Callable[[np.ndarray], Any] = np.asarray,
    ) -> None:
        self._source = source
        self._to_device = to_device
        self._view = view
        self._batch_size = batch_size
        per_example = max(1, source.nbytes // max(1, len(source)))
        self.length = max(1, WINDOW_BYTES // (per_example * batch_size))
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dlx-feed")
        self._pending: dict[int, Future[tuple[Any, Any]]] = {}
        self._order = np.empty(0, dtype=np.int32)
        self._draws: np.ndarray | None = None

    def begin_epoch(self, order: np.ndarray, draws: np.ndarray | None = None) -> None:
        """Forget what was read ahead and visit the examples in this order; ``draws``: of each, for its view."""
        for future in self._pending.values():
            future.cancel()
        self._pending = {}
        self._order = order
        self._draws = draws

    def windows(self, lo: int, hi: int) -> Iterator[tuple[int, int, int, tuple[Any, Any]]]:
        """What steps lo … hi−1 need: (window's first step, lo, hi within it, (inputs, targets))."""
        for number in range(lo // self.length, -(-hi // self.length)):
            first = number * self.length
            yield first, max(lo, first), min(hi, first + self.length), self._window(number)

    def _window(self, number: int) -> tuple[Any, Any]:
        # The current window stays until the next is asked for: a chunk may end inside it.
        self._pending = {key: future for key, future in self._pending.items() if key >= number}
        for key in range(number, number + 1 + AHEAD):
            if key not in self._pending and key * self.length * self._batch_size < len(self._order):
                self._pending[key] = self._reader.submit(self._read, self._order, self._draws, key)
        return self._pending[number].result()

    def _read(self, order: np.ndarray, draws: np.ndarray | None, number: int) -> tuple[Any, Any]:
        rows = self.length * self._batch_size
        wanted = order[number * rows : (number + 1) * rows]
        if self._view is None or draws is None:
            inputs, targets = self._source.read(wanted)
        else:
            inputs, targets = self._source.view(wanted, self._view, draws[wanted])
        return self._to_device(_padded(inputs, rows)), self._to_device(_padded(targets, rows))


def read_ahead(source: Source, ranges: Iterable[tuple[int, int]]) -> Iterator[Arrays]:
    """The examples from begin to end of each range, the next being read while one is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dlx-feed") as reader:
        following: Future[Arrays] | None = None
        for begin, end in ranges:
            found, following = following, reader.submit(source.read, np.arange(begin, end))
            if found is not None:
                yield found.result()
        if following is not None:
            yield following.result()


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    if len(rows) == length:
        return rows
    whole = np.zeros((length, *rows.shape[1:]), dtype=rows.dtype)
    whole[: len(rows)] = rows
    return whole
