"""A finished trial's network: rebuilt from ``trial.yaml``, given the weights of ``weights.npz``, never trained again.

What predictions, evaluations and pictures begin with::

    network = Trained.of(TrialDirectory(path))
    network.predict(images)                 # probabilities (n, classes), or values (n, targets)
    network.activations(images)["conv_1"]   # (n, height, width, filters)
    network.evaluate("test")["accuracy"]    # the trial's own test accuracy, to the last bit
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlx.errors import ResultsError, UsageError, nearest
from dlx.records import environment
from dlx.records.weights import BEST, FINAL, read_weights
from dlx.spec import Trial, load_trial
from dlx.worker import Runtime, Worker

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets import DatasetInfo
    from dlx.records.trial_directory import TrialDirectory
    from dlx.sources import Scaling, Source, Splits
    from dlx.training.program import Program

Kept = Literal["last", "best"]
_KINDS: dict[Kept, str] = {"last": FINAL, "best": BEST}


class Trained:
    """The network of a trial that is done.

    ``trial`` is its setting and seed, ``directory`` where it was found, ``kept`` which of its
    weights these are, ``digest`` the SHA-256 of the file that they come from.
    """

    def __init__(self, trial: Trial, directory: TrialDirectory, worker: Worker, kept: Kept, digest: str) -> None:
        self.trial = trial
        self.directory = directory
        self.worker = worker
        self.kept = kept
        self.digest = digest

    @classmethod
    def of(
        cls,
        directory: TrialDirectory,
        weights: Kept | None = None,
        runtime: Runtime | None = None,
        worker: Worker | None = None,
        *,
        data_dir: Path | None = None,
    ) -> Trained:
        """The network that a trial left.

        ``weights``: of the ``last`` epoch or of the ``best`` one; by default those that the
        trial itself ended with and that ``trials.csv`` speaks of. ``runtime``: by default the
        engine and the threads that the trial was trained with, and ``data_dir`` to look for its
        data; ``worker``: one that has an engine and perhaps the data already. Raises
        :class:`~dlx.errors.UsageError` (a trial that is not done, data that have changed since,
        weights that are missing or do not fit).
        """
        status = directory.status()
        if not directory.spec.exists():
            raise ResultsError(f"{directory.path} holds no trial (there is no {directory.spec.name})")
        if status.state != "done":
            raise UsageError(
                f"trial {directory.trial} is {status.state}: only one that is done has a trained network",
                hint=status.reason or "dlx run trains it",
            )
        trial = load_trial(directory.spec)
        if not directory.weights.is_file():
            raise ResultsError(
                f"trial {directory.trial} has no {directory.weights.name}", hint="dlx run --rerun trains it again"
            )
        kinds = read_weights(directory.weights)
        stopping = trial.setting.training.early_stopping
        if weights is None:
            weights = "best" if stopping and stopping.restore_best_weights and BEST in kinds else "last"
        if _KINDS[weights] not in kinds:
            raise UsageError(
                f"trial {directory.trial} kept no {weights} weights", hint="those come with training.early_stopping"
            )
        if worker is None:
            worker = Worker(cls._runtime(directory, runtime, data_dir))
        network = cls(trial, directory, worker, weights, _digest(directory))
        network._load(kinds[_KINDS[weights]])
        return network

    @staticmethod
    def _runtime(directory: TrialDirectory, runtime: Runtime | None, data_dir: Path | None) -> Runtime:
        """What was given, with the rest as the trial was trained."""
        status = directory.status()
        engine = str(status.summary.get("engine") or Runtime.engine)
        runtime = runtime or Runtime(engine=engine, data_dir=data_dir)
        if runtime.threads is None:
            threads = (environment.read(directory.environment) or {}).get("threads")
            runtime = replace(runtime, threads=min(threads, os.cpu_count() or 1) if isinstance(threads, int) else None)
        return runtime

    @property
    def info(self) -> DatasetInfo:
        """Shape, task and classes of its data."""
        return self.trial.setting.dataset.info()

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for every class, words where the data set has ImageNet's ids; none in a regression."""
        from dlx.applications.classes import in_words

        info = self.info
        if info.task == "regression":
            return ()
        return in_words(info.class_names) or tuple(str(label) for label in range(info.outputs))

    @property
    def activation(self) -> str:
        """The output activation: what turns the model's logits into its answer."""
        return self.trial.setting.loss.activation(self.trial.setting.model.output_activation, self.trial.setting.task)

    @property
    def recorded(self) -> Mapping[str, Any]:
        """Its row of ``trials.csv``: ``test_accuracy`` and the rest, as they were measured when it was trained."""
        return self.directory.status().summary

    @cached_property
    def splits(self) -> Splits:
        """Its data, divided as they were for its training; raises :class:`~dlx.errors.DataError`."""
        return self.worker.load(self.trial.setting.dataset)

    @cached_property
    def scaling(self) -> Scaling:
        """How inputs are scaled; data are only loaded where it depends on them."""
        from dlx.datasets._division import scaling_of
        from dlx.sources import ArraySource

        dataset = self.trial.setting.dataset
        if dataset.scaling == "standardize" or not dataset.download_bytes():
            return self.splits.scaling  # a set that is at hand is loaded sooner than reasoned about
        import numpy as np

        nothing = ArraySource(np.empty((0,)), np.empty((0,)))
        return scaling_of(dataset, self.info.largest, nothing)

    def inputs(self, examples: np.ndarray) -> np.ndarray:
        """Examples (n, …) in the stored type of the data set, as the network sees them: float32, scaled.

        Raises :class:`~dlx.errors.UsageError` for another shape than the network takes.
        """
        if examples.shape[1:] != self.info.input_shape or not examples.ndim:
            raise UsageError(
                f"the network of trial {self.trial.id} takes examples of shape {_shape(self.info.input_shape)}, "
                f"and these are {_shape(examples.shape[1:])}"
            )
        return self.scaling.apply(examples)

    def logits(self, examples: np.ndarray) -> np.ndarray:
        """What the model itself gives, float32 (n, outputs), for examples as stored; see :meth:`inputs`."""
        return self._outputs({"logits": self.model.outputs[0]}, examples)["logits"]

    def predict(self, examples: np.ndarray) -> np.ndarray:
        """The network's answers for examples as stored, float32.

        Classification: (n, classes), at least 0 and with sum 1. A softmax's are what it says;
        of outputs that stand each for a class, the share of each (of the logistic loss, those
        of σ(h); a single such output is the probability of class 1). Regression: (n, targets).
        Autoencoders: (n, inputs), as they see them, scaled.
        """
        return self.answers(self.logits(examples))

    def labels(self, examples: np.ndarray) -> np.ndarray:
        """The class that the network decides for, int (n,): what accuracies count."""
        return self.decided(self.logits(examples))

    def answers(self, logits: np.ndarray) -> np.ndarray:
        """What :meth:`predict` makes of logits."""
        import numpy as np
        from keras import ops

        from dlx.losses import answer

        setting = self.trial.setting
        classes = setting.task == "classification"
        given = (setting.loss.probabilities if classes else answer)(ops.convert_to_tensor(logits), self.activation)
        found = np.asarray(ops.convert_to_numpy(given))
        if (
            setting.task == "regression"
            and self.trial.setting.dataset.scales_targets()
            and (scaling := self.splits.target_scaling)
        ):
            subtract, divide = np.asarray(scaling, np.float32)
            found = found * divide + subtract
        return found

    def decided(self, logits: np.ndarray) -> np.ndarray:
        """What :meth:`labels` makes of logits."""
        chosen: np.ndarray = (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(axis=1)
        return chosen

    def activations(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        """What leaves each layer with a kernel, after its nonlinearity, by Keras name: (n, …) each.

        Of the last layer, the logits. As in ``activations.csv``.
        """
        from dlx.keras_graph import nonlinearity_outputs

        return self._outputs(nonlinearity_outputs(self.model), examples)

    def layer(self, name: str, examples: np.ndarray) -> np.ndarray:
        """What leaves one layer, by its Keras name (``dlx show`` lists them); (n, …).

        Raises :class:`~dlx.errors.UsageError` for a name that no layer has.
        """
        layers = {layer.name: layer for layer in self.model.layers}
        if name not in layers:
            raise UsageError(f"the network of trial {self.trial.id} has no layer {name!r}", hint=nearest(name, layers))
        return self._outputs({name: layers[name].output}, examples)[name]

    def evaluate(self, part: Literal["train", "validation", "test"] | Source = "test") -> dict[str, float]:
        """Loss and metrics as ``metrics.csv`` has them, without their ``test_``: of a part, or of other examples.

        A part's are computed as when the trial ended, and so are the same to the last bit on
        the same engine with as many threads. Raises :class:`~dlx.errors.DataError` where the
        data are not there, :class:`~dlx.errors.UsageError` where they have no such part.
        """
        from dlx.sources.statistics import variation

        splits = self.splits
        if not isinstance(part, str):
            splits, part = replace(splits, test=part), "test"
        source: Source | None = getattr(splits, part)
        if source is None:
            raise UsageError(f"the data of trial {self.trial.id} have no {part} part")
        self._program.attach(splits)
        metrics = self._program.stage.metrics
        return metrics.finish(self._program.evaluate(part), len(source), variation(source))

    def _load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Build the model and put the weights in it."""
        engine = self.worker.engine  # before Keras is imported, which asks for a backend
        assert engine is not None
        import keras

        setting = self.trial.setting
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(setting.training.precision)
        try:
            self.model: Any = setting.model.build(self.info.input_shape, setting.outputs)
        finally:
            keras.config.set_dtype_policy(before)
        self._weights = weights
        wanted = {variable.path: tuple(variable.shape) for variable in self.model.weights}
        given = {path: array.shape for path, array in weights.items()}
        different = sorted(path for path in {*wanted, *given} if wanted.get(path) != given.get(path))
        if different:
            path = different[0]
            raise ResultsError(
                f"{self.directory.weights} does not hold the weights of this network: {path} is "
                f"{_shape(given[path]) if path in given else 'absent'} there and "
                f"{_shape(wanted[path]) if path in wanted else 'absent'} here"
            )
        for variable in self.model.weights:
            variable.assign(weights[variable.path])

    @cached_property
    def _program(self) -> Program:
        """The compiled program that the trial was evaluated by."""
        splits, setting = self.splits, self.trial.setting
        planned = setting.pipeline[-1]
        rows = min(len(splits.train), len(splits.train) if planned.batch_size == "full" else planned.batch_size)
        stage = planned.spec.build(setting, splits, planned)
        program = self.worker.engine.compile(stage, rows, watch=False)
        program.attach(splits)
        program.set_weights(dict(self._weights))
        return program

    def _outputs(self, tensors: Mapping[str, Any], examples: np.ndarray) -> dict[str, np.ndarray]:
        """Tensors of the model by name, each (n, …)."""
        import keras
        import numpy as np
        from keras import ops

        watched = keras.Model(self.model.input, dict(tensors))
        parts = [watched(inputs, training=False) for inputs in self._blocks(examples)]
        return {
            name: np.concatenate([ops.convert_to_numpy(part[name]) for part in parts]).astype(np.float32)
            for name in tensors
        }

    def _blocks(self, examples: np.ndarray) -> Iterator[np.ndarray]:
        """Scaled inputs, as many at a time as an evaluation looks at together; one empty block of none."""
        from dlx.training.program import evaluation_rows

        rows = evaluation_rows(self.model, max(1, len(examples)))
        for start in range(0, max(1, len(examples)), rows):
            yield self.inputs(examples[start : start + rows])


def _digest(directory: TrialDirectory) -> str:
    with directory.weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "()"
