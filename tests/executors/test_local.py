"""What only separate processes can promise: whatever happens to one of them is its own trial's end."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dlx.devices import Gpu
from dlx.events import Event
from dlx.executors import Executor, Finished, Unit, executor
from dlx.executors.local import Queue
from dlx.interruption import Stop
from tests.executors.work import TABLE, Pretend, expected_table, make_unit, process_of
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def local(jobs: int = 2, timeout: float | None = None) -> Executor:
    return executor("local", {"jobs": jobs, "timeout": timeout, "grace": PATIENCE})


def run(place: Executor, units: list[Unit], stop: Stop | None = None) -> dict[int, Finished]:
    ends: list[Finished] = []

    def ignore(event: Event) -> None:
        return None

    ends += place.run(units, Pretend(), stop or Stop(), ignore)
    return {int(end.unit.directory.trial, 16): end for end in ends}


@posix
@pytest.mark.parametrize(
    ("reasons", "timeout", "rows"),
    [
        (
            {
                "be killed": r"its worker died: signal SIGKILL \(sent by the system too, when memory runs out\)",
                "crash": r"its worker died: signal SIGSEGV",
            },
            None,
            8,
        ),
        (
            dict.fromkeys(["hang", "be stopped"], r"no step for \d s \(--timeout 1\)"),
            1.0,
            0,  # a trial that has taken a step could be slow to end: it had to do so within the time-out
        ),
    ],
    ids=["dies", "hangs"],
)
def test_a_worker_that_dies_takes_its_trial_only(
    reasons: dict[str, str], timeout: float | None, rows: int, tmp_path: Path
) -> None:
    """Killed, crashed, hung in Python, stopped: for real, on a pool of two."""
    bad = [make_unit(tmp_path, number, does=does) for number, does in enumerate(reasons)]
    good = [make_unit(tmp_path, number, rows=rows, workers=2) for number in range(4, 10)]
    ends = run(local(timeout=timeout), bad + good)
    for end, reason in zip(bad, reasons.values(), strict=True):
        status = ends[int(end.directory.trial, 16)].status
        assert status is not None and (status.state, status.log) == ("failed", "log.txt")
        assert re.fullmatch(reason, status.reason or "")
        assert end.directory.table(TABLE).read_text() == expected_table(1), "its row is not on record"
    for unit in good:
        assert unit.directory.status().state == "done"
        assert not rows or unit.directory.table(TABLE).read_text() == expected_table(rows)
    pids = [{process_of(unit)["pid"] for unit in units} for units in (bad, good)]
    assert list(map(len, pids)) == [2, 2], "the pool did not come back to full strength"
    assert not pids[0] & pids[1]


@posix
def test_a_crash_leaves_its_stack_in_the_log(tmp_path: Path) -> None:
    unit = make_unit(tmp_path, 0, does="crash")
    run(local(1), [unit])
    log = unit.directory.log.read_text()
    assert "Segmentation fault" in log
    assert "_misbehave" in log


@posix
def test_an_idle_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number) for number in range(2)]
    ends = local(1).run(units, Pretend(), Stop(), lambda event: None)
    assert next(ends).unit is units[0]
    # The next unit was handed over at once: the kill may meet it, too.
    os.kill(process_of(units[0])["pid"], signal.SIGKILL)
    assert [end.unit for end in ends] == [units[1]]
    status = units[1].directory.status()
    assert status.state == "done" or "SIGKILL" in (status.reason or "")


@posix
@pytest.mark.slow
def test_a_worker_that_ends_without_a_word_is_missed(tmp_path: Path) -> None:
    ends = run(local(1), [make_unit(tmp_path, 0, does="vanish"), make_unit(tmp_path, 1)])
    assert ends[0].status is not None and ends[0].status.reason == "its worker ended without a word"
    assert ends[1].status is not None and ends[1].status.state == "done"


def test_workers_stay_warm(tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, workers=2) for number in range(10)]
    run(local(2), units)
    assert len({process_of(unit)["pid"] for unit in units}) == 2


def test_a_unit_begun_with_other_threads_gets_a_worker_with_these(tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, threads=threads) for number, threads in enumerate((1, 1, 3, 1))]
    ends = run(local(1), units)
    assert {end.status.state for end in ends.values() if end.status} == {"done"}
    pids = [process_of(unit)["pid"] for unit in units]
    assert pids[0] == pids[1] != pids[2] != pids[3]
    assert [process_of(unit)["threads"] for unit in units] == [1, 1, 3, 1]


def test_each_worker_sees_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.devices.gpus", lambda: (Gpu("GPU-aa"), Gpu("GPU-bb")))
    monkeypatch.setattr("dlx.devices.usable_cores", lambda: 4)
    units = [make_unit(tmp_path, number, workers=2) for number in range(6)]
    place = executor("local", {})
    assert place.threads(6) == 2
    run(place, units)
    workers = {process_of(unit)["pid"]: process_of(unit)["gpu"] for unit in units}
    assert sorted(workers.values()) == ["GPU-aa", "GPU-bb"]


def test_one_program_goes_to_one_worker_while_none_is_idle(tmp_path: Path) -> None:
    queue = Queue([make_unit(tmp_path, n, program=program) for n, program in enumerate("aaabbc")])
    taken = [queue.next(None, []), queue.next(None, ["a"]), queue.next("a", ["b"]), queue.next("b", ["a"])]
    assert [unit.program for unit in taken if unit] == ["a", "b", "a", "b"]
    assert [unit.program for unit in (queue.next("b", ["a"]),) if unit] == ["c"]
    assert [unit.program for unit in (queue.next("c", ["a"]),) if unit] == ["a"]
    assert queue.next("a", []) is None


SCRIPT = """
import sys
import threading
from pathlib import Path
from dlx.executors import executor
from dlx.interruption import Stop
from tests.executors.work import Pretend, make_unit

if __name__ == "__main__":
    units = [make_unit(Path(sys.argv[1]), number, rows=1_000_000, seconds=0.05) for number in range(4)]
    with Stop().listening() as stop:
        print("began", flush=True)
        for end in executor("local", {"jobs": 2}).run(units, Pretend(), stop, lambda event: None):
            print(end.unit.label, end.status.state, end.status.reason, flush=True)
"""


@posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_a_signal_to_everyone_or_to_the_parent(tmp_path: Path, sent: signal.Signals) -> None:
    """A terminal and a scheduler reach the whole group; what kills the parent does not reach its workers."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path], env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    units = [make_unit(tmp_path, number) for number in range(2)]
    until(lambda: all(unit.directory.table(TABLE).exists() for unit in units), every=0.05)
    if sent == signal.SIGKILL:
        parent.kill()
        reason = "the process that had started the worker ended"
    else:
        os.killpg(parent.pid, sent)
        os.killpg(parent.pid, sent)
        reason = f"stopped by {sent.name}"
    output, _ = parent.communicate(timeout=PATIENCE)
    until(lambda: not any(unit.directory.holder() for unit in units), every=0.05)
    for unit in units:
        status = unit.directory.status()
        assert (status.state, status.reason) == ("interrupted", reason)
        assert unit.directory.table(TABLE).read_text().endswith("\n")
    if sent != signal.SIGKILL:
        assert output.count(f"interrupted {reason}") == 2


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=posix)])
def test_a_worker_that_is_asked_to_stop_while_it_starts(killed: bool, tmp_path: Path) -> None:
    """The request waits for it; where it is killed before it hears (Ctrl-C reaches a whole group), for the next one."""
    unit = make_unit(tmp_path, 0, rows=1_000_000, seconds=0.1)
    stop = Stop()

    def strike() -> None:
        until(lambda: multiprocessing.active_children())
        for child in multiprocessing.active_children():
            child.kill()

    def begin(unit: Unit) -> bool:
        stop.request("stopped by SIGINT", 130)
        if killed:
            threading.Thread(target=strike).start()
        return True

    (end,) = local().run([unit], Pretend(), stop, lambda event: None, begin)
    assert end.status is not None
    assert (end.status.state, end.status.reason) == ("interrupted", "stopped by SIGINT")
