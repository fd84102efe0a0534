"""The engine contract: one suite for every engine (``DLX_ENGINE`` names the one under test)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from dlx import losses
from dlx.probes.activations import Spec as Activations
from dlx.probes.gradients import Spec as Gradients
from dlx.stages import Group, StepResult
from dlx.training import feed
from dlx.training.engine import Engine
from dlx.training.program import Program, evaluation_rows
from tests.training.backpropagation import Perceptron
from tests.training.made import bits, cnn, made_splits, mlp, order, start, supervised, train

MakeProgram = Callable[..., Program]


def sgd(rate: float = 0.5, **arguments: Any) -> Any:
    import keras

    return keras.optimizers.SGD(rate, **arguments)


def adam() -> Any:
    import keras

    return keras.optimizers.Adam(0.01)


def reference(program: Program) -> tuple[Perceptron, np.ndarray, np.ndarray]:
    """The program's MLP in NumPy, and its training data scaled."""
    splits = program.splits
    inputs, labels = splits.train.arrays
    return Perceptron.of(list(start(program).values())), splits.scaling.apply(inputs).astype(np.float64), labels


def batches(program: Program, epoch: int) -> Iterable[np.ndarray]:
    visited = order(program, epoch)
    return [visited[i : i + program.batch_size] for i in range(0, len(visited), program.batch_size)]


@pytest.mark.parametrize("penalty", [{}, {"l2": 0.05}, {"l1": 0.02}], ids=["plain", "l2", "l1"])
def test_steps_norms_and_moves_are_those_of_backpropagation_by_hand(program: MakeProgram, penalty: dict) -> None:
    splits = made_splits()
    trained = program(lambda: supervised(mlp(splits, 5, 4), sgd(), **penalty), splits)
    net, inputs, labels = reference(trained)

    for epoch, numbers in enumerate(train(trained, epochs=2)):
        squares, losses_sum, correct = np.zeros(6), 0.0, 0
        for batch in batches(trained, epoch):
            losses_sum += net.loss(inputs[batch], labels[batch]).sum()
            correct += (net.probabilities(inputs[batch])[1].argmax(axis=1) == labels[batch]).sum()
            before = [value.copy() for value in net.parameters()]
            gradients = net.descend(inputs[batch], labels[batch], 0.5, **penalty)
            squares += [np.square(gradient).sum() for gradient in gradients]
        moved = [np.linalg.norm(new - old) for new, old in zip(net.parameters(), before, strict=True)]

        np.testing.assert_allclose(numbers.gradient_norms["model"], np.sqrt(squares / trained.steps), rtol=1e-5)
        np.testing.assert_allclose([delta for delta, _ in numbers.moves["model"]], moved, rtol=2e-4)
        np.testing.assert_allclose(
            [norm for _, norm in numbers.moves["model"]], [np.linalg.norm(value) for value in before], rtol=1e-5
        )
        np.testing.assert_allclose(numbers.sums["loss"], losses_sum, rtol=1e-5)
        assert numbers.sums["accuracy"] == correct
    for value, expected in zip(trained.weights().values(), net.parameters(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_probe_gradients_are_those_of_backpropagation_by_hand(program: MakeProgram) -> None:
    splits = made_splits(train=60)
    trained = program(lambda: supervised(mlp(splits, 5, 4), sgd()), splits)
    net, inputs, labels = reference(trained)
    measured = trained.measure(Gradients(sample=37))
    gradients = net.gradients(inputs[:37], labels[:37])
    np.testing.assert_allclose(measured["gradient"], [np.linalg.norm(g) for g in gradients], rtol=1e-5)
    np.testing.assert_allclose(measured["weight"], [np.linalg.norm(v) for v in net.parameters()], rtol=1e-5)


def test_a_probe_gives_the_same_in_one_part_and_in_many(program: MakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = made_splits(train=60)

    def measured(rows: int) -> list[dict[str, np.ndarray]]:
        monkeypatch.setattr("dlx.training.program.EVALUATION_ROWS", rows)
        model = mlp(splits, 5, 4)
        watched = {"nonlinearities": {"dense_1": model.get_layer("act_1").output, "output": model.output}}
        trained = program(lambda: supervised(model, sgd(), **watched, limits={"dense_1": (0.0, 1.0)}), splits)
        return [trained.measure(Gradients(sample=50)), trained.measure(Activations(sample=50))]

    whole, parts = measured(1000), measured(7)
    for one, other in zip(whole, parts, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=2e-6, atol=1e-7)


def test_convolution_gradients_agree_with_finite_differences(program: MakeProgram) -> None:
    splits = made_splits(shape=(6, 6, 1), train=24)
    trained = program(lambda: supervised(cnn(splits), sgd()), splits)
    weights = trained.weights()
    # Directional derivatives: along a random direction of each variable, ±h, in float32 forward passes
    # whose loss is summed in float64.
    rng = np.random.default_rng(3)
    gradients = numeric_norms(trained, weights, rng)
    measured = dict(
        zip(
            [v.path for v in trained.stage.model.trainable_variables],
            trained.measure(Gradients(sample=24))["gradient"],
            strict=True,
        )
    )
    for path, norm in gradients.items():
        np.testing.assert_allclose(measured[path], norm, rtol=2e-2)


def numeric_norms(program: Program, weights: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, float]:
    """‖∂L/∂θ‖ of every trainable variable by central differences, coordinate by coordinate."""

    def loss() -> float:
        return float(program.evaluate("train")["loss"]) / program.examples

    norms = {}
    for variable in program.stage.model.trainable_variables:
        value, slopes = weights[variable.path], []
        for index in np.ndindex(*value.shape):
            sides = []
            for step in (1e-2, -1e-2):
                moved = value.copy()
                moved[index] += step
                program.set_weights({**weights, variable.path: moved})
                sides.append(loss())
            slopes.append((sides[0] - sides[1]) / 2e-2)
        norms[variable.path] = float(np.linalg.norm(slopes))
    program.set_weights(weights)
    return norms


def dropout_net(splits: Any) -> Any:
    return supervised(mlp(splits, 6, 5, activation="relu", dropout=0.3, normalize=True), adam())


@pytest.fixture(scope="module")
def compiled(engine: Engine) -> list[Program]:
    splits = made_splits()
    return [engine.program(f"compiled/{n}", lambda: dropout_net(splits), splits, 10, watch=True) for n in range(2)]


@pytest.fixture
def pair(compiled: list[Program]) -> list[Program]:
    """Two programs of the same net before their first step, which below is shown to be as if they were new."""
    for program in compiled:
        program.load(start(program), 0)
    return compiled


@pytest.mark.parametrize("cuts", [(1,), (2, 3), (1, 2, 3, 4)])
def test_chunks_change_no_bit(pair: list[Program], cuts: tuple[int, ...]) -> None:
    one, other = pair
    whole, cut = train(one, epochs=3), train(other, epochs=3, cuts=cuts)
    assert [n.gradient_norms["model"] for n in whole] == [n.gradient_norms["model"] for n in cut]
    assert [n.sums for n in whole] == [n.sums for n in cut]
    assert list(bits(one.weights()).values()) == list(bits(other.weights()).values())


@pytest.mark.parametrize("build", ["dense", "convolution"])
def test_watching_changes_no_bit(program: MakeProgram, build: str) -> None:
    splits = made_splits(shape=(6, 6, 1))
    stages = {"dense": lambda: dropout_net(splits), "convolution": lambda: supervised(cnn(splits), adam())}
    watched = program(stages[build], splits, watch=True)
    unwatched = program(stages[build], splits, watch=False)
    assert train(watched, epochs=3)[-1].gradient_norms
    assert not train(unwatched, epochs=3)[-1].gradient_norms
    watched.measure(Gradients())
    assert list(bits(watched.weights()).values()) == list(bits(unwatched.weights()).values())


@pytest.mark.parametrize("build", ["dense", "convolution"])
def test_streamed_data_give_the_same_bits(
    program: MakeProgram, engine: Engine, monkeypatch: pytest.MonkeyPatch, build: str
) -> None:
    splits = made_splits(shape=(6, 6, 1))
    stages = {"dense": lambda: dropout_net(splits), "convolution": lambda: supervised(cnn(splits), adam())}

    def trained() -> tuple[Any, ...]:
        made = program(stages[build], splits)
        numbers = train(made, epochs=2, cuts=(2,))
        evaluated = [made.evaluate(part) for part in ("train", "validation", "test")]
        return evaluated, [(n.sums, n.gradient_norms) for n in numbers], list(bits(made.weights()).values())

    resident = trained()
    monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
    for rows in (1, 3):
        monkeypatch.setattr(feed, "WINDOW_BYTES", rows * 10 * splits.train.nbytes // len(splits.train))
        streamed = trained()
        if engine.name == "jax":  # XLA compiles anew for other shapes, and may round otherwise
            losses = [[sums["loss"] for sums in evaluated] for evaluated in (streamed[0], resident[0])]
            np.testing.assert_allclose(*losses, rtol=1e-4)
        else:
            assert streamed == resident


@pytest.mark.parametrize("at", [(0, 3), (1, 1), (1, 5), (2, 0)])
def test_a_snapshot_goes_on_to_the_same_bits(pair: list[Program], at: tuple[int, int]) -> None:
    epochs, (epoch, step) = 3, at
    undisturbed, begun = pair
    expected = train(undisturbed, epochs)

    train(begun, epoch)
    begun.begin_epoch(order(begun, epoch), epoch * begun.steps)
    if step:
        begun.run(0, step)
    snapshot = {name: array.copy() for name, array in begun.snapshot().items()}

    begun.load(start(begun), 99)  # whatever was there before
    train(begun, 1)
    begun.restore(snapshot)
    numbers = []
    for number in range(epoch, epochs):
        begun.begin_epoch(order(begun, number), number * begun.steps)
        first = step if number == epoch else 0
        if first < begun.steps:
            begun.run(first, begun.steps)
        numbers.append(begun.end_epoch())
    assert numbers == expected[epoch:]
    assert list(bits(begun.weights()).values()) == list(bits(undisturbed.weights()).values())


def test_a_program_starts_the_next_trial_as_if_new(program: MakeProgram) -> None:
    splits = made_splits()
    fresh = program(lambda: dropout_net(splits), splits)
    train(fresh, 2)
    used = program(lambda: dropout_net(splits), splits)
    used.load({name: value + 1 for name, value in start(used).items()}, 5)
    train(used, 3)
    used.load(start(used), 0)
    train(used, 2)
    assert list(bits(used.weights()).values()) == list(bits(fresh.weights()).values())


def test_evaluation_is_the_mean_over_each_example_once(program: MakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = made_splits(train=53)
    net = None
    for rows in (1000, 8):
        monkeypatch.setattr("dlx.training.program.EVALUATION_ROWS", rows)
        made = program(lambda: supervised(mlp(splits, 5), sgd()), splits)
        net = Perceptron.of(list(start(made).values()))
        for name, source in (("train", splits.train), ("validation", splits.validation), ("test", splits.test)):
            inputs, labels = source.arrays
            scaled = splits.scaling.apply(inputs).astype(np.float64)
            sums = made.evaluate(name)
            np.testing.assert_allclose(sums["loss"], net.loss(scaled, labels).sum(), rtol=1e-6)
            assert sums["accuracy"] == (net.probabilities(scaled)[1].argmax(axis=1) == labels).sum()


def test_the_larger_the_activations_the_fewer_examples_are_looked_at_together(engine: Engine) -> None:
    import keras

    def rows(shape: tuple[int, ...], filters: int, examples: int, trials: int = 1) -> int:
        inputs = keras.Input(shape)
        net = keras.Model(inputs, keras.layers.Conv2D(filters, 1)(inputs))
        return evaluation_rows(net, examples, trials)

    if engine.device() != "cpu":
        pytest.skip("of a CPU")
    assert rows((28, 28, 1), 1, 60_000) == 1000
    assert rows((32, 32, 3), 16, 10_000) == 128  # as ResNet-20 has them: 2,097,152 values
    assert rows((32, 32, 3), 16, 10_000, trials=4) == 32
    assert rows((224, 224, 3), 64, 10_000) == 8  # as VGG-16 has them; no fewer
    assert rows((224, 224, 3), 64, 5) == 5


def test_an_evaluation_that_is_broken_off_leaves_the_program_as_it_was(program: MakeProgram) -> None:
    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    splits = made_splits()
    made = program(lambda: dropout_net(splits), splits)
    made.begin_epoch(order(made, 0), 0)
    made.run(0, made.steps)
    before = bits(made.snapshot())
    with pytest.raises(Enough):
        made.evaluate("train", enough)
    assert bits(made.snapshot()) == before


def test_long_sums_lose_no_digits(program: MakeProgram) -> None:
    # 40,000 steps of a loss of about 1: a plain float32 sum would be off in the fifth digit.
    splits = made_splits(train=40_000)
    made = program(lambda: supervised(mlp(splits), sgd(0.0)), splits, 1)
    numbers = train(made)[0]
    net, inputs, labels = reference(made)
    np.testing.assert_allclose(numbers.sums["loss"], net.loss(inputs, labels).sum(), rtol=1e-7)
    squares = np.zeros(2)
    _, probabilities = net.probabilities(inputs)
    delta = probabilities - np.eye(3)[labels]
    squares += (np.square(delta).sum(1) * np.square(inputs).sum(1)).sum(), np.square(delta).sum()
    np.testing.assert_allclose(numbers.gradient_norms["model"], np.sqrt(squares / 40_000), rtol=1e-6)


class TwoPlayers:
    """Two groups with an optimiser each, an update that is no gradient (w ← w + ½), a state, and draws."""

    name = "game"
    view = None

    def __init__(self) -> None:
        import keras

        self.model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, use_bias=False, name="walker")])
        self.descender = keras.Variable([3.0], name="descender")
        self.seen = keras.Variable(0.0, trainable=False, name="seen")
        self.groups = {
            "model": Group(list(self.model.trainable_variables), sgd(1.0), penalised=[False]),
            "other": Group([self.descender], sgd(0.25), penalised=[False]),
        }
        self.state = [self.seen]

    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"drawn": (2,)}

    def step(self, groups: Any, state: Any, batch: Any, key: Any, differentiate: Any) -> StepResult:
        import keras
        from keras import ops

        (_, _), (slope,) = differentiate(lambda values: (ops.sum(values[0] ** 2), ()), groups["other"])
        walk = [-0.5 * ops.ones_like(value) for value in groups["model"]]
        drawn = ops.stack([keras.random.uniform((), seed=key), keras.random.uniform((), seed=key)])
        return StepResult({"model": walk, "other": [slope]}, [state[0] + 1.0], {"drawn": drawn})


def test_groups_have_their_own_optimisers_and_updates_need_not_be_gradients(program: MakeProgram) -> None:
    splits = made_splits()
    made = program(TwoPlayers, splits)
    made.load(
        {made.stage.descender.path: np.array([3.0], np.float32), made.stage.seen.path: np.zeros((), np.float32)}, 7
    )
    first = made.stage.groups["model"].variables[0].numpy()
    drawn = [numbers.sums["drawn"] for numbers in train(made, 2)]
    steps = 2 * made.steps
    np.testing.assert_allclose(made.stage.groups["model"].variables[0].numpy(), first + 0.5 * steps, rtol=1e-5)
    np.testing.assert_allclose(made.stage.descender.numpy(), [3.0 * 0.5**steps], rtol=1e-5)
    assert float(made.stage.seen.numpy()) == steps
    # Draws differ from call to call, step to step, epoch to epoch, and are the same next time.
    assert len({float(value) for sums in drawn for value in sums}) == 4
    made.load({made.stage.seen.path: np.zeros((), np.float32)}, 7)
    again = [numbers.sums["drawn"] for numbers in train(made, 2, cuts=(2,))]
    np.testing.assert_array_equal(again, drawn)
    made.load({}, 8)
    assert not np.array_equal(train(made, 1)[0].sums["drawn"], drawn[0])


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_close_to_single(program: MakeProgram, precision: str) -> None:
    import keras

    splits = made_splits()

    def build(policy: str) -> Any:
        keras.config.set_dtype_policy(policy)
        try:
            model = mlp(splits, 8, activation="tanh")
        finally:
            keras.config.set_dtype_policy("float32")
        optimizer = sgd(0.1)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        return supervised(model, optimizer, l2=0.01)

    single, mixed = (program(lambda p=p: build(p), splits) for p in ("float32", precision))
    expected, found = train(single, 2)[-1], train(mixed, 2)[-1]
    np.testing.assert_allclose(found.gradient_norms["model"], expected.gradient_norms["model"], rtol=0.05)
    for value, other in zip(mixed.weights().values(), single.weights().values(), strict=True):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, other, atol=0.02)


def test_steps_that_half_precision_skips_are_not_in_the_norms(program: MakeProgram) -> None:
    """Where scaled gradients overflow, the optimiser halves the scale and takes no step."""
    import keras

    splits = made_splits()

    def build() -> Any:
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = mlp(splits, 5, 4)
        finally:
            keras.config.set_dtype_policy("float32")
        return supervised(model, keras.optimizers.LossScaleOptimizer(sgd(), initial_scale=2.0**20))

    trained = program(build, splits, batch_size=4)
    optimizer = trained.stage.groups["model"].optimizer.inner_optimizer
    net, inputs, labels = reference(trained)
    squares, taken = np.zeros(6), 0
    trained.begin_epoch(order(trained, 0), 0)
    for step, batch in enumerate(batches(trained, 0)):
        trained.run(step, step + 1)
        if int(np.asarray(optimizer.iterations)) > taken:
            taken += 1
            squares += [np.square(gradient).sum() for gradient in net.descend(inputs[batch], labels[batch], 0.5)]
    assert 0 < taken < trained.steps, "some steps overflow and some do not"
    found = trained.end_epoch().gradient_norms["model"]
    np.testing.assert_allclose(found, np.sqrt(squares / taken), rtol=0.02)


def test_learning_rates_follow_their_schedule(program: MakeProgram) -> None:
    import keras

    splits = made_splits()
    rate = keras.optimizers.schedules.ExponentialDecay(0.8, decay_steps=5, decay_rate=0.5, staircase=True)
    made = program(lambda: supervised(mlp(splits), sgd(rate)), splits)
    assert [made.learning_rate(step) for step in (0, 4, 5, 10)] == pytest.approx([0.8, 0.8, 0.4, 0.2])
    constant = program(lambda: supervised(mlp(splits), sgd(0.125)), splits)
    assert constant.learning_rate(1000) == 0.125


@pytest.mark.parametrize("name", losses.names())
def test_losses_are_their_textbook_formulas(name: str) -> None:
    loss = losses.get(name)
    rng = np.random.default_rng(1)
    z, labels = 3 * rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 4, 20)
    y = np.eye(4)[labels]
    sigmoid, softmax = 1 / (1 + np.exp(-z)), np.exp(z) / np.exp(z).sum(1, keepdims=True)
    error = np.abs(z.astype(np.float64) - y)
    expected = {
        "cross_entropy": -np.log(softmax[np.arange(20), labels]),
        "sigmoid_cross_entropy": -(y * np.log(sigmoid) + (1 - y) * np.log(1 - sigmoid)).sum(1),
        "quadratic": 0.5 * np.square(sigmoid - y).sum(1),
        "logistic": np.log(1 + np.exp(-(2 * y - 1) * z)).sum(1),
        "mean_squared_error": np.square(z - y).mean(1),
        "mean_absolute_error": error.mean(1),
        "huber": np.where(error <= 1, error**2 / 2, error - 0.5).mean(1),
        "log_cosh": np.log(np.cosh(error)).mean(1),
    }[name]
    found = loss.per_example(z, labels.astype(np.int32), loss.default_output_activation)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4)


def test_the_logistic_loss_of_two_classes_has_one_output() -> None:
    h, labels = np.array([[2.0], [-1.0], [0.5]], np.float32), np.array([1, 0, 0], np.int32)
    found = losses.get("logistic").per_example(h, labels, "linear")
    np.testing.assert_allclose(np.asarray(found), np.log1p(np.exp([-2.0, -1.0, 0.5])), rtol=1e-6)
