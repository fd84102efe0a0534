"""``experiments/worked/``: what `dlx step` writes, against the figures of the pages and sums done in NumPy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

ENGINE = os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = ENGINE  # before anything below imports Keras

from dlx import blackboard
from dlx.blackboard import Step
from dlx.cli.main import main
from dlx.cli.step import lines
from dlx.errors import UsageError
from dlx.spec import load, load_text
from dlx.worker import Runtime, Worker

WORKED = Path(__file__).resolve().parent.parent.parent / "experiments" / "worked"
IMAGE = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
MAP = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]])


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Runtime(engine=ENGINE, threads=2))


def steps(name: str, worker: Worker, *sets: str, number: int = 1) -> list[Step]:
    return [blackboard.step(trial, worker, number) for trial in load(WORKED / f"{name}.yaml", sets).trials]


def printed(shown: Step) -> list[str]:
    """The lines of the blackboard, runs of blanks as one."""
    return [" ".join(line.split()) for text in lines("spec", shown) for line in text.splitlines()]


def windows(image: np.ndarray, size: int, stride: int = 1) -> np.ndarray:
    """(rows, columns, size, size) of an image."""
    every = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return every[::stride, ::stride]


def test_backpropagation_by_hand(worker: Worker) -> None:
    (shown,) = steps("backpropagation", worker)
    assert shown.of("forward", "weighted sums", "dense_1") == pytest.approx(np.array([[0.85, 0.48]]), abs=1e-7)
    assert shown.of("forward", "prediction") == pytest.approx(0.191, abs=1e-7)
    assert shown.of("backward", "error term", "output") == pytest.approx(-0.809, abs=1e-7)
    first, second = shown.of("update", "kernel", "dense_1"), shown.of("update", "kernel", "output")
    published = [[0.12, 0.13], [0.23, 0.10]], [[0.17], [0.17]]
    for found, expected in zip((first, second), published, strict=True):
        assert np.array_equal(np.round(found.astype(float), 2), expected)
    # In float64 by the chain rule: each weight's gradient is Δ times what lies on its way.
    x, w1, w2 = np.array([2, 3]), np.array([[0.11, 0.12], [0.21, 0.08]]), np.array([0.14, 0.15])
    delta = x @ w1 @ w2 - 1
    new = x @ (w1 - 0.05 * delta * np.outer(x, w2)) @ (w2 - 0.05 * delta * (x @ w1))
    assert shown.of("after", "prediction").item() == pytest.approx(new, abs=2e-7)
    board = printed(shown)
    for line in ("weighted sums z 0.85 0.48", "prediction a 0.191", "error term ∂L/∂z -0.809", "prediction a 0.255746"):
        assert line in board
    assert "0.11 - 0.05·(-0.22652) = 0.121326" in board
    assert board.index("loss L 0.327241") < board.index("Backward") < board.index("New weights")


def test_rounded_weights_predict_something_else(worker: Worker) -> None:
    (shown,) = steps("backpropagation-rounded", worker)
    assert "prediction a 0.2533" in printed(shown)


def test_the_logistic_loss_by_the_margin(worker: Worker) -> None:
    (shown,) = steps("logistic-loss", worker)
    margins = np.array([-2, -1, 0, 1, 2])
    assert shown.of("given", "targets").tolist() == [1, 1, 1, 1, -1]
    assert shown.of("forward", "loss") == pytest.approx(np.log1p(np.exp(-margins)), rel=1e-6)
    slopes = -np.array([1, 1, 1, 1, -1]) / (1 + np.exp(margins)) / 5  # of the mean
    assert shown.of("backward", "error term", "output").ravel() == pytest.approx(slopes, rel=1e-6)
    assert [f"{value:.4f}" for value in shown.of("forward", "loss")] == [
        "2.1269",
        "1.3133",
        "0.6931",
        "0.3133",
        "0.1269",
    ]


def test_the_quadratic_loss_and_its_error_terms(worker: Worker) -> None:
    linear, sigmoid = steps("quadratic-loss", worker)
    for shown, error in ((linear, [-0.2, 0.3]), (sigmoid, [-0.2 * 0.16, 0.3 * 0.21])):
        assert shown.of("forward", "prediction") == pytest.approx(np.array([[0.8, 0.3]]), abs=1e-7)
        assert shown.of("forward", "loss") == pytest.approx(0.065, abs=1e-7)
        assert shown.of("backward", "error term", "output")[0] == pytest.approx(error, abs=1e-7)


def test_two_linear_layers_answer_as_one(worker: Worker) -> None:
    two, one = steps("linear", worker)
    product = two.of("forward", "kernel", "dense_1") @ two.of("forward", "kernel", "output")
    assert np.array_equal(product, one.of("forward", "kernel", "output"))
    assert two.of("forward", "prediction").tolist() == one.of("forward", "prediction").tolist() == [[-1], [4]]
    assert two.of("after", "prediction").tolist() != one.of("after", "prediction").tolist()


def test_the_convolution_of_the_page(worker: Worker) -> None:
    shown, strided = steps("convolution", worker)
    kernel = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    found = shown.of("forward", "weighted sums", "conv_1")[0, ..., 0]
    assert found.tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]
    assert np.array_equal(found, (windows(IMAGE, 3) * kernel).sum(axis=(2, 3)))
    assert strided.of("forward", "weighted sums", "conv_1")[0, ..., 0].tolist() == [[4, 4], [2, 4]]
    # The gradient of the kernel: the patches under it, each times the error there.
    error = shown.of("backward", "error term", "conv_1")[0, ..., 0]
    by_hand = np.einsum("ij,ijkl->kl", error, windows(IMAGE, 3))
    assert shown.of("backward", "kernel gradient", "conv_1")[..., 0, 0] == pytest.approx(by_hand, rel=1e-5)


def test_the_colour_convolution_of_the_page(worker: Worker) -> None:
    (shown,) = steps("rgb-convolution", worker)
    found = shown.of("forward", "weighted sums", "conv_1")[0, ..., 0]
    assert found[:2, :4].tolist() == [[-25, 466, 466, 475], [295, 787, 798, 812]]
    shares = [shown.of("forward", f"sums over channel {channel}", "conv_1")[0, 0, 0, 0] for channel in (1, 2, 3)]
    assert shares == [308, -498, 164]
    assert "308 - 498 + 164 + 1 = -25" in printed(shown)


def test_pooling(worker: Worker) -> None:
    largest, mean = steps("pooling", worker)
    assert largest.of("forward", "maxima", "pool_1")[0, ..., 0].tolist() == [[3, 3, 3], [3, 3, 3], [3, 2, 3]]
    expected = windows(MAP, 3).mean(axis=(2, 3))
    assert mean.of("forward", "averages", "pool_1")[0, ..., 0] == pytest.approx(expected, rel=1e-6)


def test_shapes_and_parameters() -> None:
    networks = [trial.setting.network() for trial in load(WORKED / "shapes.yaml").trials]
    found = [[(row.output_shape, row.parameters) for row in network.rows()] for network in networks]
    grey, colour = found[:2], found[2:]
    assert [rows[0] for rows in grey] == [((28, 28, 6), 5 * 5 * 6 + 6), ((30, 30, 24), 3 * 3 * 24 + 24)]
    assert [rows[0] for rows in colour] == [((28, 28, 6), 3 * 150 + 6), ((30, 30, 24), 3 * 216 + 24)]
    assert [[rows[2][0] for rows in kind] for kind in (grey, colour)] == [[(14, 14, 6), (15, 15, 24)]] * 2


def test_a_later_step_goes_on_where_the_one_before_ended(worker: Worker) -> None:
    sets = ["training.epochs=4", "dataset.inputs=[[2, 3], [1, -1]]", "dataset.targets=[1, 0]", "training.batch_size=1"]
    sets += ["dataset.test_inputs=null", "dataset.test_targets=null"]
    first, second, third = (steps("backpropagation", worker, *sets, number=number)[0] for number in (1, 2, 3))
    assert (first.steps, first.number, third.number) == (8, 1, 3)
    assert sorted(first.ids + second.ids) == [0, 1]  # an epoch sees both examples
    for before, after in ((first, second), (second, third)):
        for layer in ("dense_1", "output"):
            assert np.array_equal(before.of("update", "kernel", layer), after.of("forward", "kernel", layer))
    with pytest.raises(UsageError, match="there is no step 9: the training takes 8"):
        steps("backpropagation", worker, *sets, number=9)


def test_the_command_takes_names_settings_and_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["step", "worked/quadratic-loss", "--json", "--engine", ENGINE]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["schema"], content["name"], len(content["steps"])) == ("dlx.step/1", "quadratic-loss", 2)
    first, *_ = content["steps"][0]["quantities"]
    assert first == {"part": "given", "quantity": "inputs", "symbol": "x", "layer": None, "values": [[1.0]]}
    assert main(["step", "worked/backpropagation", "--digits", "2", "--engine", ENGINE]) == 0
    assert "prediction            a      0.26\n" in capsys.readouterr().out
    assert main(["step", "worked/photograph"]) == 2
    assert "a blackboard holds 4,000" in capsys.readouterr().err
    assert main(["step", "worked/backpropagatio"]) == 2
    assert "did you mean 'worked/backpropagation'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ("model: {name: mlp, width: 100}", r"about \d\d,\d+ numbers .* and a blackboard holds 4,000"),
        ("model: {name: mlp, width: 2, dropout: 0.5}\ntraining: {batch_size: 1}", "a step with dropout is another"),
        ("model: {name: mlp, width: 2, normalization: batch}", "a step with batch normalisation is another"),
        ("model: {name: mlp, width: 2, activation: sigmoid}\npretraining: rbm", "this one has other stages"),
        ("model: {name: autoencoder, hidden: [2]}", "an autoencoder's are its inputs"),
    ],
)
def test_what_nobody_could_follow_is_refused(sets: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        blackboard.check(load_text(sets).trials[0].setting)
