"""Two processes on one results directory: each trial is done once, and the second says who has it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from dlx.devices import usable_cores
from tests.durability.conftest import Ground
from tests.durability.proof import trials


def test_the_second_names_the_holder_and_goes_on_with_other_trials(ground: Ground) -> None:
    # All cores for each trial, so that each process has one at a time.
    two_trials = ("--seeds", "2", "--threads", str(usable_cores()))
    first = ground.dlx(*two_trials, held=1)
    first.is_held()
    code, output = ground.run(*two_trials)
    first.go_on()
    assert first.wait() == code == 0
    assert f"seed=0: is being worked on by process {first.pid} on {socket.gethostname()}, since 20" in output
    attempts = [ground.status(directory)["attempts"] for directory in trials(ground.results).values()]
    assert [len(each) for each in attempts] == [1, 1], "nothing was done twice"
    assert [each[0]["pid"] == first.pid for each in attempts].count(True) == 1, "the second did something"


def test_a_stopped_process_keeps_its_trial(ground: Ground, same: Callable[..., None]) -> None:
    """One that hangs (here: SIGSTOP) still owns its trial; once it is killed, the next takes over."""
    first = ground.dlx(held=1)
    first.is_held()
    code, output = ground.run()
    assert code == 0
    assert f"process {first.pid}" in output
    assert ground.status()["state"] == "running"
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert ground.run()[0] == 0
    same(ground)
    assert os.path.lexists(ground.trial / "lock")
