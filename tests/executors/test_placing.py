"""Which executor a run takes and with how many threads; when it begins no more trials; options refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlx import devices, schedule
from dlx.devices import Gpu
from dlx.errors import UsageError
from dlx.executors import Executor, Unit, executor
from dlx.records.status import Status
from dlx.schedule import Failures, Options
from dlx.worker import Runtime
from tests.executors.work import make_unit

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Eight cores, 64 GiB, no GPU; or as a test says."""

    def be(cores: int = 8, memory: int = 64 * GIB, gpus: int = 0) -> None:
        monkeypatch.setattr(devices, "usable_cores", lambda: cores)
        monkeypatch.setattr(devices, "usable_memory", lambda: memory)
        monkeypatch.setattr(devices, "gpus", lambda: tuple(Gpu(f"GPU-{n}") for n in range(gpus)))

    be()
    return be


@pytest.mark.parametrize(
    ("trials", "given", "workers", "threads"),
    [
        (1, {}, 1, 8),
        (2, {}, 2, 4),
        (3, {}, 3, 2),
        (40, {}, 8, 1),
        (40, {"threads": 2}, 4, 2),
        (40, {"threads": 16}, 1, 16),
        (40, {"jobs": 2}, 2, 4),
        (1, {"jobs": 4}, 4, 2),
        (40, {"jobs": 3, "threads": 5}, 3, 5),
        (40, {"jobs": 100}, 100, 1),
    ],
)
def test_cores_are_divided(machine: Any, trials: int, given: dict[str, int], workers: int, threads: int) -> None:
    found = devices.layout(trials, **given)
    assert (len(found.shares), found.threads) == (workers, threads)


def test_memory_bounds_the_workers(machine: Any) -> None:
    machine(cores=64, memory=6 * GIB)
    assert len(devices.layout(100).shares) == 6


@pytest.mark.parametrize(
    ("trials", "given", "shown"),
    [
        (1, {}, ["GPU-0"]),
        (9, {}, ["GPU-0", "GPU-1"]),
        (9, {"per_gpu": 2}, ["GPU-0", "GPU-1", "GPU-0", "GPU-1"]),
        (3, {"per_gpu": 2}, ["GPU-0", "GPU-1", "GPU-0"]),
        (9, {"per_gpu": 2, "jobs": 1}, ["GPU-0"]),
    ],
)
def test_gpus_are_divided(machine: Any, trials: int, given: dict[str, int], shown: list[str]) -> None:
    machine(gpus=2)
    found = devices.layout(trials, **given)
    assert [gpu.identity for share in found.shares for gpu in share.gpus] == shown
    assert found.threads == 8 // len(shown)


@pytest.mark.parametrize(
    ("trials", "given", "shown"),
    [
        (9, {"devices": 2}, [["GPU-0", "GPU-1"], ["GPU-2", "GPU-3"]]),
        (1, {"devices": 2}, [["GPU-0", "GPU-1"]]),
        (9, {"devices": 3}, [["GPU-0", "GPU-1", "GPU-2"]]),
        (9, {"devices": 2, "jobs": 1}, [["GPU-0", "GPU-1"]]),
    ],
)
def test_a_trial_gets_several_gpus(machine: Any, trials: int, given: dict[str, int], shown: list[list[str]]) -> None:
    machine(gpus=5)
    found = devices.layout(trials, **given)
    assert [[gpu.identity for gpu in share.gpus] for share in found.shares] == shown
    assert found.threads == 8 // len(shown)
    devices.require(5)
    with pytest.raises(UsageError, match=r"6 devices.*5 GPUs"):
        devices.require(6)


@pytest.mark.parametrize(
    ("visible", "shown"),
    [
        (None, ["GPU-aa", "GPU-bb"]),
        ("", []),
        ("-1", []),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("0,7,1", ["0"]),
        ("GPU-b", ["GPU-bb"]),
    ],
)
def test_gpus_that_are_hidden_are_not_used(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, shown: list[str]
) -> None:
    monkeypatch.setattr(devices, "_nvml", lambda: (Gpu("GPU-aa"), Gpu("GPU-bb")))
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert [gpu.identity for gpu in devices.gpus(environment)] == shown


def test_slurm_asks_for_the_gpus_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLX_VIRTUAL_DEVICES", raising=False)
    plain, given = executor("slurm", {}), executor("slurm", {"gpus": 8, "cpus": 16})
    assert [plain._gpus(1), plain._gpus(4), given._gpus(4)] == [0, 4, 8]  # type: ignore[attr-defined]
    assert given.threads(9, 4) == 8  # two trials at a time
    given.require(8)
    with pytest.raises(UsageError, match=r"16 devices.*--gpus 8"):
        given.require(16)
    for options in ({"nodes": 2}, {"ntasks-per-node": 4}):
        with pytest.raises(UsageError, match="one trial trains on the devices of one machine"):
            executor("slurm", {"options": options})
    executor("slurm", {"options": {"nodes": 1, "qos": "low"}})


def test_quotas_of_cgroups_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inner = tmp_path / "job"
    inner.mkdir()
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text(str(3 * GIB))
    monkeypatch.setattr(devices, "_cgroups", lambda controller: iter([inner, tmp_path]))
    assert devices.usable_cores() == 1
    assert devices.usable_memory() == 3 * GIB


def placed(options: Options, trials: int, units: list[Unit]) -> tuple[Executor, list[int | None]]:
    one = SimpleNamespace(id="", setting=SimpleNamespace(training=SimpleNamespace(devices=1)))
    chosen, ready = schedule._placed(None, options, [one] * trials, units)  # type: ignore[list-item]
    return chosen, [unit.threads for unit in ready]


@pytest.mark.parametrize(
    ("left", "options", "name", "threads"),
    [
        (1, {}, "inline", 1),  # of forty: the threads are those of the others
        (5, {}, "local", 1),
        (5, {"runtime": Runtime(threads=8)}, "inline", 8),
        (1, {"executor_options": {"timeout": 60.0}}, "local", 1),
        (5, {"executor_options": {"jobs": None}}, "local", 1),
        (5, {"executor_options": {"jobs": 2}}, "local", 4),
    ],
)
def test_the_executor_that_suits(
    machine: Any, tmp_path: Path, left: int, options: dict[str, Any], name: str, threads: int
) -> None:
    units = [make_unit(tmp_path, number) for number in range(left)]
    chosen, each = placed(Options(**options), 40, units)
    assert (chosen.name, set(each)) == (name, {threads})


def test_trials_that_go_on_keep_their_threads(machine: Any, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, threads=threads) for number, threads in enumerate((2, None))]
    chosen, threads = placed(Options(), 40, units)
    assert (chosen.name, threads) == ("local", [2, 1])
    assert placed(Options(runtime=Runtime(threads=8)), 40, units)[1] == [8, 8]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("locl", {}, "unknown executor 'locl' (did you mean 'local'?)"),
        ("inline", {"jobs": 2}, "executor 'inline' has no option --jobs"),
        ("local", {"job": 2}, "executor 'local' has no option --job (did you mean '--jobs'?)"),
        ("local", {"jobs": 0}, "--jobs 0: input should be greater than or equal to 1"),
        ("local", {"timeout": -1.0}, "--timeout -1.0: input should be greater than 0"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        executor(name, options)
    assert message in str(refusal.value)
    assert refusal.value.exit_code == 2


def enough(options: Options, *ends: Status) -> list[bool]:
    failures = Failures(options)
    return [failures.count(end) is not None for end in ends]


DONE = Status("done")


def failed(reason: str = "out of luck") -> Status:
    return Status("failed", reason=reason)


def test_five_that_fail_alike_at_the_start_are_enough() -> None:
    alike = [failed(f"cannot read 12{number}ab: trial 0123456789a{number}") for number in range(5)]
    assert enough(Options(), *alike) == [False] * 4 + [True]
    assert not any(enough(Options(), DONE, *alike))
    assert not any(enough(Options(), failed("something else"), *alike))
    assert not any(enough(Options(), *[Status("diverged", reason="the loss is nan")] * 9))


def test_as_many_failures_as_are_allowed() -> None:
    assert enough(Options(max_failures=2), failed("a"), DONE, failed("b"), failed("c")) == [False, False, True, False]
    assert not any(enough(Options(max_failures=9), *[failed()] * 8))
    assert enough(Options(fail_fast=True), DONE, Status("diverged")) == [False, True]
