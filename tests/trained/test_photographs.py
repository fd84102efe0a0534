"""A folder of photographs from training to predictions: streamed, interrupted, used on photographs of any size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlx.cli.main import main
from dlx.errors import DataError
from dlx.evaluation import evaluate
from dlx.events import StepsDone, ignore
from dlx.inputs import read, read_folder
from dlx.interruption import Stop
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Options, run
from dlx.spec import load
from dlx.trained import Trained
from tests.photographs import COLOURS, fill, picture
from tests.trained.conftest import RUNTIME

SPEC = """\
dataset: {name: image_folder, path: photos, resize: [12, 16], scaling: standardize}
model: {name: cnn, blocks: [{filters: 4, pool: max}], dense: []}
training:
  epochs: 6
  batch_size: 6
  optimizer: {name: adam, learning_rate: 0.05}
  augmentation: [flip, {name: resized_crop, smallest: 0.5}, {name: color_jitter, hue: 0.01}, lighting]
  checkpoint: {every: 2 steps}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A trial on 36 photographs, read in every epoch as if they did not fit in memory."""
    folder = tmp_path_factory.mktemp("project")
    fill(folder / "photos/train", 12, suffix="jpg")
    fill(folder / "photos/val", 4, suffix="jpg")
    (folder / "spec.yaml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DLX_RESIDENT_BYTES", "0")
        yield folder


def train(project: Path, results: Path, stop_at: int | None = None) -> TrialDirectory:
    """Run the trial, interrupted in its second epoch where ``stop_at`` says at which step."""
    stop = Stop()

    def watch(event: object) -> None:
        if isinstance(event, StepsDone) and (event.epoch, event.step) == (2, stop_at):
            stop.request("for the test", 143)

    options = Options(results, RUNTIME, executor="inline")
    outcome = run(load(project / "spec.yaml"), options, watch if stop_at else ignore, stop)
    (ending,) = outcome.endings
    assert ending.status.state == ("interrupted" if stop_at else "done"), ending.status.reason
    return ending.directory


@pytest.fixture(scope="module")
def directory(project: Path) -> TrialDirectory:
    return train(project, project / "results")


@pytest.fixture(scope="module")
def network(directory: TrialDirectory) -> Trained:
    return Trained.of(directory, runtime=RUNTIME)


def test_interrupted_in_an_epoch_it_goes_on_to_the_same_bytes(
    project: Path, directory: TrialDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlx.training.loop.CHUNK_SECONDS", 0.0)  # a look at whether to stop after every step
    begun = train(project, tmp_path, stop_at=3)
    assert not begun.weights.exists()
    monkeypatch.setenv("DLX_KEPT_BYTES", "2000")  # what of the images is kept changes nothing
    again = train(project, tmp_path)
    assert again.trial == directory.trial
    for name in ("metrics.csv", "gradients.csv", "weights.npz"):
        assert (again.path / name).read_bytes() == (directory.path / name).read_bytes()


def test_it_learns_the_colours(network: Trained) -> None:
    assert network.class_names == tuple(COLOURS)
    assert network.evaluate("validation")["accuracy"] == 1.0


def test_photographs_of_any_size_are_brought_to_the_networks_as_in_training(network: Trained, tmp_path: Path) -> None:
    paths = []
    for at, (name, colour) in enumerate(COLOURS.items()):
        paths.append(tmp_path / f"{name}.jpg")
        picture(colour, 900 + at, (300 - 80 * at, 150 + 90 * at)).save(paths[-1], quality=95)
    found = read(network, paths)
    assert found.inputs.shape == (3, 12, 16, 3)
    assert network.labels(found.inputs).tolist() == [0, 1, 2]
    with Image.open(paths[0]) as image:  # 300 high, 150 wide: of shape 3 to 4 is the middle, 112.5 high
        box = (0, 93.75, 150, 206.25)
        direct = np.asarray(image.resize((16, 12), Image.Resampling.BILINEAR, box=box))
    assert np.abs(found.inputs[0].astype(int) - direct).max() <= 3
    own = sorted((network.splits.validation._folder / "val/blue").glob("*.jpg"))  # type: ignore[union-attr]
    np.testing.assert_array_equal(read(network, own).inputs, network.splits.validation.read(np.arange(4))[0])


def test_a_folder_of_classes_is_evaluated(network: Trained, project: Path, tmp_path: Path) -> None:
    examples = read_folder(network, project / "photos/val", "test")
    assert examples.targets is not None
    assert examples.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    of_parts = read_folder(network, project / "photos", "validation")
    assert of_parts.names == examples.names
    assert evaluate([network], examples).metrics["accuracy"] == 1.0
    some = fill(tmp_path / "some", 3, {"red": COLOURS["red"], "green": COLOURS["blue"]})  # one of them mislabelled
    scores = evaluate([network], read_folder(network, some, "test"), {"brightness": 1.0})
    assert scores.metrics == {"accuracy": 0.5, "balanced_accuracy": 0.5}
    assert [(one.name, one.examples) for one in scores.classes] == [("blue", 0), ("green", 3), ("red", 3)]
    assert scores.perturbed == {"brightness": 0.5}


def test_folders_that_do_not_suit(network: Trained, project: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other", 1, {"red": (9, 0, 0), "grene": (0, 9, 0)})
    with pytest.raises(DataError, match=r"has the class 'grene', which trial .* was not trained on .*'green'"):
        read_folder(network, tmp_path / "other", "test")
    with pytest.raises(DataError, match=r"photos has no images for test .*--part: train, validation"):
        read_folder(network, project / "photos", "test")
    (tmp_path / "text/red").mkdir(parents=True)
    (tmp_path / "text/red/a.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"has no images that can be read: red/a\.jpg \(it is no image\)"):
        read_folder(network, tmp_path / "text", "test")
    fill(tmp_path / "text", 1)
    assert read_folder(network, tmp_path / "text", "test").notes == (
        "left out, as they cannot be read: red/a.jpg (it is no image)",
    )


def test_by_the_command_line(
    directory: TrialDirectory, network: Trained, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(COLOURS["green"], 7, (90, 60)).save(tmp_path / "leaf.jpg")
    assert main(["predict", str(directory.path), str(tmp_path / "leaf.jpg")]) == 0
    assert "leaf.jpg  green " in capsys.readouterr().out
    assert main(["evaluate", str(directory.path), str(project / "photos/val"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["evaluations"]
    assert found["metrics"]["accuracy"] == 1.0
    assert [one["name"] for one in found["classes"]] == list(COLOURS)
