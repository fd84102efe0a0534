"""The open set of executors: where trials run. They know directories and a callable, and nothing of deep learning.

A member is a module with a class ``Spec``: its options, and ``run``. What is in the results
directory is the only truth, whichever executor worked on it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from dlx.errors import UsageError, nearest
from dlx.fields import MemberFields
from dlx.registry import OpenSet

if TYPE_CHECKING:
    from dlx.events import Observer
    from dlx.interruption import Stop
    from dlx.records.status import Status
    from dlx.records.trial_directory import TrialDirectory


@dataclass(frozen=True)
class Unit:
    """A trial to run: its directory, which holds a ``trial.yaml``, and what people call it.

    ``seen`` is its last attempt when it was decided to run it: one that another process has
    ended since is left alone. ``threads``: of the backend (None: all cores). Units with the
    same ``program`` are worth running in one process, which then compiles once. ``companions``
    are trials that train together with it, in one process and at the same time. ``devices`` of
    one machine divide its batches among them.
    """

    directory: TrialDirectory
    label: str
    seen: int = 0
    threads: int | None = None
    program: str = ""
    companions: tuple[Unit, ...] = ()
    devices: int = 1

    @property
    def members(self) -> tuple[Unit, ...]:
        """Every trial of the unit by itself, this one first."""
        return (replace(self, companions=()), *self.companions) if self.companions else (self,)


@dataclass(frozen=True)
class Finished:
    """What became of a unit. ``status`` is None where another process works on the trial: ``held`` says who.

    ``told``: whoever watches knows that already.
    """

    unit: Unit
    status: Status | None
    held: str | None = None
    told: bool = False


class Work(Protocol):
    """What is done with a unit, here or in another process (it can be pickled).

    Takes the trial's directory, leaves its last word there, and asks ``stop`` between steps.
    Raises :class:`~dlx.records.ownership.Held` where another process works on the trial.
    """

    def __call__(self, unit: Unit, stop: Stop, observe: Observer) -> Mapping[str, str]:
        """Run the unit to its end, or as far as it gets.

        Of a unit with companions, gives by trial who else works on it.
        """

    def forget(self) -> None:
        """Let go of what this process keeps from one unit for the next."""


def always(unit: Unit) -> bool:
    """Every unit may begin."""
    return True


TIMEOUT = Field(
    default=None,
    gt=0.0,
    allow_inf_nan=False,
    description="seconds without a step after which a trial is ended and counts as failed; before its first "
    "step it has two minutes more, to load and to compile (default: never)",
)
GRACE = Field(
    default=30.0,
    ge=0.0,
    allow_inf_nan=False,
    description="seconds that running trials have to save themselves when they are asked to stop",
)
"""Options of executors whose trials are in processes of their own."""


class Executor(MemberFields):
    """The contract: run units, in any order, and tell of each when it ends.

    ``packs``: whether it takes units with companions; it then tells of each of them.
    """

    packs: ClassVar[bool] = False

    @abstractmethod
    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        """Every unit's end, as it comes; after a request to stop, those that had begun and no more.

        ``may_begin`` is asked before each unit begins; one that may not is left as it is.
        Whoever closes the iterator early ends what is running, in order.
        """

    def ready(self) -> None:
        """Asked before anything is created: raises :class:`~dlx.errors.UsageError` where nothing could be run."""

    def require(self, devices: int) -> None:
        """Asked before anything is created, of trials with several devices each.

        Raises :class:`~dlx.errors.UsageError` where no trial can have so many.
        """
        if devices > 1:
            raise UsageError(f"the executor {getattr(self, 'name', '')} gives a trial one device, not {devices}")

    def at_work(self, directories: Sequence[TrialDirectory]) -> set[str]:
        """The trials that jobs of earlier runs have: what runs there is waited for, not left alone."""
        return set()

    @abstractmethod
    def threads(self, trials: int, devices: int = 1) -> int:
        """Threads of each of an experiment's trials (done or not), on so many devices, where nobody says.

        Executors on this machine agree on them, so that a trial's bytes do not depend on where it ran.
        """


registry: OpenSet[Executor] = OpenSet("executor", "dlx.executors", Executor)


def executor(name: str, options: Mapping[str, Any]) -> Executor:
    """The executor of that name with its options, of which None means not given.

    Raises :class:`~dlx.errors.UsageError` for an unknown name, and for an option that it
    does not have or cannot take, by the name of the flag.
    """
    from pydantic import ValidationError

    member = registry.get(name)
    given = {option: value for option, value in options.items() if value is not None}
    known = member.model_fields.keys() - {"name"}
    for option in given:
        if option not in known:
            flags = [_flag(each) for each in known]
            raise UsageError(f"executor {name!r} has no option {_flag(option)}", hint=nearest(_flag(option), flags))
    try:
        return member(name=name, **given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        raise UsageError(
            f"{_flag(option)} {given.get(option)}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        ) from error


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
