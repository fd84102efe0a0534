"""Networks and data sets that are drawn without a trained net: of a spec, of a trial, or by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.errors import FieldError, UsageError

if TYPE_CHECKING:
    from dlx.datasets import DatasetSpec
    from dlx.network import Network
    from dlx.spec.schema import Setting

_INPUTS = ((28, 28, 1), (32, 32, 3), (224, 224, 3), (227, 227, 3))
"""What a model by name is drawn for: the first of these that it takes."""
_OUTPUTS = 10


def network_of(target: str, results: Path | None) -> Network:
    """The network of a spec, of a trial, or of a registered model for images of ten classes.

    Raises :class:`~dlx.errors.UsageError` where a spec has several networks, or for what is none of these.
    """
    from dlx.models import ModelSpec, registry

    if not _is_spec(target) and target in registry.names():
        from dlx.members import OneOf

        model = OneOf(registry).validate(target)
        assert isinstance(model, ModelSpec)
        problem: FieldError | None = None
        for shape in _INPUTS:
            try:
                return model.network(shape, _OUTPUTS)
            except FieldError as error:
                problem = error
        raise UsageError(f"{target}: {problem}", hint="draw a spec that has it: dlx plot architecture SPEC")
    networks = [
        setting.model.network(setting.dataset.info().input_shape, setting.outputs)
        for setting in _settings_of(target, results)
    ]
    if len({(network.name, tuple(network.rows())) for network in networks}) > 1:
        hint = "draw a trial of it, as in NAME:depth=4, or take the sweep out"
        raise UsageError(f"{target} has {len(networks)} networks and one is drawn", hint=hint)
    return networks[0]


@dataclass(frozen=True)
class Data:
    """A data set that is drawn, and where it is looked for first."""

    dataset: DatasetSpec
    data_dir: Path | None = None


def dataset_of(target: str, results: Path | None) -> DatasetSpec:
    """The data set of a spec, of a trial, or by name. Raises as :func:`network_of` does."""
    from dlx.datasets import DatasetSpec, registry

    if not _is_spec(target) and target in registry.names():
        from dlx.members import OneOf

        dataset = OneOf(registry).validate(target)
        assert isinstance(dataset, DatasetSpec)
        return dataset
    datasets = [setting.dataset for setting in _settings_of(target, results)]
    if any(dataset != datasets[0] for dataset in datasets):
        raise UsageError(
            f"{target} has several data sets and one is drawn", hint="draw a trial of it, or take the sweep out"
        )
    return datasets[0]


def _is_spec(target: str) -> bool:
    return Path(target).suffix in (".yaml", ".yml") and Path(target).is_file()


def _settings_of(target: str, results: Path | None) -> list[Setting]:
    """The distinct settings of a spec's trials, or of the trials that a selector names."""
    if _is_spec(target):
        from dlx.spec import load

        settings = {id(trial.setting): trial.setting for trial in load(Path(target), []).trials}
        return list(settings.values())
    from dlx.analysis.selectors import find
    from dlx.spec import load_trial

    chosen = {trial.setting: trial for trial in reversed(find([target], results).trials)}
    return [load_trial(trial.path / "trial.yaml").setting for trial in reversed(chosen.values())]
