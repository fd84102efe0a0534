"""Data, home and clock that are not as they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.conftest import Ground
from tests.durability.proof import command
from tests.forks import ROOT
from tests.waiting import PATIENCE

BACKWARDS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
/* The wall clock loses an hour each time that it is looked at; the monotonic one is left alone. */
static long lost;
int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec -= 3600 * ++lost;
    return result;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *out, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def ordinary(ground: Ground, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that is no fork: what its libraries do at their start happens in these surroundings too."""
    return subprocess.run(
        [sys.executable, "-m", "dlx", *command(ground.spec, ground.results)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.slow
def test_the_wall_clock_runs_backwards(interrupted: Ground, same: Callable[..., None], tmp_path: Path) -> None:
    """The trial was begun in what is now the future, and every look at the clock makes it earlier."""
    source, library = tmp_path / "backwards.c", tmp_path / "backwards.so"
    source.write_text(BACKWARDS)
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler, and a loader that knows LD_PRELOAD")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    run = ordinary(interrupted, LD_PRELOAD=str(library))
    assert run.returncode == 0, run.stderr
    first, second = interrupted.status()["attempts"]
    assert second["started"] < first["started"], "the clock did jump"
    assert second["ended"] < second["started"]
    assert second["number"] == 2
    same(interrupted)


@pytest.mark.slow
def test_no_home(ground: Ground, same: Callable[..., None]) -> None:
    nowhere = str(ground.path / "a file" / "home")
    (ground.path / "a file").write_text("")
    run = ordinary(ground, HOME=nowhere, XDG_CACHE_HOME=nowhere, XDG_CONFIG_HOME=nowhere)
    assert run.returncode == 0, run.stderr
    same(ground)


@pytest.mark.data
def test_data_that_were_damaged_on_the_disk(ground: Ground) -> None:
    data = ground.path / "data"
    data.mkdir()
    content = bytearray((Path(os.environ["DLX_DATA"]) / "mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (data / "mnist.npz").write_bytes(content)
    code, output = ground.run("--set", "dataset=mnist", "--data-dir", str(data), environment={"DLX_DATA": ""})
    assert code == 2
    assert str(data / "mnist.npz") in output, "which file"
    assert "move it away" in output or "--download" in output, "what to do"
    assert "Traceback" not in output
    assert ground.status()["state"] == "interrupted"
    assert not list(ground.trial.glob("metrics.csv")), "before training"
