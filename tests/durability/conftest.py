"""What the tests of durability share: a place to run in, what an undisturbed run leaves, and an interrupted one."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.durability.proof import SPECS, command, differences, trials

if sys.platform == "win32":
    collect_ignore_glob = ["test_*"]


@dataclass
class Ground:
    """A results directory of its own, and one spec to run there."""

    path: Path
    spec: Path = SPECS / "dropout.yaml"
    log: Path | None = None

    @property
    def results(self) -> Path:
        return self.path / "results"

    def dlx(self, *more: str, **options: Any) -> Any:
        """The spec's command line, begun in a fork."""
        from tests.forks import Dlx

        return Dlx(command(self.spec, self.results, *more), self.log or self.path / "log.txt", **options)

    def run(self, *more: str, **options: Any) -> tuple[int, str]:
        """The same to its end: exit code and what it wrote."""
        begun = self.dlx(*more, **options)
        return begun.wait(), begun.output

    @property
    def trial(self) -> Path:
        """The directory of the one trial."""
        (directory,) = trials(self.results).values()
        return directory

    def status(self, trial: Path | None = None) -> dict[str, Any]:
        """What ``status.json`` says, of the one trial or a given one."""
        content: dict[str, Any] = json.loads(((trial or self.trial) / "status.json").read_bytes())
        return content

    def checkpoints(self) -> list[Path]:
        """The trial's checkpoints, oldest first."""
        return sorted(self.trial.glob("checkpoints/[0-9]*[0-9]"))

    def has_checkpoints(self, number: int = 1) -> bool:
        """Whether at least so many are there."""
        return len(list(self.results.glob("*/trials/*/checkpoints/[0-9]*[0-9]"))) >= number


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    from tests.forks import kill_all

    yield
    kill_all()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the spec ``dropout`` leaves when nothing happens."""
    ground = Ground(tmp_path_factory.mktemp("undisturbed"))
    code, output = ground.run()
    assert code == 0, output
    return ground.results


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial that was asked to stop after a few checkpoints."""
    ground = Ground(tmp_path_factory.mktemp("stopped"))
    run = ground.dlx(held=2)
    run.is_held()
    run.send(signal.SIGTERM)
    run.go_on()
    assert run.wait() == 143, run.output
    return ground.results


@pytest.fixture
def interrupted(ground: Ground, stopped: Path) -> Ground:
    """A copy of that trial, to do with as one likes."""
    shutil.copytree(stopped, ground.results)
    return ground


@pytest.fixture
def same(undisturbed: Path) -> Callable[..., None]:
    """Check that a ground holds what an undisturbed run leaves."""

    def check(ground: Ground, *, notes: bool = False) -> None:
        assert differences(undisturbed, ground.results, notes=notes) == []

    return check
