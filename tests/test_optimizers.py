"""Optimizers and schedules are those of Keras, argument for argument."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import ValidationError

from dlx.errors import UsageError
from dlx.optimizers import OptimizerSpec, ScheduleSpec, registry, schedules

# Not settings of an experiment: a label, what the engine's mixed precision decides, Keras' catch-all.
LEFT_OUT = {"self", "name", "loss_scale_factor", "kwargs"}
NO_OPTIMIZERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "LearningRateSchedule"}
REQUIRED: dict[str, dict[str, Any]] = {
    "cosine_decay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "cosine_decay_restarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "exponential_decay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "inverse_time_decay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "piecewise_constant_decay": {"boundaries": [3, 6], "values": [0.1, 0.01, 0.001]},
    "polynomial_decay": {"initial_learning_rate": 0.1, "decay_steps": 10},
}


def signature(keras_class: type) -> dict[str, Any]:
    parameters = inspect.signature(keras_class.__init__).parameters  # type: ignore[misc]
    return {name: parameter.default for name, parameter in parameters.items() if name not in LEFT_OUT}


def settings(spec: type[OptimizerSpec | ScheduleSpec]) -> dict[str, Any]:
    fields = {name: field for name, field in spec.model_fields.items() if name != "name"}
    return {name: inspect.Parameter.empty if field.is_required() else field.default for name, field in fields.items()}


@pytest.mark.parametrize("name", registry.names())
def test_arguments_and_defaults_of_optimizers_are_those_of_keras(name: str) -> None:
    import keras

    spec = registry.get(name)
    assert settings(spec) == signature(getattr(keras.optimizers, spec.keras_name))


@pytest.mark.parametrize("name", schedules.names())
def test_arguments_and_defaults_of_schedules_are_those_of_keras(name: str) -> None:
    import keras

    spec = schedules.get(name)
    assert settings(spec) == signature(getattr(keras.optimizers.schedules, spec.keras_name))


def test_none_is_missing() -> None:
    import keras

    for module, known in ((keras.optimizers, registry), (keras.optimizers.schedules, schedules)):
        classes = {name for name, value in vars(module).items() if inspect.isclass(value)} - NO_OPTIMIZERS
        assert classes == {known.get(name).keras_name for name in known.names()}


@pytest.mark.parametrize("name", registry.names())
def test_built_as_set(name: str) -> None:
    built = registry.get(name)(learning_rate=0.25, clipnorm=2.0).build()
    assert type(built).__name__ == registry.get(name).keras_name
    assert built.get_config()["learning_rate"] == 0.25
    assert built.clipnorm == 2.0


@pytest.mark.parametrize("name", schedules.names())
def test_schedules_are_built_into_the_optimizer(name: str) -> None:
    import keras

    schedule = {"name": name, **REQUIRED[name]}
    built = registry.get("sgd").model_validate({"learning_rate": schedules.get(name).model_validate(schedule)}).build()
    assert isinstance(built._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    ours = [float(built._learning_rate(step)) for step in (0, 3, 7, 10)]
    direct = getattr(keras.optimizers.schedules, schedules.get(name).keras_name)(**REQUIRED[name])
    assert ours == [float(direct(step)) for step in (0, 3, 7, 10)]


@pytest.mark.parametrize("name", ["RMSprop", "rmsprop", "RMSPROP", "rms_prop"])
def test_names_in_any_spelling_of_keras(name: str) -> None:
    assert registry.get(name) is registry.get("rmsprop")
    assert schedules.get("CosineDecayRestarts") is schedules.get("cosine_decay_restarts")


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown optimizer 'adm' \(did you mean 'adam'"):
        registry.get("adm")


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0},
        {"learning_rate": "fast"},
        {"learning_rate": True},
        {"clipnorm": 1, "clipvalue": 1},
        {"beta_1": 1.0},
        {"gradient_accumulation_steps": 1},
        {"momentum": 0.9},
        {"learning_rate": {"name": "piecewise_constant_decay", "boundaries": [1, 2], "values": [1, 2]}},
        {"learning_rate": {"name": "piecewise_constant_decay", "boundaries": [2, 1], "values": [1, 2, 3]}},
    ],
)
def test_impossible_arguments(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        registry.get("adam").model_validate(values)
