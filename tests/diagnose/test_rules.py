"""Each rule on tables that trigger it and tables that do not, on either side of its threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from handwritten import Trial

from dlx.diagnoses import Finding, NotJudged, registry
from dlx.diagnoses._words import listed
from dlx.records.history import History, read_history

Read = Callable[[Trial], History]


def judge(name: str, history: History, **thresholds: float) -> Finding | None:
    return registry.get(name)(name=name, **thresholds).judge(history)


def say(name: str, finding: Finding) -> str:
    return registry.get(name)(name=name).say(finding)


def speeds(*start: float, training: Sequence[float] = (), source: str = "probe", parameter: str = "bias") -> dict:
    """Gradient norms by layer from the input: before training, then at one record point of it."""
    names = [f"dense_{number}" for number in range(1, len(start) + 1)]
    values = zip(names, start, training or start, strict=True)
    return {("grad_norm", parameter, source): {name: (first, later) for name, first, later in values}}


def sigmoids(depth: int, **gradients: dict) -> Trial:
    return Trial(f"model: {{name: mlp, depth: {depth}, activation: sigmoid}}", gradients=gradients["gradients"])


# Nielsen 2015, chapter 5: ‖∂L/∂b‖ before training of nets of two, three and four hidden layers.
NIELSEN = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}


@pytest.mark.parametrize(("depth", "slower"), [(2, None), (3, 0.283 / 0.012), (4, 95.0)])
def test_vanishing_of_the_published_nets(history: Read, depth: int, slower: float | None) -> None:
    found = judge("vanishing", history(sigmoids(depth, gradients=speeds(*NIELSEN[depth], training=(1.0,) * depth))))
    if slower is None:
        assert found is None
        return
    assert found is not None
    assert found.numbers["slower"] == pytest.approx(slower, rel=1e-6)
    assert found.numbers["per_layer"] == pytest.approx(slower ** (1 / (depth - 1)), rel=1e-6)
    assert found.layers == tuple(f"dense_{number}" for number in range(1, depth + 1))
    assert found.suggestions[0] == "model.activation=relu"
    assert "Before training, dense_1 learns" in say("vanishing", found)
    assert "Training evens it out: over the epochs the ratio is 1." in say("vanishing", found)


def test_the_sentence_on_the_published_net_of_four(history: Read) -> None:
    found = judge("vanishing", history(sigmoids(4, gradients=speeds(*NIELSEN[4]))))
    assert found is not None
    assert say("vanishing", found) == (
        "Before training, dense_1 learns 95 times slower than dense_4 (gradient norm of the bias 0.003 against 0.285), "
        "a factor of 4.6 from each layer to the one before. It stays so: over the epochs the ratio is 0.0105."
    )


@pytest.mark.parametrize(("ratio", "raised"), [(0.1, True), (0.1001, False), (1.0, False), (30.0, False)])
def test_vanishing_at_its_threshold(history: Read, ratio: float, raised: bool) -> None:
    trial = sigmoids(3, gradients=speeds(ratio, 0.5, 1.0))
    assert (judge("vanishing", history(trial)) is not None) == raised


def test_another_threshold(history: Read) -> None:
    trial = history(sigmoids(3, gradients=speeds(0.04, 0.2, 1.0)))
    assert judge("vanishing", trial) is not None
    assert judge("vanishing", trial, ratio=0.01) is None


def test_vanishing_in_the_course_of_training(history: Read) -> None:
    found = judge("vanishing", history(sigmoids(3, gradients=speeds(0.5, 0.7, 1.0, training=(0.001, 0.1, 1.0)))))
    assert found is not None
    assert say("vanishing", found).startswith("Through training, dense_1 learns 1000 times slower than dense_3")


def test_the_start_of_a_later_stage_is_not_before_training(history: Read, tmp_path: Path) -> None:
    trial = sigmoids(3, gradients=speeds(0.01, 0.1, 1.0)).write(tmp_path / "staged" / "trials")
    for table in ("metrics", "gradients"):
        path = trial / f"{table}.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        later = [row.replace("train,", "finetune,", 1) for row in rows]
        first = [row.replace("train,", "layer1,", 1) for row in rows] if table == "metrics" else []
        path.write_text("".join([header, *first, *later]), encoding="utf-8")
    found = judge("vanishing", read_history(trial)[0])
    assert found is not None
    assert say("vanishing", found).startswith("At the start of finetune, dense_1 learns 100 times slower")


def test_no_gradient_at_all_in_the_first_layer(history: Read) -> None:
    found = judge("vanishing", history(sigmoids(3, gradients=speeds(0.0, 0.1, 1.0))))
    assert found is not None
    assert math.isinf(found.numbers["slower"])
    assert say("vanishing", found).startswith("dense_1 gets no gradient at all while dense_3 does")


def test_a_gradient_that_is_not_recorded_or_no_number(history: Read) -> None:
    with pytest.raises(NotJudged, match="no gradients of all hidden layers"):
        judge("vanishing", history(Trial(metrics={"train_loss": (1.0,)})))


def test_not_finite_gradients_are_no_ratio(history: Read) -> None:
    assert judge("vanishing", history(sigmoids(3, gradients=speeds(math.nan, 1.0, 1.0)))) is None


def test_one_hidden_layer_has_no_ratio(history: Read) -> None:
    trial = history(sigmoids(1, gradients=speeds(0.001)))
    assert judge("vanishing", trial) is None
    assert judge("exploding", trial) is None


def test_batch_normalisation_is_judged_by_its_steps(history: Read) -> None:
    """Inference mode before training is another net: there the sample's gradient vanishes, but not training's."""
    gradients = speeds(1e-6, 1e-3, 1.0) | speeds(0.8, 0.9, 1.0, source="train", parameter="beta")
    trial = Trial("model: {name: mlp, depth: 3, normalization: batch}", gradients=gradients, batch_normalized=True)
    assert judge("vanishing", history(trial)) is None


def test_batch_normalisation_without_steps_is_not_judged(history: Read) -> None:
    trial = Trial(
        "model: {name: mlp, depth: 3, normalization: batch}",
        gradients=speeds(1e-6, 1e-3, 1.0),
        batch_normalized=True,
    )
    with pytest.raises(NotJudged, match="source train"):
        judge("vanishing", history(trial))


@pytest.mark.parametrize(("ratio", "raised"), [(10.0, True), (9.99, False), (0.01, False)])
def test_exploding_before_training(history: Read, ratio: float, raised: bool) -> None:
    found = judge("exploding", history(sigmoids(3, gradients=speeds(ratio, 2.0, 1.0))))
    assert (found is not None) == raised
    if found is not None:
        assert found.numbers["per_layer"] == pytest.approx(math.sqrt(ratio))
        assert say("exploding", found).startswith(
            "Before training, the gradient of dense_1 is 10 times that of dense_3"
        )


@pytest.mark.parametrize(
    ("norms", "epoch"), [((1.0, 0.5, 1000.0), 3), ((1.0, 0.5, 990.0), None), ((1.0, 2.0, math.inf), 3)]
)
def test_a_jump_of_the_gradient(history: Read, norms: tuple[float, ...], epoch: int | None) -> None:
    gradients = {("grad_norm", "all", "train"): {"dense_1": norms}} | speeds(1.0, 1.0, 1.0)
    found = judge("exploding", history(Trial(gradients=gradients)))
    assert (found.numbers["epoch"] if found else None) == epoch
    if found is not None:
        assert say("exploding", found).startswith("In epoch 3, the")


@pytest.mark.parametrize(
    ("shares", "case"),
    [
        (((0.5, 0.1), (0.2, 0.1)), "start"),
        (((0.49, 0.1), (0.2, 0.1)), None),
        (((0.1, 0.9), (0.2, 0.1)), "end"),
        (((0.1, 0.89), (0.2, 0.7)), None),
    ],
)
def test_saturated(history: Read, shares: tuple[tuple[float, float], ...], case: str | None) -> None:
    layers = {f"dense_{number}": values for number, values in enumerate(shares, start=1)} | {"output": (1.0, 1.0)}
    found = judge("saturated", history(Trial(spec=SIGMOID_2, activations={"saturated": layers})))
    assert (found.case if found else None) == case
    if found is not None:
        assert found.layers == ("dense_1",)  # the output saturates as it learns, and is not meant
        assert "dense_1" in say("saturated", found)


SIGMOID_2 = "model: {name: mlp, depth: 2, activation: sigmoid}"
RELU_2 = "model: {name: mlp, depth: 2, activation: relu}"


def test_saturated_without_limits_or_records(history: Read) -> None:
    assert judge("saturated", history(Trial(RELU_2, activations={"dead": {"dense_1": (0.0, 0.0)}}))) is None


def test_saturated_needs_activations(history: Read) -> None:
    with pytest.raises(NotJudged, match="no activations"):
        judge("saturated", history(Trial(RELU_2, metrics={"train_loss": (1.0,)})))


@pytest.mark.parametrize(
    ("shares", "case"), [((0.0, 0.4), "died"), ((0.4, 0.5), "born"), ((0.9, 0.39), None), ((0.0, 0.0), None)]
)
def test_dead(history: Read, shares: tuple[float, float], case: str | None) -> None:
    dead = {"dense_1": (0.0, 0.0), "dense_2": shares, "output": (1.0, 1.0)}
    found = judge("dead", history(Trial(RELU_2, activations={"dead": dead})))
    assert (found.case if found else None) == case
    if found is not None:
        assert found.layers == ("dense_2",)
        assert found.numbers["share"] == shares[1]


def test_zeros_of_a_bounded_nonlinearity_are_not_dead(history: Read) -> None:
    activations = {"dead": {"dense_1": (1.0, 1.0)}, "saturated": {"dense_1": (0.0, 0.0)}}
    assert judge("dead", history(Trial("model: {name: mlp, activation: tanh}", activations=activations))) is None


def test_outputs_that_are_no_numbers_are_not_dead(history: Read) -> None:
    activations = {"dead": {"dense_1": (0.0, 1.0)}, "mean": {"dense_1": (0.5, math.nan)}}
    assert judge("dead", history(Trial("model: mlp", activations=activations))) is None


@pytest.mark.parametrize(
    ("losses", "state", "case"),
    [
        ((2.3, 2.0, math.nan), "diverged", "broken"),
        ((2.3, math.inf), "failed", "broken"),
        ((2.3, 1.0), "diverged", "broken"),
        ((2.3, 4.6), "done", "worse"),
        ((2.3, 4.5), "done", None),
        ((2.3, 90.0, 0.1), "done", None),
    ],
)
def test_diverged(history: Read, losses: tuple[float, ...], state: str, case: str | None) -> None:
    found = judge("diverged", history(Trial(metrics={"train_loss": losses}, state=state)))  # type: ignore[arg-type]
    assert (found.case if found else None) == case
    if found is not None:
        assert found.numbers["epoch"] == len(losses) - 1
        assert "training loss" in say("diverged", found)


def course(loss: Sequence[float], accuracy: Sequence[float], **more: Sequence[float]) -> dict[str, Sequence[float]]:
    """Metrics from epoch 0, which is like the first."""
    return {"train_loss": (loss[0], *loss), "train_accuracy": (accuracy[0], *accuracy)} | {
        name: (values[0], *values) for name, values in more.items()
    }


FLAT = [2.3] * 20
FALLING = [2.3 * 0.8**epoch for epoch in range(20)]
CHANCE = [0.1] * 20
LEARNED = [min(0.99, 0.3 + 0.05 * epoch) for epoch in range(20)]


@pytest.mark.parametrize(
    ("loss", "accuracy", "found"),
    [
        (FLAT, CHANCE, ("stays", 1, 20)),
        ([*FLAT[:6], *FALLING[:14]], [*CHANCE[:6], *LEARNED[:14]], ("left", 1, 6)),
        ([*FLAT[:4], *FALLING[:16]], [*CHANCE[:4], *LEARNED[:16]], None),  # too short
        (FALLING, LEARNED, None),
        ([*FALLING[:10], *[0.3] * 10], [*LEARNED[:10], *[0.95] * 10], None),  # converged
        ([2.3 - 0.05 * epoch for epoch in range(20)], CHANCE, None),  # slow, and moving
    ],
)
def test_plateau(history: Read, loss: list[float], accuracy: list[float], found: tuple[str, int, int] | None) -> None:
    raised = judge("plateau", history(Trial(metrics=course(loss, accuracy))))
    assert (raised and (raised.case, raised.numbers["first"], raised.numbers["last"])) == found
    if raised is not None:
        assert "stays at 2.3" in say("plateau", raised)


def test_too_few_epochs_have_no_trend(history: Read) -> None:
    with pytest.raises(NotJudged, match="fewer than 5 epochs"):
        judge("plateau", history(Trial(metrics=course(FLAT[:4], CHANCE[:4]))))


JUMPING = [2.3, 2.0, 2.6, 2.1, 2.7, 2.0, 2.5, 2.1, 2.6, 2.2]
ROUGH = [0.3] * 10


def updates(ratio: float, epochs: int = 10) -> dict:
    return {("update_ratio", "kernel", "train"): {f"dense_{n}": (ratio,) * epochs for n in (1, 2, 3)}}


@pytest.mark.parametrize(
    ("loss", "accuracy", "ratio", "raised"),
    [
        (JUMPING, ROUGH, 0.02, True),
        (JUMPING, ROUGH, 0.01, True),
        (JUMPING, ROUGH, 0.009, False),  # noise, at a usual rate
        (JUMPING, [0.99] * 10, 0.02, False),  # it has learned all the same
        (FALLING[:10], ROUGH, 0.02, False),  # large steps do no harm
    ],
)
def test_learning_rate_high(
    history: Read, loss: list[float], accuracy: list[float], ratio: float, raised: bool
) -> None:
    trial = history(Trial(metrics=course(loss, accuracy), gradients=updates(ratio)))
    found = judge("learning_rate_high", trial)
    assert (found is not None) == raised
    if found is not None:
        assert found.numbers["rises"] == pytest.approx(4 / 9)
        assert found.suggestions == ("training.optimizer.learning_rate=0.0001",)
        assert "rises in 44 % of the epochs" in say("learning_rate_high", found)


@pytest.mark.parametrize(("growth", "raised"), [(1.5, True), (1.4, False)])
def test_learning_rate_high_by_the_growth_of_the_weights(history: Read, growth: float, raised: bool) -> None:
    """After steps far too large the weights are large, too, and the ratio looks harmless."""
    norms = {f"dense_{n}": (1.0, *[growth] * 10) for n in (1, 2, 3)}
    gradients = updates(1e-4) | {("weight_norm", "kernel", "probe"): norms}
    found = judge("learning_rate_high", history(Trial(metrics=course(JUMPING, ROUGH), gradients=gradients)))
    assert (found is not None) == raised
    if found is not None:
        assert say("learning_rate_high", found).startswith("Within one epoch the weights grow 1.5 times")


SLOW = [2.3 - 0.004 * epoch for epoch in range(10)]


@pytest.mark.parametrize(
    ("loss", "accuracy", "ratio", "rate"),
    [
        (SLOW, ROUGH, 1e-4, 1e-2),
        (SLOW, ROUGH, 1e-6, 1.0),
        (SLOW, ROUGH, 1.1e-4, None),
        (SLOW, [0.99] * 10, 1e-6, None),
        (JUMPING, ROUGH, 1e-6, None),  # small steps after too large ones
        (SLOW, ROUGH, 0.0, None),  # no step at all is no small one
    ],
)
def test_learning_rate_low(
    history: Read, loss: list[float], accuracy: list[float], ratio: float, rate: float | None
) -> None:
    found = judge("learning_rate_low", history(Trial(metrics=course(loss, accuracy), gradients=updates(ratio))))
    assert (found is not None) == (rate is not None)
    if found is not None:
        assert found.suggestions[0] == f"training.optimizer.learning_rate={rate:g}"
        assert "(0.001 is usual)" in say("learning_rate_low", found)


def test_learning_rate_low_needs_update_ratios(history: Read) -> None:
    with pytest.raises(NotJudged, match="no update ratios"):
        judge("learning_rate_low", history(Trial(metrics=course(SLOW, ROUGH))))


RISING = [0.5, 0.4, 0.3, 0.25, 0.3, 0.3, 0.32, 0.33, 0.34, 0.35]


@pytest.mark.parametrize(
    ("train", "val", "val_loss", "raised"),
    [
        (1.0, 0.82, RISING, True),
        (1.0, 0.899, RISING, True),
        (1.0, 0.91, RISING, False),
        (1.0, 0.82, [0.5 - 0.01 * epoch for epoch in range(10)], False),  # a gap that still closes
        (
            1.0,
            0.82,
            [0.5 * 0.8**epoch for epoch in range(10)],
            False,
        ),  # and by much: epochs before the least are no rise
        (0.7, 0.82, RISING, False),
    ],
)
def test_overfitting(history: Read, train: float, val: float, val_loss: list[float], raised: bool) -> None:
    metrics = course(FALLING[:10], [train] * 10, val_accuracy=[val] * 10, val_loss=val_loss)
    found = judge("overfitting", history(Trial(metrics=metrics)))
    assert (found is not None) == raised
    if found is not None:
        assert found.numbers["gap"] == pytest.approx(train - val)
        assert (found.numbers["epoch"], found.numbers["least"]) == (4, 0.25)
        assert found.numbers["last"] == pytest.approx(0.34)  # the median of the last three
        assert found.suggestions[0] == "training.early_stopping={}"


def test_overfitting_needs_a_validation_set(history: Read) -> None:
    with pytest.raises(NotJudged, match="no validation set"):
        judge("overfitting", history(Trial(metrics=course(FALLING[:10], [1.0] * 10))))


@pytest.mark.parametrize(
    ("train", "val", "loss", "case"),
    [
        (0.69, 0.66, [0.9] * 9 + [0.899], "small"),
        (0.69, 0.66, [2.3 - 0.1 * epoch for epoch in range(10)], "short"),
        (0.92, 0.9, [0.9] * 10, None),
        (0.69, 0.6, [0.9] * 10, None),  # a gap: that is overfitting's
        (0.6, 0.95, [0.9] * 10, None),  # dropout: the net is better than its training score
    ],
)
def test_underfitting(history: Read, train: float, val: float, loss: list[float], case: str | None) -> None:
    if case == "small":
        loss = [2.0, 1.5, 1.2, 1.0, 0.95, 0.92, 0.905, 0.9, 0.9, 0.9]
    found = judge("underfitting", history(Trial(metrics=course(loss, [train] * 10, val_accuracy=[val] * 10))))
    assert (found.case.split()[0] if found else None) == case
    if found is not None:
        assert found.numbers["train"] == pytest.approx(train)
        assert say("underfitting", found).startswith("Only 69.0 % of the training set are right at the end (66.0 %")


REGRESSION = "dataset: function\nmodel: {name: mlp, depth: 3}"


def test_a_regression_is_judged_by_its_r2(history: Read) -> None:
    loss = [1.0, 0.8, 0.7, 0.65, 0.62, 0.61, 0.605, 0.603, 0.602, 0.6015]
    metrics = {"train_loss": [1.0, *loss], "train_r2": [0.0] + [0.4] * 10, "val_r2": [0.0] + [0.38] * 10}
    found = judge("underfitting", history(Trial(REGRESSION, metrics=metrics)))
    assert found is not None
    assert say("underfitting", found).startswith(
        "R² is only 0.4 on the training set at the end (0.38 on the validation"
    )


def test_an_overfitted_regression(history: Read) -> None:
    metrics = {
        "train_loss": [1.0, *FALLING[:10]],
        "train_r2": [0.0] + [0.99] * 10,
        "val_r2": [0.0] + [0.7] * 10,
        "val_loss": [1.0, *RISING],
    }
    found = judge("overfitting", history(Trial(REGRESSION, metrics=metrics)))
    assert found is not None
    assert say("overfitting", found).startswith("R² is 0.99 on the training set and 0.7 on the validation set")


def test_what_has_no_score_is_on_no_plateau(history: Read) -> None:
    with pytest.raises(NotJudged, match="no score"):
        judge("plateau", history(Trial(REGRESSION, metrics={"train_loss": [1.0] * 11})))


@pytest.mark.parametrize(
    ("idle", "raised"), [((0.0, 0.0), True), ((9e-7, 1e-8), True), ((1.1e-6, 0.0), False), ((0.5, 0.0), False)]
)
def test_a_layer_that_does_not_learn(history: Read, idle: tuple[float, float], raised: bool) -> None:
    layers = {"dense_1": idle, "dense_2": (0.5, 0.5), "output": (1.0, 1.0)}
    found = judge("idle_layer", history(Trial(RELU_2, gradients={("grad_norm", "all", "train"): layers})))
    assert (found is not None) == raised
    if found is not None:
        assert found.layers == ("dense_1",)


def test_a_net_without_any_gradient_has_converged(history: Read) -> None:
    layers = {"dense_1": (0.0, 0.0), "output": (0.0, 0.0)}
    assert judge("idle_layer", history(Trial(RELU_2, gradients={("grad_norm", "all", "train"): layers}))) is None


@pytest.mark.parametrize("name", registry.names())
def test_every_rule_is_described(name: str) -> None:
    rule = registry.get(name)
    assert rule.summary and rule.source and rule.headline and rule.__doc__
    assert set(rule.explained_by) <= set(registry.names()) - {name}
    thresholds = {key: field for key, field in rule.model_fields.items() if key != "name"}
    assert thresholds and all(field.description for field in thresholds.values())


def test_nothing_recorded_is_not_judged(history: Read) -> None:
    """A trial with no table at all: no rule finds anything, none fails."""
    empty = history(Trial())
    for name in registry.names():
        with pytest.raises(NotJudged):
            judge(name, empty)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("dense_1", "dense_2"), "dense_1, dense_2"),
        (tuple(f"dense_{number}" for number in range(1, 8)), "dense_1, dense_2, …, dense_7"),
        (
            tuple(f"stage_1_block_{block}_conv_{number}" for block in (1, 2) for number in (1, 2, 3)),
            "3 layers of stage_1/block_1, 3 layers of stage_1/block_2",
        ),
        (
            ("conv_1", *(f"stage_{stage}_block_{block}_conv_1" for stage in (1, 3) for block in range(1, 6)), "output"),
            "conv_1, 5 layers of stage_1, 5 layers of stage_3, output",
        ),
    ],
)
def test_many_layers_are_told_by_block_or_stage(names: tuple[str, ...], said: str) -> None:
    assert listed(names) == said
