"""Trials that train together: each as if alone, whatever its neighbours do, through stops, kills and want of memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dlx.events import Event, Note, ignore
from dlx.interruption import Stop
from dlx.schedule import Options, Outcome, run
from dlx.spec import load
from dlx.stages import Stage
from dlx.worker import Runtime
from tests.training.conftest import ENGINE
from tests.training.made import bits, cnn, made_splits, mlp, supervised
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(ENGINE != "jax", reason="packs are of the JAX engine")
ROOT = Path(__file__).resolve().parents[2]

# A program for several lanes, against one program per lane

RATES, PENALTIES, EPOCHS = (0.05, 0.2, 0.1), (1e-3, 3e-3, 1e-2), 3
WHOLE = 40
"""Examples in whole batches of 8: a smaller one at the end, which the convolutional net sees, is compiled apart."""


def dense(rate: float, l2: float) -> Callable[[], Stage]:
    import keras

    splits = made_splits(train=WHOLE)
    return lambda: supervised(mlp(splits, 9, dropout=0.3), keras.optimizers.SGD(rate), l2=l2)


def normalised(rate: float, l2: float) -> Callable[[], Stage]:
    import keras

    splits = made_splits(train=WHOLE)
    return lambda: supervised(mlp(splits, 9, normalize=True), keras.optimizers.Adam(0.1 * rate), l2=l2)


def convolutional(rate: float, l2: float) -> Callable[[], Stage]:
    import keras

    splits = made_splits((6, 6, 1))
    return lambda: supervised(cnn(splits), keras.optimizers.SGD(rate, momentum=0.9), l2=l2)


def initial(stage: Stage, seed: int) -> dict[str, np.ndarray]:
    values = {}
    for position, variable in enumerate(stage.model.variables):
        rng = np.random.default_rng([seed, position])
        if "seed_generator" in variable.path:
            values[variable.path] = np.array([seed, 0]).astype(variable.dtype)
        elif variable.trainable:
            values[variable.path] = (0.5 * rng.normal(size=variable.shape)).astype(np.float32)
        else:
            values[variable.path] = np.full(variable.shape, float("var" in variable.name), np.float32)
    return values


def order(lane: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng([lane, epoch]).permutation(examples).astype(np.int32)


def packed(builds: list[Callable[[], Stage]], splits: Any, like: Any = None) -> Any:
    """A pack before its first step; ``like``: one of the same structure, whose compiled steps will do."""
    from dlx.training.jax_pack import JaxPackProgram

    program = JaxPackProgram([build() for build in builds], 8, watch=True)
    program.attach(splits)
    if like is not None:
        program._loops, program._moved = like._loops, like._moved
    program.load_lanes({lane: (initial(stage, lane), lane) for lane, stage in enumerate(program.stages)})
    return program


def trained_together(program: Any, epochs: int = EPOCHS, first: int = 0) -> list[list[Any]]:
    """Each lane's numbers of each epoch."""
    numbers: list[list[Any]] = [[] for _ in range(program.lanes)]
    for epoch in range(first, epochs):
        orders = {lane: (order(lane, epoch, program.examples), epoch * program.steps) for lane in range(program.lanes)}
        program.begin_epoch_lanes(orders)
        for lo, hi in ((0, 2), (2, program.steps)):
            program.run_lanes(dict.fromkeys(orders, (lo, hi)))
        for lane, found in program.end_epoch_lanes(orders).items():
            numbers[lane].append(found)
    return numbers


@pytest.mark.parametrize("net", [dense, normalised, convolutional])
def test_a_lane_is_the_trial_alone(net: Any, engine: Any) -> None:
    splits = made_splits((6, 6, 1)) if net is convolutional else made_splits(train=WHOLE)
    builds = [net(rate, l2) for rate, l2 in zip(RATES, PENALTIES, strict=True)]
    pack = packed(builds, splits)
    together = trained_together(pack)
    for lane, build in enumerate(builds):
        alone = engine.compile(build(), 8, watch=True)
        alone.attach(splits)
        alone.load(initial(alone.stage, lane), lane)
        for epoch in range(EPOCHS):
            alone.begin_epoch(order(lane, epoch, alone.examples), epoch * alone.steps)
            alone.run(0, alone.steps)
            found, expected = together[lane][epoch], alone.end_epoch()
            for name, total in expected.sums.items():
                np.testing.assert_allclose(found.sums[name], total, rtol=1e-4)
            scale = max(expected.gradient_norms["model"])  # a bias before a normalisation has none but rounding
            for which in ("gradient_norms", "moves"):
                a, b = (np.array(getattr(numbers, which)["model"]) for numbers in (found, expected))
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * scale)
        for part in ("train", "validation", "test"):
            sums, expected_sums = pack.evaluate_lane(lane, part), alone.evaluate(part)
            assert float(sums["loss"]) == pytest.approx(float(expected_sums["loss"]), rel=1e-4)
        assert pack.lane_learning_rate(lane, 3) == pytest.approx(alone.learning_rate(3))
        for path, value in alone.weights().items():
            np.testing.assert_allclose(pack.lane_weights(lane)[path], value, rtol=1e-3, atol=1e-5)


def test_a_lane_does_not_notice_what_its_neighbours_do() -> None:
    splits = made_splits(train=WHOLE)
    calm = packed([dense(0.1, 0.0), dense(0.1, 0.0), dense(0.2, 0.0)], splits)
    trained_together(calm)
    wild = packed([dense(0.1, 0.0), dense(3e38, 0.0), dense(0.3, 0.0)], splits, like=calm)
    trained_together(wild)
    assert not all(np.isfinite(value).all() for value in wild.lane_weights(1).values())
    assert bits(wild.lane_snapshot(0)) == bits(calm.lane_snapshot(0))


def test_a_pack_goes_on_from_its_snapshots() -> None:
    splits = made_splits(train=WHOLE)
    builds = [dense(rate, 1e-3) for rate in RATES]
    whole = packed(builds, splits)
    trained_together(whole)
    begun = packed(builds, splits, like=whole)
    trained_together(begun, epochs=1)
    kept = {lane: begun.lane_snapshot(lane) for lane in range(3)}
    resumed = packed(builds, splits, like=whole)
    resumed.restore_lanes({lane: kept[lane] for lane in (0, 2)})  # of lane 1 the trial has ended
    trained_together(resumed, first=1)
    for lane in (0, 2):
        assert bits(resumed.lane_snapshot(lane)) == bits(whole.lane_snapshot(lane))


def test_the_compiler_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx import devices
    from dlx.training.engine import NotPacked

    monkeypatch.setattr(devices, "usable_memory", lambda: 2_000)
    with pytest.raises(NotPacked, match=r"3 trials together need .* GiB of the device's") as refused:
        trained_together(packed([dense(0.1, 0.0)] * 3, made_splits(train=WHOLE)))
    assert refused.value.fewer


# Whole trials

SPEC = """\
name: pack
dataset: {name: digits, train_limit: 300}
model: {name: mlp, depth: 2, width: 12, activation: relu, dropout: 0.2}
training: {epochs: 6, batch_size: 16, optimizer: {name: sgd, learning_rate: 0.1}, early_stopping: {patience: 2}}
probes: {gradients: {sample: 200}, activations: null, predictions: {}}
seeds: 3
sweep: {training.optimizer.learning_rate: [0.1, 1.0]}
"""


def carried_out(
    place: Path, pack: int | None, *sets: str, spec: str = SPEC, observe: Any = ignore, stop: Stop | None = None
) -> Outcome:
    path = place / "pack.yaml"
    path.write_text(spec)
    options = Options(place / "results", Runtime("jax", threads=1), executor="inline", pack=pack)
    return run(load(path, sets), options, observe, stop or Stop())


@pytest.fixture
def nothing_compiled(engine: Any) -> None:
    from dlx.work import Train

    Train(Runtime("jax", threads=1)).forget()


def tables(results: Path) -> dict[str, bytes]:
    kept = [path for path in results.glob("pack/trials/*/*") if path.suffix in (".csv", ".npz")]
    return {str(path.relative_to(results)): path.read_bytes() for path in kept if path.name != "timing.csv"}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("together")
    assert carried_out(place, 8).exit_code() == 0
    return place / "results"


def test_they_are_ordinary_trials(together: Path, tmp_path: Path) -> None:
    assert carried_out(tmp_path, 0).exit_code() == 0
    alone = tmp_path / "results"
    assert tables(alone).keys() == tables(together).keys()
    for name in tables(alone):
        one, other = alone / name, together / name
        if one.suffix == ".csv":
            a, b = pd.read_csv(one), pd.read_csv(other)
            pd.testing.assert_frame_equal(a, b, rtol=1e-4, atol=1e-6)
    epochs = pd.read_csv(together / "pack" / "trials.csv")["epochs"]
    assert epochs.nunique() > 1, "each stops early by itself"
    for directory in (together / "pack" / "trials").iterdir():
        found = json.loads((directory / "pack.json").read_text())
        assert found["trials"][found["lane"]] == directory.name
        assert json.loads((directory / "environment.json").read_text())["pack"] == f"lane {found['lane']} of 6"


STAGES = """\
name: pack
dataset: {name: digits, train_limit: 200}
model: {name: mlp, width: 12, activation: sigmoid, initializer: scaled_uniform}
pretraining: {method: denoising_autoencoder, epochs: 2, optimizer: {name: sgd, learning_rate: 0.1}}
training: {epochs: 2, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.5}}
probes: {gradients: {sample: 50}, activations: null}
seeds: 3
"""


def test_they_go_from_stage_to_stage_together(tmp_path: Path) -> None:
    for how, pack in (("alone", 0), ("together", 8)):
        (tmp_path / how).mkdir()
        assert carried_out(tmp_path / how, pack, spec=STAGES).exit_code() == 0
    alone, together = (tables(tmp_path / how / "results") for how in ("alone", "together"))
    assert alone.keys() == together.keys()
    for name in alone:
        if name.endswith(".csv"):
            a, b = (pd.read_csv(tmp_path / how / "results" / name) for how in ("alone", "together"))
            pd.testing.assert_frame_equal(a, b, rtol=1e-3, atol=1e-5)
    trials = list((tmp_path / "together" / "results" / "pack" / "trials").iterdir())
    assert len(trials) == 3
    for trial in trials:
        assert len(json.loads((trial / "pack.json").read_text())["trials"]) == 3
        stages = pd.read_csv(trial / "metrics.csv")["stage"]
        assert list(stages.unique()) == ["layer1", "output", "finetune"]


def test_what_is_looked_at_after_an_epoch_is_looked_at_together(tmp_path: Path) -> None:
    """Machines are compared on as many training examples as are held out, which is no whole part."""
    for how, pack in (("alone", 0), ("together", 8)):
        (tmp_path / how).mkdir()
        outcome = carried_out(tmp_path / how, pack, "pretraining={method: rbm, epochs: 1}", "seeds=2", spec=STAGES)
        assert outcome.exit_code() == 0
    alone, together = (tables(tmp_path / how / "results") for how in ("alone", "together"))
    assert alone.keys() == together.keys()
    for name in alone:
        if name.endswith("metrics.csv"):
            a, b = (pd.read_csv(tmp_path / how / "results" / name) for how in ("alone", "together"))
            assert list(a["stage"]) == list(b["stage"])
            assert a["free_energy_gap"].notna().sum() == 2, "before the only epoch of the machine, and after"
            untrained = ["train_free_energy", "val_free_energy", "free_energy_gap"]
            pd.testing.assert_series_equal(a.loc[0, untrained], b.loc[0, untrained], rtol=1e-4)


def test_seeds_that_make_their_own_examples_train_alone_and_rates_together(tmp_path: Path) -> None:
    """The data of a pack are everybody's: what a seed generates is not."""
    made = "imbalance: {3: 0.3}, rebalance: {method: rbm, epochs: 1, hidden: 4}"
    uneven = f"dataset={{name: digits, train_limit: 200, {made}}}"
    spec = STAGES.replace("seeds: 3", "seeds: 2\nsweep: {training.optimizer.learning_rate: [0.1, 0.5]}")
    assert carried_out(tmp_path, 8, uneven, "pretraining=none", spec=spec).exit_code() == 0
    packs = set()
    for trial in (tmp_path / "results" / "pack" / "trials").iterdir():
        packs.add(tuple(json.loads((trial / "pack.json").read_text())["trials"]))
    assert sorted(map(len, packs)) == [2, 2]


def test_asked_to_stop_all_stop_at_one_point_and_go_on(together: Path, tmp_path: Path) -> None:
    stop = Stop()

    def stop_in_the_second_epoch(event: Event) -> None:
        if getattr(event, "epoch", 0) == 2:
            stop.request("enough", 143)

    first = carried_out(tmp_path, 8, observe=stop_in_the_second_epoch, stop=stop)
    assert first.exit_code() == 143
    assert {ending.status.state for ending in first.endings} == {"interrupted"}
    assert carried_out(tmp_path, 0).exit_code() == 0  # what was begun in a pack goes on in it
    assert tables(tmp_path / "results") == tables(together)


def test_one_that_diverges_disturbs_nobody(together: Path, tmp_path: Path) -> None:
    outcome = carried_out(tmp_path, 8, spec=SPEC.replace("[0.1, 1.0]", "[0.1, 1.0e+30]"))
    states = [ending.status.state for ending in outcome.endings]
    assert states == ["done"] * 3 + ["diverged"] * 3
    done = [ending.directory.trial for ending in outcome.endings[:3]]
    mine, theirs = tables(tmp_path / "results"), tables(together)
    same = [name for name in theirs if any(trial in name for trial in done)]
    assert len(same) > 9
    assert {name: mine[name] for name in same} == {name: theirs[name] for name in same}


def test_too_many_for_the_memory_are_divided(
    nothing_compiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlx.training.engine import NotPacked
    from dlx.training.jax_pack import JaxPackProgram

    def check(program: JaxPackProgram, account: object) -> None:
        if program.lanes > 2:
            raise NotPacked(f"{program.lanes} trials need too much", fewer=True)

    monkeypatch.setattr(JaxPackProgram, "_check_memory", check)
    said: list[str] = []
    outcome = carried_out(
        tmp_path, 8, observe=lambda event: said.append(event.message) if isinstance(event, Note) else None
    )
    assert outcome.exit_code() == 0
    assert said == [
        "6 trials need too much: the trials begin again in packs of 3",
        "3 trials need too much: the trials begin again one by one",
        "3 trials need too much: the trials begin again one by one",
    ]
    assert not list((tmp_path / "results").glob("pack/trials/*/pack.json"))
    assert all(len(ending.status.attempts) == 1 for ending in outcome.endings)


def test_data_that_are_streamed_are_for_one_trial_at_a_time(
    nothing_compiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLX_RESIDENT_BYTES", "1000")
    said: list[str] = []
    outcome = carried_out(
        tmp_path,
        8,
        "training.epochs=1",
        observe=lambda event: said.append(event.message) if isinstance(event, Note) else None,
    )
    assert outcome.exit_code() == 0
    assert said == ["the training data do not fit into the device's memory: the trials begin again one by one"]


KILLED = """
import os, signal, sys
from dlx.cli.main import main
from dlx.records.checkpoints import CheckpointStore

save, left = CheckpointStore.save, 18  # three checkpoints of six trials

def save_and_die(*content):
    global left
    number = save(*content)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

CheckpointStore.save = save_and_die
sys.exit(main(sys.argv[1:]))
"""


def test_killed_and_begun_again(tmp_path: Path) -> None:
    """kill -9 at a checkpoint, after which one trial lacks the newest, as if killed before it was written."""
    (tmp_path / "pack.yaml").write_text(SPEC)

    def command(results: str) -> list[str]:
        sets = ["--set", "training.checkpoint.every=10 steps", "--set", "training.early_stopping=null"]
        where = ["--results", str(tmp_path / results), "--executor", "inline", "--threads", "1", "--quiet"]
        return ["run", str(tmp_path / "pack.yaml"), "--engine", "jax", "--pack", "6", *sets, *where]

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dlx = [sys.executable, "-m", "dlx"]
    subprocess.run([*dlx, *command("whole")], check=True, env=environment, timeout=PATIENCE)
    killed = [sys.executable, "-c", KILLED]
    ended = subprocess.run([*killed, *command("killed")], check=False, env=environment, timeout=PATIENCE)
    assert ended.returncode == -signal.SIGKILL
    newest = sorted((tmp_path / "killed").glob("pack/trials/*/checkpoints/000003"))
    assert len(newest) == 6
    shutil.rmtree(newest[0])
    subprocess.run([*dlx, *command("killed")], check=True, env=environment, timeout=PATIENCE)
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")


@pytest.mark.slow
def test_no_shift_against_training_alone(tmp_path: Path) -> None:
    """Sixteen seeds, paired: numbers drift apart by rounding, their mean does not."""
    accuracies = []
    for pack in (16, 0):
        place = tmp_path / str(pack)
        place.mkdir()
        spec = SPEC.replace("seeds: 3", "seeds: 16").replace("[0.1, 1.0]", "[0.1]")
        sets = ("training.epochs=30", "training.early_stopping=null")
        assert carried_out(place, pack, *sets, spec=spec).exit_code() == 0
        accuracies.append(pd.read_csv(place / "results" / "pack" / "trials.csv")["test_accuracy"].to_numpy())
    difference = accuracies[0] - accuracies[1]
    spread = accuracies[1].std(ddof=1)
    assert spread > 0
    standard_error = difference.std(ddof=1) / 4
    assert abs(difference.mean()) <= max(2.95 * standard_error, 1e-9)  # t(15) at 99 %
    assert abs(difference.mean()) < spread / 2
