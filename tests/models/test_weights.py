"""Weights from files as Keras offers them: read in Keras' order, verified, frozen layers left as they are."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from dlx.applications import Application, File, application
from dlx.applications.weights import find, initial_values, verified
from dlx.cli.main import main
from dlx.datasets import Places
from dlx.errors import DataError, FieldError
from dlx.initializers import initial_values as drawn
from dlx.models import registry
from dlx.randomness import generator
from dlx.records.weights import FINAL, read_weights
from dlx.spec import load_text

NET = "MobileNet"  # of which Keras states no digest: any file of the right layers will do
SIZE = 32


def in_the_older_format(model: Any, path: Path) -> None:
    """A file of weights such as Keras offers."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """Keras' folder with the files of one net, and the nets of Keras' own that they were written from."""
    home = tmp_path_factory.mktemp("keras")
    (home / "models").mkdir()
    rng = np.random.default_rng(7)
    nets = []
    for top, part in ((True, "whole"), (False, "body")):
        shape = (SIZE, SIZE, 3)
        net = keras.applications.MobileNet(
            weights=None, include_top=top, input_shape=shape, **({"classifier_activation": None} if top else {})
        )
        for weight in net.weights:
            weight.assign(rng.normal(0.5, 0.1, weight.shape))
        in_the_older_format(net, home / "models" / application(NET).files[part].name)
        nets.append(net)
    return home, nets[0], nets[1]


@pytest.fixture
def places(home: Any, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("KERAS_HOME", str(home[0]))
    return Places(download=False)


def test_the_whole_net_gives_what_keras_own_gives(home: Any, places: Places) -> None:
    spec = registry.get("mobilenet")(weights="imagenet")
    file, absent = spec.weights_file((SIZE, SIZE, 3), 1000)
    assert file == application(NET).files["whole"]
    assert not absent
    model = spec.build((SIZE, SIZE, 3), 1000)
    values = initial_values(model, file, absent, places)
    assert {path: value.shape for path, value in values.items()} == {w.path: tuple(w.shape) for w in model.weights}
    for weight in model.weights:
        weight.assign(values[weight.path])
    pixels = np.random.default_rng(0).random((2, SIZE, SIZE, 3), dtype=np.float32)
    expected = np.asarray(home[1](keras.applications.mobilenet.preprocess_input(pixels * 255.0)))
    np.testing.assert_allclose(np.asarray(model(pixels)), expected, rtol=1e-4, atol=1e-4)


def test_frozen_layers_are_filled_as_well(home: Any, places: Places) -> None:
    spec = registry.get("mobilenet")(weights="imagenet", trainable_from="head")
    file, absent = spec.weights_file((SIZE, SIZE, 3), 10)
    assert file == application(NET).files["body"]
    model = spec.build((SIZE, SIZE, 3), 10)
    values = initial_values(model, file, absent, places)
    of_keras = {weight.path: np.asarray(weight) for weight in home[2].weights}
    assert values.keys() == of_keras.keys()
    assert all((values[path] == of_keras[path]).all() for path in values)
    assert {weight.path for weight in model.trainable_variables} == {"conv_preds/kernel", "conv_preds/bias"}


def test_a_file_of_another_net_is_refused(home: Any, places: Places) -> None:
    file = application(NET).files["body"]
    model = registry.get("vgg")().build((SIZE, SIZE, 3), 10)
    with pytest.raises(DataError, match="weights of .* layers, and the net has"):
        initial_values(model, file, frozenset(), places)


def test_a_digest_that_is_not_keras_own(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"something")
    for kind in ("md5", "sha256"):
        right = hashlib.new(kind, b"something").hexdigest()
        assert verified(path, File(path.name, "https://example.org/w", right)) == path
        with pytest.raises(DataError, match=f"is not the file that Keras offers: its {kind.upper()} is {right}"):
            verified(path, File(path.name, "https://example.org/w", right[::-1]))


def test_a_file_that_is_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = application(NET).files["body"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / file.name).write_bytes(b"nothing of the kind")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    model = registry.get("mobilenet")().build((SIZE, SIZE, 3), 10)
    with pytest.raises(DataError, match="is not a file of weights that can be read"):
        initial_values(model, file, frozenset(), Places(download=False))


def test_offline_it_says_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = application("ResNet50").files["body"]
    with pytest.raises(DataError, match=f"weights {file.name} are not here") as caught:
        find(file, Places(download=False))
    assert str(tmp_path / "models") in str(caught.value.hint)
    assert file.url in str(caught.value.hint)


def test_weights_for_another_number_of_classes() -> None:
    spec = registry.get("resnet")(weights="imagenet", head="imagenet")
    with pytest.raises(FieldError, match="weights for another number of classes: those of imagenet are for 1,000"):
        spec.check((224, 224, 3), 10)
    with pytest.raises(FieldError, match="for images of 224x224.*dataset.resize: 224"):
        registry.get("vgg")(weights="imagenet", head="imagenet").check((64, 64, 3), 1000)
    with pytest.raises(FieldError, match="3 channels"):
        registry.get("resnet")(weights="imagenet").check((224, 224, 1), 10)
    with pytest.raises(FieldError, match="weights is null"):
        registry.get("resnet")(head="new").check((224, 224, 3), 10)
    # Without a word about the head, it is the file's where it fits, and a new one elsewhere.
    for outputs, size, part in ((1000, 224, "whole"), (1000, 64, "body"), (10, 224, "body")):
        given = registry.get("vgg")(weights="imagenet").weights_file((size, size, 3), outputs)
        assert given[0] == application("VGG16").files[part]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (20, 30, 200)), ("red", (210, 15, 25))):
        (folder / name).mkdir()
        for number in range(6):
            noise = rng.integers(-9, 10, (SIZE, SIZE, 3))
            Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def written(place: Path, folder: Path, **model: Any) -> Path:
    """The file of :func:`spec_of`."""
    path = place / "tuned.yaml"
    path.write_text(spec_of(folder, **model), encoding="utf-8")
    return path


def spec_of(folder: Path, **model: Any) -> str:
    return json.dumps(
        {
            "name": "tuned",
            "dataset": {"name": "image_folder", "path": str(folder), "resize": SIZE, "validation": 2},
            "model": {"name": "mobilenet", "weights": "imagenet", **model},
            "training": {"epochs": 1, "batch_size": 4, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
            "probes": {"activations": None},
        }
    )


def test_the_digest_enters_the_id(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_text(spec_of(photographs, weights=None)).trials[0].id
    first = load_text(spec_of(photographs)).trials[0].id

    def others(name: str) -> Application:
        from dataclasses import replace

        net = application(name)
        return replace(net, files={part: File(one.name, one.url, "0" * 32) for part, one in net.files.items()})

    monkeypatch.setattr("dlx.models.mobilenet.application", others)
    second = load_text(spec_of(photographs)).trials[0].id
    assert len({plain, first, second}) == 3


def test_scaling_other_than_the_weights_were_trained_on(photographs: Path) -> None:
    from dlx.errors import SpecError

    text = json.loads(spec_of(photographs))
    text["dataset"]["scaling"] = "standardize"
    with pytest.raises(SpecError, match="dataset.scaling: must be unit"):
        load_text(json.dumps(text))


def test_fine_tuning_leaves_frozen_layers_as_they_are(
    home: Any, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(home[0]))
    spec = written(tmp_path, photographs, trainable_from="head")
    results = tmp_path / "results"
    assert main(["run", str(spec), "--results", str(results), "--executor", "inline"]) == 0, capsys.readouterr().err
    (trial,) = (results / "tuned" / "trials").iterdir()
    weights = read_weights(trial / "weights.npz")[FINAL]
    of_keras = {weight.path: np.asarray(weight) for weight in home[2].weights}
    head = weights.keys() - of_keras.keys()
    assert head == {"conv_preds/kernel", "conv_preds/bias"}
    for path, expected in of_keras.items():
        np.testing.assert_array_equal(weights[path], expected, err_msg=path)
    begun = drawn(registry.get("mobilenet")().build((SIZE, SIZE, 3), 2), partial(generator, 0))
    assert not np.array_equal(weights["conv_preds/kernel"], begun["conv_preds/kernel"])
    layers = (trial / "gradients.csv").read_text().splitlines()
    assert {line.split(",")[4] for line in layers[1:]} == {"conv_preds"}


@pytest.mark.parametrize(("model", "megabytes"), [({}, 13), ({"name": "resnet"}, 94)])
def test_check_says_what_would_be_downloaded(
    model: dict[str, Any],
    megabytes: int,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    spec = written(tmp_path, photographs, **model)
    file = application("ResNet50" if model else NET).files["body"]
    assert main(["check", str(spec)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"  note: the weights {file.name} (about {megabytes} MB) are not here; the first run downloads them from "
        f"{file.url} into {tmp_path / 'models'}"
    ]
    assert not (tmp_path / "models").exists()


def test_check_says_where_weights_lie(
    home: Any, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(home[0]))
    spec = written(tmp_path, photographs)
    assert main(["check", str(spec), "--json"]) == 0
    (checked,) = json.loads(capsys.readouterr().out)["specs"]
    assert checked["notes"] == [
        f"the weights imagenet are those in {home[0] / 'models' / application(NET).files['body'].name}"
    ]


@pytest.mark.parametrize(
    ("model", "message"),
    [({}, "is not a file of weights that can be read"), ({"name": "resnet"}, "is not the file that Keras offers")],
)
def test_check_refuses_a_damaged_file_of_weights(
    model: dict[str, Any],
    message: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / application("ResNet50" if model else NET).files["body"].name
    path.write_bytes(b"half of a page that says: not found")
    spec = written(tmp_path, photographs, **model)
    assert main(["check", str(spec)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert f"{path} {message}" in said.err


@pytest.mark.parametrize("libver", ["earliest", ("v108", "v108"), "latest"])
def test_what_a_stopped_download_leaves_is_told_before_it_is_read(libver: Any, tmp_path: Path) -> None:
    """MobileNet's file, of which Keras states no digest, in each version of HDF5's head."""
    import h5py

    file = application(NET).files["body"]
    assert file.hash is None
    path = tmp_path / file.name
    with h5py.File(path, "w", libver=libver) as opened:
        opened["kernel"] = np.arange(5000.0)
    assert verified(path, file) == path
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 70, 10):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"it ends after {size:,} of|it is not HDF5") as caught:
            verified(path, file)
        assert caught.value.hint is not None and file.url in caught.value.hint


def test_imagenet_classes_have_words() -> None:
    from dlx.applications.classes import classes, in_words

    # Keras' own file of them, put together again, has the digest that Keras knows.
    index = json.dumps({str(number): list(one) for number, one in enumerate(classes())})
    assert hashlib.md5(index.encode()).hexdigest() == "c2c37ea517e94d9795004a39431a14cb"
    assert in_words(("n01440764", "n03126707")) == ("tench", "crane (n03126707)")
    assert in_words(("cat", "n01440764")) == ("cat", "n01440764")
    assert len(set(in_words([one for one, _ in classes()]))) == 1000
