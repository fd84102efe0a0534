"""What charts ask of a trained network: its predictions, its weights, what leaves its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlx.drawing.subjects import Run
from dlx.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets import DatasetInfo
    from dlx.sources import Source, Splits
    from dlx.spec import Trial
    from dlx.trained import Trained


def trial_of(run: Run) -> Trial:
    """The trial's setting; imports no backend."""
    from dlx.spec import load_trial

    return load_trial(run.directory / "trial.yaml")


def trained(run: Run) -> Trained:
    """The trial's network with its weights, and its data; imports Keras. Raises as :meth:`dlx.trained.Trained.of`."""
    from dlx.records.trial_directory import TrialDirectory
    from dlx.trained import Trained

    return Trained.of(TrialDirectory(run.directory), data_dir=run.data_dir)


def test_part(run: Run, network: Trained) -> Source:
    """The trial's test set. Raises :class:`~dlx.errors.UsageError` where its data have none."""
    if network.splits.test is None:
        raise UsageError(f"the data of {run.name} have no test part")
    return network.splits.test


def weights_of(run: Run) -> dict[str, np.ndarray]:
    """The weights that the trial ended with, by variable path; imports no backend."""
    from dlx.records.weights import BEST, FINAL, read_weights

    path = run.directory / "weights.npz"
    if not path.is_file():
        raise UsageError(f"{run.name} has no weights.npz", hint="records: {model: final} keeps it")
    kinds = read_weights(path)
    stopping = trial_of(run).setting.training.early_stopping
    return kinds[BEST if stopping and stopping.restore_best_weights and BEST in kinds else FINAL]


def splits_of(run: Run) -> Splits:
    """The trial's data, divided as they were for its training."""
    from dlx.datasets import Places

    return trial_of(run).setting.dataset.load(Places.here(run.data_dir))


@dataclass(frozen=True)
class Predictions:
    """What a trial makes of the test set: by example its id, its class, the class predicted and all probabilities."""

    run: Run
    info: DatasetInfo
    dataset: str
    ids: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray

    def inputs(self, ids: np.ndarray) -> np.ndarray:
        """Examples of the test set as stored, by id."""
        import numpy as np

        test = splits_of(self.run).test
        assert test is not None
        places = {int(number): place for place, number in enumerate(test.ids)}
        return test.read(np.array([places[int(number)] for number in ids]))[0]


def predictions_of(run: Run) -> Predictions:
    """The predictions that a probe recorded; without them, those of the trained network.

    Raises :class:`~dlx.errors.UsageError` for a regression, and for data without a test part.
    """
    import numpy as np

    setting = trial_of(run).setting
    info = setting.dataset.info()
    if setting.task != "classification":
        raise UsageError(f"{run.name} is a {setting.task}: it predicts no classes")
    rows = run.tables.get("predictions")
    if rows is not None and "label" in rows.columns:
        names = [name for name in rows.columns if name.startswith("probability_")]
        probabilities = np.array([rows.floats(name) for name in names], dtype=float).T
        ids, labels, predicted = (np.array(rows.ints(name), dtype=int) for name in ("id", "label", "predicted"))
        return Predictions(run, info, setting.dataset.name, ids, labels, predicted, probabilities)
    network = trained(run)
    test = test_part(run, network)
    inputs, labels = test.read(np.arange(len(test)))
    probabilities = network.predict(inputs)
    predicted = network.labels(inputs)
    return Predictions(run, info, setting.dataset.name, test.ids, labels, predicted, probabilities)


def reconstructed(run: Run, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Some examples of the test set as the network sees them, and what it makes of them, in the same shape.

    Raises :class:`~dlx.errors.UsageError` for a network whose output has not the shape of its input.
    """
    import math

    import numpy as np

    network = trained(run)
    test = test_part(run, network)
    if first >= len(test):
        raise UsageError(f"--example {first}: the test set has the numbers 0 to {len(test) - 1}")
    stored, _targets = test.read(np.arange(first, min(first + count, len(test))))
    outputs = network.predict(stored)
    inputs = network.inputs(stored)
    if math.prod(outputs.shape[1:]) != math.prod(inputs.shape[1:]):
        raise UsageError(
            f"{run.name} gives {math.prod(outputs.shape[1:])} numbers for {math.prod(inputs.shape[1:])}: "
            "it reconstructs nothing",
            hint="an autoencoder does",
        )
    return inputs, outputs.reshape(inputs.shape)
