"""One trial on several devices gives what it gives on one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.training.conftest import ENGINE

TABLES = ("metrics", "gradients")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What :mod:`tests.training.several_devices` leaves, in a process of its own: devices are made when it starts."""
    folder = tmp_path_factory.mktemp("devices")
    command = [sys.executable, "-m", "tests.training.several_devices", ENGINE, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def said(trained: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((trained / "said.json").read_text())
    return found


def trial(folder: Path, devices: object, name: str) -> Path:
    (found,) = (folder / str(devices) / name / "trials").iterdir()
    return found


def numbers(path: Path) -> tuple[list[list[str]], np.ndarray]:
    """The cells of a table that are words or counts, and those that are measured."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    measured = [name for name in rows[0] if "loss" in name or "accuracy" in name or name in MEASURED]
    words = [[cell for name, cell in row.items() if name not in measured] for row in rows]
    return words, np.array([[float(row[name] or "nan") for name in measured] for row in rows])


MEASURED = ("learning_rate", "grad_norm", "weight_norm", "update_ratio")


def compare(folder: Path, name: str, tolerance: float, *, noise: float = 1e-6, norms: slice = slice(None)) -> None:
    """Relative differences of all that is measured.

    Below ``noise`` rounding is all there is: the gradient of a bias in front of a normalisation is 0.
    """
    for table in TABLES:
        one, two = (numbers(trial(folder, devices, name) / f"{table}.csv") for devices in (1, 2))
        assert one[0] == two[0]
        sound, columns = one[1][:, 0] > noise, norms if table == "gradients" else slice(None)
        assert sound.mean() > 0.7
        np.testing.assert_allclose(
            two[1][sound, columns], one[1][sound, columns], rtol=tolerance, atol=noise, err_msg=f"{name}/{table}"
        )


def test_one_and_two_devices_agree_within_rounding(trained: Path) -> None:
    """Batch normalisation, penalties, a batch that does not divide: over ten steps as between the engines."""
    compare(trained, "normalised", 1e-4)


def test_sums_over_examples_in_a_residual_net(trained: Path) -> None:
    """What is left is rounding: TensorFlow's variance over devices is the mean square minus the squared mean."""
    compare(trained, "residual", 1e-4)


def test_half_precision_agrees_within_its_own_rounding(trained: Path) -> None:
    """bfloat16 keeps 8 bits: 2⁻⁸ ≈ 4e-3 a number; a small update's ratio is left out.

    Norms are recorded of float32 variables, and there for every layer.
    """
    compare(trained, "half", 3e-2, noise=1e-3, norms=slice(1))
    _, recorded = numbers(trial(trained, 2, "half") / "gradients.csv")
    assert np.isfinite(recorded[:, 0]).all()
    assert (recorded[:, 0] > 0).all()
    table = (trial(trained, 2, "half") / "trial.yaml").read_text()
    assert "mixed_bfloat16" in table


def test_dropout_on_two_devices(trained: Path) -> None:
    """TensorFlow draws on each device, another mask on each; JAX for the whole batch, as `normalised` shows there."""
    if ENGINE == "jax":
        pytest.skip("of the TensorFlow engine")
    losses = [numbers(trial(trained, devices, "random") / "metrics.csv")[1] for devices in (1, 2)]
    assert np.isfinite(losses[1]).all()
    np.testing.assert_allclose(losses[1][0], losses[0][0], rtol=1e-5)  # before training nothing is drawn
    assert not np.array_equal(losses[1][1], losses[0][1])


def test_it_goes_on_to_the_same_bytes(trained: Path) -> None:
    for table in TABLES:
        whole, again = (trial(trained, place, "normalised") / f"{table}.csv" for place in (2, "again"))
        assert again.read_bytes() == whole.read_bytes()


def test_the_number_of_devices_is_on_record_and_not_in_the_id(trained: Path, said: dict[str, str]) -> None:
    places = [trial(trained, place, "normalised") for place in (1, 2, "again")]
    assert len({place.name for place in places}) == 1
    counts = [json.loads((place / "environment.json").read_text())["device"]["count"] for place in places]
    assert counts == [1, 2, 2]
    assert "the number of devices was 2, now 1" in said["changed"]


def test_what_cannot_be_divided_is_refused(said: dict[str, str]) -> None:
    assert "3 devices" in said["odd"]
    assert "13 examples" in said["batch"]
    assert "training.batch_size: 14" in said["batch"]
    if ENGINE == "jax":
        assert "--pack 4: trials that train together do so on one device, not 2" in said["pack"]
    else:
        assert "--pack 4" in said["pack"]
        assert "--engine jax divides them" in said["chains"]


def test_devices_that_a_spec_asks_for_must_divide_its_batches() -> None:
    from dlx.errors import SpecError
    from dlx.spec import load_text

    def problems(text: str) -> str:
        with pytest.raises(SpecError) as caught:
            load_text(text)
        return str(caught.value)

    assert "4 devices cannot have equal parts of 10 examples" in problems(
        "model: mlp\ntraining: {batch_size: 10, devices: 4}"
    )
    assert "devices" in problems("model: mlp\ntraining: {devices: 0}")


@pytest.mark.parametrize(
    ("environment", "there"),
    [
        ({}, 0),
        ({"DLX_VIRTUAL_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_cpu_x=1 --xla_force_host_platform_device_count=8"}, 8),
    ],
)
def test_what_the_processor_is_taken_for(environment: dict[str, str], there: int) -> None:
    from dlx import devices

    assert devices.virtual(environment) == there


@pytest.mark.parametrize("name", ["TF_CONFIG", "JAX_COORDINATOR_ADDRESS"])
def test_one_model_across_machines_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx import devices
    from dlx.errors import UsageError

    monkeypatch.setenv("DLX_VIRTUAL_DEVICES", "2")
    monkeypatch.setenv(name, "{}")
    devices.require(1)
    with pytest.raises(UsageError, match="across machines"):
        devices.require(2)


def test_a_number_of_devices_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx import devices
    from dlx.errors import UsageError

    with pytest.raises(UsageError, match="must be a number"):
        devices.virtual({"DLX_VIRTUAL_DEVICES": "two"})
