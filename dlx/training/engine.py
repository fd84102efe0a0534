"""The engine contract: a backend that compiles stages into programs and keeps them."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from dlx.errors import DlxError, UsageError, nearest

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.stages import Stage
    from dlx.training.program import Program

KEPT_PROGRAMS = 4


class NotPacked(DlxError):
    """These trials cannot train together; ``fewer``: fewer of them could."""

    def __init__(self, message: str, *, fewer: bool = False) -> None:
        super().__init__(message)
        self.fewer = fewer


class Engine(ABC):
    """One backend in this process, with as many threads as it was started with.

    ``devices``: among how many the programs that it compiles divide a batch.
    """

    name: str

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.devices = 1
        self._programs: dict[str, Program] = {}

    @abstractmethod
    def compile(self, stage: Stage, batch_size: int, *, watch: bool) -> Program:
        """A program for a stage, without data; what XLA compiles, it compiles at the first step."""

    @abstractmethod
    def out_of_memory(self, error: BaseException) -> str | None:
        """A sentence if an error of the backend means that memory ran out, else None."""

    @abstractmethod
    def device(self) -> str:
        """The kind of device, on which a trial's bytes depend: ``cpu``, or the name of the GPU."""

    @abstractmethod
    def count(self) -> int:
        """Devices of that kind in this process."""

    def on(self, devices: int) -> Self:
        """The engine, which from now on divides each batch among so many devices.

        Raises :class:`~dlx.errors.UsageError` where there are not so many.
        """
        if devices != self.devices and devices > (there := self.count()):
            here = f"{there} of kind {self.device()}"
            raise UsageError(f"a trial is to train on {devices} devices, and this process has {here}")
        self.devices = devices
        return self

    def program(
        self,
        signature: str,
        build: Callable[[], Stage],
        splits: Splits,
        batch_size: int,
        *,
        watch: bool,
        keep: int = 1,
    ) -> Program:
        """The program of a stage on these data, compiled or taken from an earlier trial with the same signature.

        ``keep``: stages of the trial, whose programs the next seed needs again.
        """
        signature = f"{signature}/{batch_size}/{watch}/{len(splits.train)}/{self.devices}"
        return self._kept(signature, lambda: self.compile(build(), batch_size, watch=watch), splits, keep)

    def agree(self, value: Any, choose: Callable[[Sequence[Any]], Any]) -> Any:
        """One value for all trials that train together, chosen from what each of them gives; alone, its own."""
        return value

    def pack(
        self,
        signatures: Sequence[str],
        builds: Sequence[Callable[[], Stage]],
        splits: Splits,
        batch_size: int,
        *,
        watch: bool,
        keep: int = 1,
    ) -> Any:
        """The program of trials that train together, one signature and stage per lane.

        Raises :class:`NotPacked` where they cannot.
        """
        raise NotPacked(f"the {self.name} engine trains one trial at a time")

    def _kept(self, signature: str, make: Callable[[], Program], splits: Splits, keep: int) -> Program:
        if signature not in self._programs:
            # The seeds of a setting share one; keeping all of a long sweep would fill the memory.
            while len(self._programs) >= max(KEPT_PROGRAMS, keep):
                self._programs.pop(next(iter(self._programs)))
            self._programs[signature] = make()
        program = self._programs[signature]
        program.attach(splits)
        return program

    def forget(self) -> None:
        """Let go of all programs and of the data that they keep on the device."""
        self._programs.clear()


def load_engine(name: str, threads: int | None) -> Engine:
    """The engine of this process, made once; its backend is imported here and nowhere earlier.

    Raises :class:`~dlx.errors.UsageError` for an unknown engine, one whose backend is not
    installed, or a second engine in one process.
    """
    if name not in _MODULES:
        raise UsageError(f"unknown engine {name!r}", hint=nearest(name, _MODULES))
    if _loaded and name not in _loaded:
        raise UsageError(f"this process already trains with {next(iter(_loaded))}; one process has one engine")
    if name not in _loaded:
        try:
            module = importlib.import_module(_MODULES[name])
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] in ("dlx", "keras"):
                raise
            raise UsageError(
                f"the {name} engine needs {error.name}, which is not installed", hint=_INSTALL[name]
            ) from None
        _loaded[name] = module.start(threads)
    return _loaded[name]


_MODULES = {"tensorflow": "dlx.training.tensorflow", "jax": "dlx.training.jax"}
_INSTALL = {"tensorflow": "pip install tensorflow", "jax": "pip install 'dlx[jax]'"}
_loaded: dict[str, Engine] = {}
