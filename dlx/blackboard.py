"""One training step of a tiny network, quantity by quantity: what one would write on a blackboard.

The numbers are the engine's own: the steps before are trained as ``dlx run`` trains them, what goes forward and back
in this one is what the probe ``values`` records, and the new weights are those that the compiled step leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlx.errors import UsageError
from dlx.preparation import prepare
from dlx.randomness import epoch_order

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting, Trial
    from dlx.training.program import Arrays, Program
    from dlx.worker import Worker

MOST_NUMBERS = 4_000
"""Weights, sums, outputs and error terms of one step: more than that, nobody follows by hand."""
MOST_CHANNELS = 4
"""Input channels of a convolution whose shares in its sums are given one by one."""

Part = Literal["given", "forward", "backward", "update", "after"]

_RANDOM = {"Dropout": "dropout", "BatchNormalization": "batch normalisation"}


@dataclass(frozen=True)
class Quantity:
    """An array of one moment of the step.

    ``symbol`` as in the literature: x, y, W, b, z, a, L; ``layer``: the Keras name of the layer
    that it belongs to, None for inputs, targets and losses. ``values``: (examples, …) of what
    goes through the network, in the shape of the weight otherwise.
    """

    part: Part
    name: str
    symbol: str
    layer: str | None
    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """A step of a trial's training, from its inputs to the new prediction.

    ``number`` from 1, of ``steps`` in all; ``ids``: the numbers of the batch's examples in the
    training part as published. ``rate``: the learning rate, where the new weights are the old
    ones less the rate times the gradients; None for any other rule.
    """

    trial: Trial
    number: int
    steps: int
    ids: tuple[int, ...]
    rate: float | None
    quantities: tuple[Quantity, ...]

    def of(self, part: Part, name: str, layer: str | None = None) -> np.ndarray:
        """The values of a quantity; raises KeyError."""
        for quantity in self.quantities:
            if (quantity.part, quantity.name, quantity.layer) == (part, name, layer):
                return quantity.values
        raise KeyError((part, name, layer))


def step(trial: Trial, worker: Worker, number: int = 1) -> Step:
    """What a trial's step does, the first by default; the steps before it are trained.

    Raises :class:`~dlx.errors.UsageError` for a network that is too large to follow, a training
    that draws at random or pretrains, and a step that it does not take.
    """
    import numpy as np

    setting = trial.setting
    steps = check(setting, number)
    program = prepare(trial, worker.load(setting.dataset), worker)
    epoch, within = divmod(number - 1, setting.steps(labelled=True))
    for passed in range(epoch + 1):
        order = epoch_order(trial.seed.order, program.stage.name, passed + 1, program.examples)
        program.begin_epoch(order, passed * program.steps)
        end = program.steps if passed < epoch else within
        if end:
            program.run(0, end)
    batch = np.sort(order[within * program.batch_size : (within + 1) * program.batch_size])
    rate = _plain_rate(setting, program.learning_rate(number - 1))
    quantities = [*_before(setting, program, batch)]
    program.run(within, within + 1)
    quantities += _after(setting, program, batch)
    ids = tuple(program.splits.train.ids[batch].tolist())
    return Step(trial, number, steps, ids, rate, tuple(quantities))


def check(setting: Setting, number: int = 1) -> int:
    """How many steps the training takes; raises :class:`~dlx.errors.UsageError` where this one cannot be shown."""
    if len(setting.pipeline) > 1 or not setting.pipeline[0].spec.supervised:
        raise UsageError("a step is shown of a training with labels from the start, and this one has other stages")
    if setting.model.reconstructs:
        raise UsageError("a step is shown of a training with targets, and an autoencoder's are its inputs")
    network = setting.network()
    drawn = [_RANDOM[row.type] for row in network.rows() if row.type in _RANDOM]
    drawn += ["augmentation"] * bool(setting.training.augmentation)
    if drawn:
        raise UsageError(
            f"a step with {' and '.join(sorted(set(drawn)))} is another in training than in evaluation, and none to "
            "follow by hand",
            hint="leave it out with --set",
        )
    examples = setting.dataset.sizes()["train"]
    size = examples if setting.training.batch_size == "full" else min(setting.training.batch_size, examples)
    units = sum(math.prod(node.shape) for node in network.nodes) + math.prod(network.input.shape)
    numbers = 3 * network.trainable_parameters + 2 * size * units
    if numbers > MOST_NUMBERS:
        raise UsageError(
            f"a step of this network has about {numbers:,} numbers ({network.trainable_parameters:,} parameters, "
            f"{units:,} inputs and units for each of {size} example{'s' * (size > 1)}), and a blackboard holds "
            f"{MOST_NUMBERS:,}",
            hint="a smaller network, smaller images or a smaller batch; dlx show lists the layers of any network",
        )
    steps = setting.training.epochs * setting.steps(labelled=True)
    if not 1 <= number <= max(1, steps):
        raise UsageError(f"there is no step {number}: the training takes {steps}")
    return max(1, steps)


def _plain_rate(setting: Setting, rate: float) -> float | None:
    """The rate of plain gradient descent on the mean loss alone."""
    training = setting.training
    optimizer = training.optimizer.model_dump(exclude={"name", "learning_rate"}, exclude_defaults=True)
    plain = training.optimizer.name == "sgd" and not optimizer and training.reduction == "mean"
    return rate if plain and not training.l1 and not training.l2 else None


def _before(setting: Setting, program: Program, batch: np.ndarray) -> Iterator[Quantity]:
    """Inputs, what goes forward through the layers, losses, and what goes back."""
    import numpy as np

    inputs, targets = program.splits.train.read(batch)
    yield Quantity("given", "inputs", "x", None, program.splits.scaling.apply(inputs))
    # The logistic loss is of labels ±1.
    signs = setting.loss.name == "logistic" and setting.outputs == 1
    yield Quantity("given", "targets", "y", None, 2 * np.asarray(targets) - 1 if signs else np.asarray(targets))
    yield from _forward(setting, program, batch, "forward")
    traced = _trace(program, batch)
    layers = program.stage.model.layers
    for layer in reversed(layers):
        if (error := traced["errors"].get(layer.name)) is not None:
            yield Quantity("backward", "error term", "∂L/∂z", layer.name, error)
        for name, gradient in traced["gradients"].get(layer.name, {}).items():
            yield Quantity("backward", f"{name} gradient", f"∂L/∂{_symbol(name)}", layer.name, gradient)


def _after(setting: Setting, program: Program, batch: np.ndarray) -> Iterator[Quantity]:
    """The new weights, and what the network gives with them."""
    for layer in program.stage.model.layers:
        for variable in layer.trainable_variables:
            values = program.weights()[variable.path]
            yield Quantity("update", variable.name, _symbol(variable.name), layer.name, values)
    for quantity in _forward(setting, program, batch, "after"):
        if quantity.layer is None:
            yield quantity


def _forward(setting: Setting, program: Program, batch: np.ndarray, part: Part) -> Iterator[Quantity]:
    """Every layer's weights and what it gives, the network's answer, and the loss."""
    import keras
    import numpy as np
    from keras import ops

    from dlx.losses import answer

    model, splits = program.stage.model, program.splits
    inputs, targets = splits.train.read(batch)
    scaled = splits.scaling.apply(inputs)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    given = keras.Model(model.input, {layer.name: layer.output for layer in layers})(scaled, training=False)
    arrays = {name: ops.convert_to_numpy(value) for name, value in given.items()}
    for layer in layers:
        for variable in layer.weights:
            yield Quantity(part, variable.name, _symbol(variable.name), layer.name, program.weights()[variable.path])
        yield from _channels(part, layer, _input(layer, scaled, arrays))
        if isinstance(layer, keras.layers.Flatten):
            continue
        kernel = any(variable.name == "kernel" for variable in layer.weights)
        name, symbol = ("weighted sums", "z") if kernel else (_MADE.get(type(layer).__name__, "outputs"), "a")
        yield Quantity(part, name, symbol, layer.name, arrays[layer.name])
    logits = ops.convert_to_tensor(arrays[layers[-1].name])
    activation = setting.loss.activation(setting.model.output_activation, setting.task)
    prediction = np.asarray(ops.convert_to_numpy(answer(logits, activation)))
    yield Quantity(part, "prediction", "a", None, prediction)
    wanted = targets if splits.target_scaling is None else program.stage.metrics.scaled(targets)  # type: ignore[attr-defined]
    losses = ops.convert_to_numpy(setting.loss.per_example(logits, ops.convert_to_tensor(wanted), activation))
    yield Quantity(part, "loss", "L", None, np.asarray(losses))
    if len(batch) > 1:
        yield Quantity(part, "mean loss", "L", None, np.asarray(losses).mean())


_MADE = {
    "Activation": "activations",
    "MaxPooling2D": "maxima",
    "AveragePooling2D": "averages",
    "GlobalAveragePooling2D": "averages",
}


def _channels(part: Part, layer: Any, inputs: np.ndarray) -> Iterator[Quantity]:
    """The share of each input channel in the sums of a convolution, bias left out."""
    import keras
    from keras import ops

    if not isinstance(layer, keras.layers.Conv2D) or layer.groups != 1 or not 1 < inputs.shape[-1] <= MOST_CHANNELS:
        return
    kernel = layer.kernel.numpy()
    for channel in range(inputs.shape[-1]):
        own = slice(channel, channel + 1)
        share = ops.conv(
            ops.convert_to_tensor(inputs[..., own]),
            ops.convert_to_tensor(kernel[:, :, own, :]),
            layer.strides,
            layer.padding,
            dilation_rate=layer.dilation_rate,
        )
        yield Quantity(part, f"sums over channel {channel + 1}", "", layer.name, ops.convert_to_numpy(share))


def _input(layer: Any, scaled: np.ndarray, arrays: Arrays) -> np.ndarray:
    """What goes into a layer."""
    source = layer.input
    tensor = source[0] if isinstance(source, list) else source
    return arrays.get(tensor._keras_history.operation.name, scaled)


def _trace(program: Program, batch: np.ndarray) -> dict[str, dict[str, Any]]:
    """Error terms by layer and gradients by layer and variable, both of the mean loss over the batch."""
    from dlx.probes.values import Spec

    numbers = program.measure(Spec(sample=len(batch)), batch)
    variables = program.stage.model.trainable_variables
    places = {id(variable): at for at, variable in enumerate(variables)}
    errors = {name.removeprefix("error "): value for name, value in numbers.items() if name.startswith("error ")}
    gradients = {
        layer.name: {one.name: numbers[f"gradient {places[id(one)]}"] for one in layer.trainable_variables}
        for layer in program.stage.model.layers
    }
    return {"errors": errors, "gradients": gradients}


def _symbol(name: str) -> str:
    return {"kernel": "W", "bias": "b"}.get(name, name)
