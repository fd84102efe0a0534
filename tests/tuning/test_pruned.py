"""A trial that is stopped for good, and a test part that is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlx import spec
from dlx.events import EpochEnded, Event, ignore
from dlx.interruption import Interrupted, Pruned, Stop
from dlx.records.reader import read_table
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Options, decide, run
from dlx.worker import Runtime

TINY = "{model: {name: mlp, width: 8}, training: {epochs: 4, checkpoint: {every: 1 epoch}}}"


def test_a_stop_that_prunes() -> None:
    outer = Stop()
    stop = Stop(outer=outer)
    stop.check()
    stop.prune("it is worse than the median")
    outer.request("stopped by SIGINT", 130)
    assert stop.requested == ("it is worse than the median", 0)
    with pytest.raises(Pruned, match="worse than the median"):
        stop.check()


def test_a_stop_hears_of_the_outer_one() -> None:
    outer = Stop()
    stop = Stop(outer=outer)
    outer.request("stopped by SIGINT", 130)
    stop.prune("it is worse than the median")
    assert not stop.pruned
    with pytest.raises(Interrupted, match="SIGINT") as stopped:
        stop.check()
    assert not isinstance(stopped.value, Pruned) and stopped.value.exit_code == 130


def test_a_signal_that_comes_in_between_is_no_pruning() -> None:
    """It goes on later: only what is not worth going on with is given up."""

    class Signalled(Stop):
        @property
        def requested(self) -> tuple[str, int] | None:
            before = self._request
            self.request("stopped by SIGTERM", 143)
            return before

    stop = Signalled()
    stop.prune("it is worse than the median")
    assert stop.requested == ("stopped by SIGTERM", 143)
    assert not stop.pruned


class PruneAfter(Stop):
    """Prunes once an epoch has ended."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == self.epoch:
            self.prune("promises less than others")


def test_a_pruned_trial_keeps_its_tables_and_is_not_run_again(tmp_path: Path) -> None:
    experiment = spec.load_text(TINY, name="pruned")
    options = Options(tmp_path, Runtime(threads=1), executor="inline")
    stop = PruneAfter(2)
    outcome = run(experiment, options, stop, stop)
    (ending,) = outcome.endings
    assert (ending.status.state, ending.status.reason) == ("pruned", "promises less than others")
    directory: TrialDirectory = ending.directory
    assert [row["epoch"] for row in read_table(directory.path / "metrics.csv")] == ["0", "1", "2"]
    assert not list(directory.checkpoints.glob("[0-9]*")) and not directory.weights.exists()
    (row,) = read_table(tmp_path / "pruned" / "trials.csv")
    assert (row["state"], row["reason"], row["epochs"]) == ("pruned", "promises less than others", "2")
    (decision,) = decide(experiment, options)
    assert decision.action == "skip" and outcome.exit_code() == 0


def test_a_withheld_test_part_leaves_its_columns_empty_and_the_training_as_it_is(tmp_path: Path) -> None:
    experiments = [
        spec.load_text(TINY, sets, name=name) for name, sets in (("a", []), ("b", ["records.test=withheld"]))
    ]
    assert experiments[0].trials[0].id == experiments[1].trials[0].id
    measured, withheld = (
        run(experiment, Options(tmp_path, Runtime(threads=1), executor="inline"), ignore, Stop()).endings[0].directory
        for experiment in experiments
    )
    tables = [list(read_table(directory.path / "metrics.csv")) for directory in (measured, withheld)]
    for with_test, without in zip(*tables, strict=True):
        assert with_test["test_accuracy"] and not without["test_accuracy"] and not without["test_loss"]
        assert {name: cell for name, cell in with_test.items() if "test" not in name} == {
            name: cell for name, cell in without.items() if "test" not in name
        }
    assert measured.weights.read_bytes() == withheld.weights.read_bytes()
