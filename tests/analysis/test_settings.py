"""The parameters in which trials differ, what they are called, and which trials are one setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import make

from dlx.analysis.selectors import find
from dlx.analysis.settings import columns_of, differing, label, pool, value_at
from dlx.analysis.trials import Setting, Trial

SMALL = "model: {name: mlp, width: 4}\ntraining: {epochs: 1}\n"


def trials(tmp_path: Path, *specs: str, engines: tuple[str, ...] = ("tensorflow",)) -> list[Trial]:
    for number, spec in enumerate(specs):
        for engine in engines:
            make(
                tmp_path,
                spec,
                lambda trial, epoch: {"val_loss": 1.0},
                name=f"e{number}-{engine}",
                epochs=1,
                engine=engine,
            )
    return find([], tmp_path).trials


def test_swept_paths_by_their_short_names(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {model.activation: [relu, tanh], model.depth: [1, 2]}\nseeds: 2\n")
    columns = columns_of(found)
    assert columns == {"model.activation": "activation", "model.depth": "depth"}
    pooled = pool(found)
    assert [[trial.seed for trial in one.trials] for one in pooled] == [[0, 1]] * 4
    assert label(pooled[1].setting, columns) == "activation relu, depth 2"


def test_members_show_what_tells_them_apart_not_every_field(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {training.optimizer: [sgd, adam]}\n")
    assert columns_of(found) == {
        "training.optimizer.name": "optimizer",
        "training.optimizer.learning_rate": "learning_rate",
    }


def test_a_field_of_one_member_alone_is_shown_where_it_varies(tmp_path: Path) -> None:
    found = trials(
        tmp_path,
        SMALL,
        SMALL.replace("epochs: 1", "epochs: 1, optimizer: {name: sgd, learning_rate: 0.001}")
        + "sweep: {training.optimizer.momentum: [0.0, 0.9]}\n",
    )
    columns = columns_of(found)
    assert set(columns) == {"training.optimizer.name", "training.optimizer.momentum"}
    assert [value_at(trial.setting, "training.optimizer.name") for trial in found] == ["adam", "sgd", "sgd"]
    assert label(found[0].setting, columns) == "optimizer adam"


def test_a_value_beside_fields_is_one_column(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {dataset.scaling: [unit, {divide: 16}]}\n")
    columns = columns_of(found)
    assert columns == {"dataset.scaling": "scaling"}
    assert [label(one.setting, columns) for one in pool(found)] == ["scaling unit", "scaling {divide: 16.0}"]


def test_a_member_or_none_of_it(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {pretraining: [null, autoencoder, {name: autoencoder, epochs: 2}]}\n")
    columns = columns_of(found)
    assert columns == {"pretraining.name": "pretraining", "pretraining.epochs": "pretraining.epochs"}
    assert [label(one.setting, columns) for one in pool(found)] == [
        "no pretraining",
        "pretraining autoencoder, pretraining.epochs 5",
        "pretraining autoencoder, pretraining.epochs 2",
    ]


def test_null_beside_fields_that_vary(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {training.early_stopping: [null, {patience: 3}, {patience: 5}]}\n")
    columns = columns_of(found)
    assert columns == {"training.early_stopping.patience": "patience"}
    assert [label(one.setting, columns) for one in pool(found)] == ["patience –", "patience 3", "patience 5"]


def test_fields_of_later_versions() -> None:
    old = Setting({"model.name": "mlp", "model.depth": 1})
    assert Setting({**old, "model.budget": None}) == old
    silent = Setting({**old, "model.skip": False})
    loud = Setting({**old, "model.skip": True})
    assert differing([old, Setting({**old, "model.depth": 2, "model.skip": False})]) == ["model.depth"]
    assert differing([old, loud]) == ["model.skip"]
    assert differing([old, silent]) == ["model.skip"]  # the files say nothing else that tells them apart


def test_paths_that_share_their_ending_keep_more_of_it(tmp_path: Path) -> None:
    found = trials(
        tmp_path,
        SMALL + "sweep: {model.initializer.kernel: [he_normal, zeros], model.initializer.bias: [zeros, ones]}\n",
    )
    assert columns_of(found) == {
        "model.initializer.kernel.name": "initializer.kernel",
        "model.initializer.bias.name": "initializer.bias",
    }


def test_what_changes_nothing_that_is_trained_does_not_divide(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL, SMALL + "probes: {gradients: null}\nrecords: {model: final}\nseeds: [7]\n")
    assert columns_of(found) == {}
    assert [sorted(map(str, (trial.seed for trial in one.trials))) for one in pool(found)] == [["0", "7"]]


def test_engines_are_not_pooled_unasked(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL, engines=("tensorflow", "jax"))
    assert [one.engine for one in pool(found)] == ["jax", "tensorflow"]
    assert [len(one.trials) for one in pool(found, engines=True)] == [2]


def test_a_trial_in_two_experiments_counts_once(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "seeds: 2\n", SMALL + "seeds: 3\n")
    assert len(found) == 5
    assert [len(one.trials) for one in pool(found)] == [3]


def test_by_some_parameters(tmp_path: Path) -> None:
    found = trials(tmp_path, SMALL + "sweep: {model.activation: [relu, tanh], model.depth: [1, 2]}\nseeds: 2\n")
    pooled = pool(found, by=["depth"])
    assert [(one.values, len(one.trials), len(one.settings)) for one in pooled] == [
        ({"model.depth": 1}, 4, 2),
        ({"model.depth": 2}, 4, 2),
    ]
    assert [one.values for one in pool(found, by=["seed", "depth"])][:2] == [
        {"seed": 0, "model.depth": 1},
        {"seed": 1, "model.depth": 1},
    ]


@pytest.mark.parametrize("seeds", ["{init: 0..1, order: 0}"])
def test_seeds_of_two_kinds(tmp_path: Path, seeds: str) -> None:
    found = trials(tmp_path, SMALL + f"seeds: {seeds}\n")
    assert {trial.seed for trial in found} == {0, "init=1 order=0"}
