"""What the tables that come with dlx reach, against what is published: read from ``trials.csv`` by pandas alone."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from dlx import shipped


def trials(name: str) -> pd.DataFrame:
    return pd.read_csv(shipped.tables(name) / "trials.csv", keep_default_na=False, na_values=[""])


def test_accuracies_by_depth() -> None:
    """Within 0.4 points of the means of ten seeds measured elsewhere; two layers before one."""
    found = trials("vanishing-gradient/depth").groupby("model.depth").val_accuracy
    assert (found.count() >= 3).all()
    measured = {1: 0.9646, 2: 0.9688, 3: 0.9643, 4: 0.9618}
    assert found.mean().to_dict() == pytest.approx(measured, abs=0.004)
    assert found.mean()[2] > found.mean()[1]


def test_speeds_before_training() -> None:
    """Within a factor of two of the published ones; over ten seeds each layer 4 to 6 times the one before."""
    published = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}
    by_depth = dict(iter(trials("vanishing-gradient/speeds").groupby("model.depth")))
    assert by_depth.keys() == published.keys()
    for depth, speeds in published.items():
        assert len(by_depth[depth]) == 10
        means = [by_depth[depth][f"grad_bias_first_{layer}"].mean() for layer in range(1, depth + 1)]
        for mean, speed in zip(means, speeds, strict=True):
            assert speed / 2 < mean < speed * 2
        for slower, faster in itertools.pairwise(means):
            assert 4 < faster / slower < 6


def test_speeds_after_five_hundred_epochs() -> None:
    """The first of four layers is 50 to 250 times slower than the fourth, in each seed; published: about 100."""
    four = trials("vanishing-gradient/curves").query("`model.depth` == 4")
    assert len(four) >= 3 and (four.epochs == 500).all()
    assert (four.grad_bias_last_4 / four.grad_bias_last_1).between(50, 250).all()


def test_five_layers_pretrained() -> None:
    """Within half a point of the errors measured elsewhere."""
    found = trials("pretraining/five-layers").groupby("pretraining").test_accuracy.mean()
    ranges = {"{method: autoencoder": (3.0, 3.2), "{method: denoising": (2.5, 2.6), "{method: rbm": (2.5, 2.6)}
    for start, (low, high) in ranges.items():
        (reached,) = (100 * (1 - mean) for name, mean in found.items() if str(name).startswith(start))
        assert low - 0.5 < reached < high + 0.5
    assert 0.08 < found["none"] < 0.12  # as good as one class for all


def test_semeion_through_two_neurons() -> None:
    """Within five points of 38.1 %; through thirty within two of 90.9 %. Ten folds each."""
    found = trials("representations/semeion-folds").groupby("model.hidden").test_accuracy
    assert found.count().to_dict() == {"[2]": 10, "[30]": 10}
    assert found.mean()["[2]"] == pytest.approx(0.381, abs=0.05)
    assert found.mean()["[30]"] == pytest.approx(0.909, abs=0.02)


def test_convolutional_nets() -> None:
    """LeNet-5 at most 1.1 % error in each seed; three quarters of CIFAR-10 in minutes."""
    lenet = trials("convnets/lenet5").test_accuracy
    assert len(lenet) >= 3 and (1 - lenet <= 0.011).all()
    assert (trials("convnets/cifar10-small").test_accuracy >= 0.75).all()
