"""Scores against scikit-learn's, perturbations against NumPy's own turns and shifts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics

from dlx.errors import UsageError
from dlx.evaluation import answers, check_together, evaluate, recalls, regression
from dlx.inputs import Examples
from dlx.perturbations import brightness, occlude, rotate, scale, shift
from dlx.records.trial_directory import TrialDirectory
from dlx.trained import Trained
from tests.trained.test_trained import LINE, MLP

Network = Callable[..., Trained]
Train = Callable[..., list[TrialDirectory]]


def test_part(network: Trained) -> Examples:
    source = network.splits.test
    assert source is not None and source.arrays is not None
    inputs, targets = source.arrays
    return Examples(inputs, tuple(map(str, source.ids)), targets)


def test_scores_are_those_of_scikit_learn(network: Network) -> None:
    trained = network(MLP, "training.epochs=1")
    examples = test_part(trained)
    scores = evaluate([trained], examples)
    labels = trained.labels(examples.inputs)
    assert scores.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(examples.targets, labels))
    assert np.float32(scores.metrics["accuracy"]) == np.float32(trained.recorded["test_accuracy"])
    expected = metrics.balanced_accuracy_score(examples.targets, labels)
    assert scores.metrics["balanced_accuracy"] == pytest.approx(expected)
    expected = metrics.recall_score(examples.targets, labels, average=None)
    assert [one.recall for one in scores.classes] == pytest.approx(list(expected))
    assert sum(one.examples for one in scores.classes) == scores.examples == len(labels)
    assert 0.3 < scores.metrics["accuracy"] < 1.0  # neither trivial


AUTOENCODER = """
dataset: {name: digits, train_limit: 300}
model: {name: autoencoder, hidden: [16, 4], activation: sigmoid}
training: {epochs: 2, batch_size: 20}
probes: null
"""


def test_an_autoencoder_has_the_error_of_its_reconstructions(network: Network) -> None:
    trained = network(AUTOENCODER)
    examples = test_part(trained)
    scores = evaluate([trained], examples)
    wanted = trained.inputs(examples.inputs).reshape(len(examples.inputs), -1)
    given = trained.predict(examples.inputs)
    assert scores.metrics["reconstruction_error"] == pytest.approx(metrics.mean_squared_error(wanted, given), rel=1e-5)
    for name in ("rmse", "mae", "r2"):
        assert scores.metrics[name] == pytest.approx(trained.recorded[f"test_{name}"], rel=1e-4)
    with pytest.raises(UsageError, match="an autoencoder chooses none"):
        evaluate([trained], examples, {"shift": 1.0})


def test_on_other_data_beside_its_own(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels are nothing to an autoencoder: a set of other classes will do, one of another shape will not."""
    import json

    from dlx.cli.evaluate import evaluate as command

    (directory,) = train(AUTOENCODER)
    other = "{name: digits, classes: [0, 1]}"
    command(str(directory.path), other, part="train", as_json=True)
    (found,) = json.loads(capsys.readouterr().out)["evaluations"]
    command(str(directory.path), None, part="train", as_json=True)
    (own,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert found["own"] == own["metrics"] and own["own"] is None
    assert found["metrics"] != own["metrics"]
    command(str(directory.path), other, part="train")
    times = found["metrics"]["reconstruction_error"] / own["metrics"]["reconstruction_error"]
    assert f"on the train part of its own data, digits, {times:.3g} times as much here" in capsys.readouterr().out
    with pytest.raises(UsageError, match="examples of shape 8 × 8 × 1, not 16 × 16 × 1"):
        command(str(directory.path), "semeion", part="test")


def test_top_5_where_there_are_more_than_ten_classes(network: Network) -> None:
    rows = [[one, two] for one in range(4) for two in range(3)] * 2
    text = f"""
    dataset: {{name: arrays, inputs: {rows}, labels: {list(range(12)) * 2}, test_inputs: {rows}, validation: 0,
              test_labels: {list(range(12)) * 2}}}
    model: {{name: mlp, width: 6}}
    training: {{epochs: 20, batch_size: full}}
    """
    trained = network(text)
    examples = test_part(trained)
    scores = evaluate([trained], examples)
    given = trained.predict(examples.inputs)
    expected = metrics.top_k_accuracy_score(examples.targets, given, k=5, labels=range(12))
    assert scores.metrics["top5_accuracy"] == pytest.approx(expected)
    assert np.float32(expected) == np.float32(trained.recorded["test_top5_accuracy"])
    assert scores.metrics["accuracy"] < expected < 1.0


def test_a_class_without_examples_has_no_recall() -> None:
    scores = recalls(np.array([0, 1, 1]), np.array([0, 0, 1]), ("a", "b", "c"))
    assert [one.recall for one in scores[:2]] == [0.5, 1.0]
    assert np.isnan(scores[2].recall) and scores[2].examples == 0


def test_regression_scores_are_those_of_scikit_learn(network: Network) -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(40, 2)).astype(np.float32)
    given = (targets + rng.normal(size=(40, 2)) * 0.3).astype(np.float32)
    scores = regression(given, targets)
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(targets, given))
    assert scores["rmse"] ** 2 == pytest.approx(metrics.mean_squared_error(targets, given))
    assert scores["r2"] == pytest.approx(metrics.r2_score(targets, given))
    with pytest.raises(UsageError, match="are for images"):
        trained = network(LINE)
        evaluate([trained], Examples(np.zeros((1, 1)), ("0",), np.zeros((1, 1))), {"shift": 1})


def test_an_ensemble_averages_probabilities(train: Train) -> None:
    networks = [Trained.of(directory) for directory in train(MLP + "seeds: 3\n", "training.epochs=1")]
    assert len({network.trial.id for network in networks}) == 3
    examples = test_part(networks[0])
    mean = np.mean([network.predict(examples.inputs) for network in networks], axis=0)
    np.testing.assert_allclose(answers(networks, examples.inputs), mean, rtol=1e-5)
    scores = evaluate(networks, examples)
    assert scores.metrics["accuracy"] == np.mean(mean.argmax(axis=1) == examples.targets)


def test_networks_that_answer_different_questions(network: Network) -> None:
    with pytest.raises(UsageError, match="cannot be taken together: one takes inputs of shape"):
        check_together([network(MLP), network(LINE)])


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, size=(3, 7, 7, 2)).astype(np.uint8)


@pytest.mark.parametrize("size", [(28, 28, 1), (5, 9, 3), (1, 4, 2)])
def test_images_are_moved_as_by_scipy(size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """By ``affine_transform``, image by image; in parts, the last of which is smaller."""
    monkeypatch.setattr("dlx.perturbations._VALUES_AT_ONCE", 2 * size[0] * size[1] * size[2])
    images = np.random.default_rng(2).integers(0, 256, size=(5, *size)).astype(np.uint8)
    centre = (np.array([*size[:2], 1]) - 1) / 2

    def check(moved: np.ndarray, matrix: np.ndarray, offset: tuple[float, float]) -> None:
        whole = np.eye(3)
        whole[:2, :2] = matrix
        start = centre - whole @ centre + (*offset, 0)
        for image, found in zip(images.astype(np.float32), moved, strict=True):
            right = ndimage.affine_transform(image, whole, start, output=np.float32, order=1, mode="nearest")
            np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-4)  # of 255

    for moved, offset in zip(shift(images, 1.25), [(0, 1.25), (0, -1.25), (1.25, 0), (-1.25, 0)], strict=True):
        check(moved, np.eye(2), offset)
    for moved, angle in zip(rotate(images, 20.0), np.radians([20, -20]), strict=True):
        check(moved, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]), (0, 0))
    for factor in (1.3, 0.6):
        (moved,) = scale(images, factor)
        check(moved, np.eye(2) / factor, (0, 0))


def test_a_shift_moves_whole_pixels_and_the_border_goes_on(images: np.ndarray) -> None:
    moved = list(shift(images, 2))
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    expected = [wide[:, 2:9, 4:], wide[:, 2:9, :7], wide[:, 4:, 2:9], wide[:, :7, 2:9]]
    for found, right in zip(moved, expected, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-3)


def test_a_quarter_turn_is_exact_both_ways(images: np.ndarray) -> None:
    found = sorted(one.tobytes() for one in (np.rint(each) for each in rotate(images, 90)))
    expected = sorted(np.rot90(images, turns, axes=(1, 2)).astype(np.float32).tobytes() for turns in (1, -1))
    assert found == expected


def test_scaling_by_two_shows_the_middle_twice_as_large(images: np.ndarray) -> None:
    (larger,) = scale(images, 2.0)
    np.testing.assert_allclose(larger[:, 3, 3], images[:, 3, 3], atol=1e-3)
    np.testing.assert_allclose(larger[:, 1, 5], images[:, 2, 4], atol=1e-3)
    (same,) = scale(images, 1.0)
    np.testing.assert_allclose(same, images, atol=1e-3)


def test_brightness_multiplies_and_ends_at_the_largest_value(images: np.ndarray) -> None:
    (brighter,) = brightness(images, 1.5)
    np.testing.assert_allclose(brighter, np.minimum(images * 1.5, 255))


def test_occlusion_hides_a_square_at_five_places(images: np.ndarray) -> None:
    hidden = list(occlude(images + np.uint8(1) * (images == 0), 3))
    assert len({(one == 0).tobytes() for one in hidden}) == 5
    assert all((one == 0).sum() == 9 * 3 * 2 for one in hidden)
    assert (hidden[0][:, 2:5, 2:5] == 0).all()


def test_perturbed_accuracies_are_over_all_variants(network: Network) -> None:
    trained = network(MLP)
    examples = test_part(trained)
    scores = evaluate([trained], examples, {"shift": 1, "occlude": 0, "brightness": 1.0, "rotate": 0})
    each = [np.mean(trained.labels(moved) == examples.targets) for moved in shift(examples.inputs, 1)]
    assert scores.perturbed["shift"] == pytest.approx(np.mean(each))
    assert scores.perturbed["shift"] < scores.metrics["accuracy"]
    for nothing in ("occlude", "brightness", "rotate"):
        assert scores.perturbed[nothing] == pytest.approx(scores.metrics["accuracy"], abs=0.003)


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("scale", 0.0),
        ("brightness", -1.0),
        ("brightness", float("inf")),
        ("shift", 8),
        ("shift", -1),
        ("occlude", 9),
        ("rotate", float("nan")),
    ],
)
def test_perturbations_that_make_no_sense(network: Network, name: str, strength: float) -> None:
    trained = network(MLP)
    with pytest.raises(UsageError, match=f"--{name}"):
        evaluate([trained], test_part(trained), {name: strength})


test_part.__test__ = False  # type: ignore[attr-defined]
