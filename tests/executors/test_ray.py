"""What only a cluster can promise: a node that goes takes no trial with it. On a real one, of two nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.errors import UsageError
from dlx.events import Event, Note
from dlx.executors import Unit, executor
from dlx.executors import ray as member
from dlx.executors._ray_cluster import Node, Share, capacity, require, share, threads
from dlx.executors._ray_slot import Slot
from dlx.interruption import Stop
from dlx.progress import read_report
from dlx.records.status import read_status
from dlx.records.trial_directory import TrialDirectory
from tests.executors.ray_cluster import ROOT, needs_ray, two_nodes, wait_until
from tests.executors.test_bytes import SCRIPT, tables
from tests.executors.work import TABLE, Pretend, expected_table, make_unit, process_of

SPEC = """\
name: tiny
dataset: digits
model: {name: mlp, width: 8, dropout: 0.2}
training: {epochs: 150, batch_size: 8, optimizer: adam, checkpoint: {every: 5 epochs}}
probes: {}
seeds: 2
"""

SIGNALLED = """
import sys
from pathlib import Path
from dlx.executors import executor
from dlx.interruption import Stop
from tests.executors.work import Pretend, make_unit

if __name__ == "__main__":
    units = [make_unit(Path(sys.argv[1]), number, rows=1000, seconds=0.1) for number in range(2)]
    with Stop().listening() as stop:
        for end in executor("ray", {"grace": 5.0}).run(units, Pretend(), stop, lambda event: None):
            print(end.status.state, end.status.reason)
    assert "tensorflow" not in sys.modules
"""


def nodes(*resources: tuple[float, float]) -> list[Node]:
    return [Node(f"{number}", f"node{number}", cpus, gpus) for number, (cpus, gpus) in enumerate(resources)]


@pytest.mark.parametrize(
    ("found", "trials", "given", "workers", "each", "asked"),
    [
        (nodes((8, 0)), 3, {}, 4, 2, Share(2, 0)),
        (nodes((8, 0), (8, 0)), 40, {}, 16, 1, Share(1, 0)),
        (nodes((8, 0), (2, 0)), 1, {}, 5, 2, Share(2, 0)),
        (nodes((0, 0), (8, 0)), 2, {}, 2, 4, Share(4, 0)),
        (nodes((8, 0), (8, 0)), 40, {"jobs": 4}, 4, 4, Share(4, 0)),
        (nodes((8, 2), (64, 0)), 40, {}, 2, 4, Share(0, 1.0)),
        (nodes((8, 2), (8, 1)), 40, {"per_gpu": 2}, 6, 2, Share(0, 0.5)),
        (nodes((8, 1)), 40, {"per_gpu": 7}, 7, 1, Share(0, 0.1428)),
        (nodes((8, 4), (8, 3)), 40, {"devices": 2}, 3, 4, Share(0, 2.0)),
        (nodes((8, 4), (8, 1)), 1, {"devices": 4}, 1, 8, Share(0, 4.0)),
        (nodes(), 40, {}, 0, 1, Share(1, 0)),
    ],
)
def test_a_cluster_is_divided(
    found: list[Node], trials: int, given: dict[str, int], workers: int, each: int, asked: Share
) -> None:
    per_gpu, jobs, devices = given.get("per_gpu", 1), given.get("jobs"), given.get("devices", 1)
    assert threads(found, trials, per_gpu, jobs, devices) == each
    assert share(found, each, per_gpu, devices) == asked
    assert capacity(found, asked) == workers


def test_a_trial_has_no_more_devices_than_one_node() -> None:
    require(nodes((8, 4), (8, 1)), 4)
    with pytest.raises(UsageError, match="largest node has 4 GPUs"):
        require(nodes((8, 4), (8, 4)), 8)


def test_a_trial_begun_with_more_threads_than_any_node_has_gets_a_whole_one() -> None:
    assert share(nodes((2, 0), (4, 0)), 16, 1) == Share(4, 0)


@pytest.fixture
def somebody() -> Iterator[int]:
    """A port where something listens that is no head of a cluster, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.ray
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:9", "no Ray cluster answers at 127.0.0.1:9: Connection refused"),
        ("127.0.0.1:{somebody}", "no Ray cluster answers at 127.0.0.1:{somebody}: no answer for 0.5 s"),
        ("no-such-host.invalid:6379", "no Ray cluster answers at no-such-host.invalid:6379: "),
        ("6379", "Ray address '6379' is not HOST:PORT"),
        ("local", "Ray address 'local' would start a cluster"),
        ("ray://head:10001", "Ray address ray://head:10001 is for Ray Client"),
    ],
)
def test_an_address_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, somebody: int, address: str, message: str
) -> None:
    """One sentence, before anything is started or created."""
    needs_ray()
    from dlx.executors import _ray_cluster
    from dlx.schedule import Options, run
    from dlx.spec import load

    monkeypatch.setattr(_ray_cluster, "CONNECT", 0.5)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    options = Options(tmp_path / "results", executor="ray", executor_options={"address": address.format_map(vars())})
    with pytest.raises(UsageError) as refusal:
        run(load(tmp_path / "tiny.yaml"), options, lambda event: None, Stop())
    assert message.format_map(vars()) in str(refusal.value)
    assert refusal.value.exit_code == 2
    assert not (tmp_path / "results").exists()


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"the executor 'ray' needs Ray: pip install 'dlx\[ray\]'"):
        executor("ray", {}).ready()


def run(units: list[Unit], **options: Any) -> tuple[dict[int, Any], list[Event]]:
    events: list[Event] = []
    ends = list(executor("ray", {"grace": 5.0, **options}).run(units, Pretend(), Stop(), events.append))
    return {int(end.unit.directory.trial, 16): end.status for end in ends}, events


@pytest.mark.ray
def test_a_worker_that_is_killed_loses_no_trial(ray_nodes: Any, tmp_path: Path) -> None:
    unit, others = make_unit(tmp_path, 0, rows=60, seconds=0.1), [make_unit(tmp_path, n) for n in (1, 2)]

    def kill() -> None:
        wait_until(unit.directory.table(TABLE).exists)
        os.kill(process_of(unit)["pid"], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    ends, events = run([unit, *others])
    killer.join()
    assert [ends[number].state for number in range(3)] == ["done"] * 3
    assert ends[0].last_attempt == 2
    assert unit.directory.table(TABLE).read_text() == expected_table(60)
    assert sum("goes on from its last checkpoint" in event.message for event in events if isinstance(event, Note)) == 1


@pytest.mark.ray
def test_a_trial_that_kills_its_workers_fails_in_the_end(ray_nodes: Any, tmp_path: Path) -> None:
    bad, good = make_unit(tmp_path, 0, does="be killed"), make_unit(tmp_path, 1)
    ends, _ = run([bad, good], losses=1)
    assert (ends[0].state, ends[0].last_attempt, ends[1].state) == ("failed", 3, "done")
    assert ends[0].reason.startswith("its worker was lost 2 times (--losses 1); at last: its process on ")
    assert ends[0].log == "log.txt"


@pytest.mark.ray
def test_a_trial_that_hangs_is_ended(ray_nodes: Any, tmp_path: Path) -> None:
    ends, _ = run([make_unit(tmp_path, 0, does="hang"), make_unit(tmp_path, 1)], timeout=1.0)
    assert (ends[0].state, ends[1].state) == ("failed", "done")
    assert ends[0].reason.startswith("no step for ")


@pytest.mark.ray
def test_workers_stay_warm_and_trials_keep_their_threads(ray_nodes: Any, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, threads=1) for number in range(6)]
    more = make_unit(tmp_path, 6, threads=3)
    ends, _ = run([*units, more])
    assert {status.state for status in ends.values()} == {"done"}
    assert len({process_of(unit)["pid"] for unit in units}) <= 3
    assert process_of(more)["threads"] == 3
    assert process_of(more)["pid"] not in {process_of(unit)["pid"] for unit in units}


@pytest.mark.ray
def test_a_node_that_does_not_see_the_results(ray_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is what a node sees of a directory that it does not share."""
    monkeypatch.setattr(member, "Slot", lambda equipment, witness: Slot(equipment, f"{witness}-elsewhere"))
    unit = make_unit(tmp_path, 0)
    with pytest.raises(UsageError, match=f"of the Ray cluster does not see {unit.directory.path.parent}"):
        run([unit])
    assert unit.directory.status().state == "pending"


@pytest.mark.ray
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_workers(ray_nodes: Any, tmp_path: Path, sent: signal.Signals) -> None:
    """Ray would put a handler of its own in place of the one that stops trials in order."""
    (tmp_path / "script.py").write_text(SIGNALLED)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(list(tmp_path.glob(f"trials/*/{TABLE.file_name}"))) == 2, 60)
    parent.send_signal(sent)
    output, _ = parent.communicate(timeout=30)
    assert (parent.returncode, output) == (0, f"interrupted stopped by {sent.name}\n" * 2)


@pytest.mark.ray
def test_a_node_is_removed_while_it_works(tmp_path: Path) -> None:
    """Its trial goes on from its checkpoint on the other node, and nothing in the tables tells."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    (tmp_path / "script.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}

    def train(name: str, options: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "script.py", "tiny.yaml", tmp_path / name, name, options, "tensorflow"]
        return subprocess.Popen(
            command, cwd=tmp_path, env=env | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with two_nodes() as cluster:
        process = train("ray", "{'jobs': 2}", RAY_ADDRESS=cluster.address)
        trials = tmp_path / "ray" / "tiny" / "trials"

        def both_have_kept_something() -> bool:
            assert process.poll() is None, process.communicate()[0]
            return len([one for one in trials.glob("*/checkpoints/*") if one.is_dir()]) >= 2

        wait_until(both_have_kept_something)
        wait_until(lambda: all(list((trial / "checkpoints").glob("[!.]*")) for trial in trials.glob("*/")))
        assert all(read_report(trial) for trial in trials.glob("*/")), "one ended before the node could be removed"
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        wait_until(lambda: any((at := read_report(trial)) and at.resumed for trial in trials.glob("*/")))
        output, _ = process.communicate(timeout=300)
    assert (process.returncode, output) == (0, ""), "Ray's chatter is to be kept from the terminal"
    attempts = sorted(read_status(trial / "status.json").last_attempt for trial in trials.glob("*/"))
    assert attempts == [1, 2]
    moved = next(trial for trial in trials.glob("*/") if read_status(trial / "status.json").last_attempt == 2)
    assert TrialDirectory(moved).status().attempts[0].exit == "its process ended without a word"
    assert train("inline", "{}").wait(300) == 0
    assert tables(tmp_path / "ray") == tables(tmp_path / "inline")
