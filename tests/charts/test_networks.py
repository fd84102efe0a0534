"""What is drawn of trained networks, against NumPy and scikit-learn on the same weights."""

from __future__ import annotations

import base64
import io
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix

from dlx.analysis.selectors import find, one
from dlx.analysis.trials import Tables
from dlx.charts.boundary import recorded_weights
from dlx.cli.main import main
from dlx.datasets import Places, registry
from dlx.drawing.images import data_uri, images_of
from dlx.drawing.subjects import Group, Run
from dlx.drawing.themes import theme_of
from dlx.drawing.tidy import Tidy
from dlx.errors import ResultsError, UsageError
from dlx.plot import chart_of, groups_of, plot

SPECS = {
    "plain": "dataset: digits\nmodel: {name: mlp, hidden: [12, 2], activation: tanh}\ntraining: {epochs: 3}\n",
    "probed": "dataset: digits\nmodel: {name: mlp, hidden: [12, 2], activation: tanh}\ntraining: {epochs: 3}\n"
    "probes: {predictions: {}}\n",
    "conv": "dataset: digits\nmodel: {name: cnn}\ntraining: {epochs: 1}\n",
    "auto": "dataset: digits\nmodel: {name: autoencoder, hidden: [16, 2]}\ntraining: {epochs: 2}\n",
    "plane": "dataset: {name: points, shape: moons, n: 200, scaling: standardize}\n"
    "model: {name: mlp, hidden: [3, 2], activation: tanh}\ntraining: {epochs: 20, optimizer: adam}\n",
    "ring": "dataset: {name: points, shape: circles, n: 200, features: [x2, y2, xy], scaling: standardize}\n"
    "model: {name: mlp, depth: 0}\ntraining: {epochs: 2, optimizer: adam}\n",
    "curve": "dataset: {name: function, function: cubic, n: 60, noise: 0.1, scaling: standardize}\n"
    "model: {name: mlp, hidden: [5, 4], activation: tanh}\ntraining: {epochs: 20}\nprobes: {predictions: {}}\n",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory with a trial of each spec."""
    place = tmp_path_factory.mktemp("trained")
    for name, text in SPECS.items():
        (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    specs = [str(place / f"{name}.yaml") for name in SPECS]
    assert main(["run", *specs, "--executor", "inline", "--results", str(place / "results"), "--quiet"]) == 0
    return place / "results"


def run_of(trained: Path, name: str) -> Run:
    trial = one(trained / name)
    return Run(trial.id, trial.seed, Tables(trial.path))


def weights(trained: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(run_of(trained, name).directory / "weights.npz") as file:
        return {key.removeprefix("final/"): file[key] for key in file.files}


def forward(trained: Path, name: str, inputs: np.ndarray) -> list[np.ndarray]:
    """What leaves each layer of a tanh perceptron, the logits last, by NumPy."""
    values, found = inputs, []
    arrays = weights(trained, name)
    for layer in ("dense_1", "dense_2", "output"):
        values = values @ arrays[f"{layer}/kernel"] + arrays[f"{layer}/bias"]
        values = values if layer == "output" else np.tanh(values)
        found.append(values)
    return found


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The test part of the digits, scaled and flat."""
    test = registry.get("digits")().load(Places()).test
    inputs, labels = test.read(np.arange(len(test)))
    return inputs.reshape(-1, 64) / 16, labels


def drawn(trained: Path, kind: str, name: str, **options: str) -> Tidy:
    return chart_of(kind, options).data(run_of(trained, name))


def test_filters_of_a_dense_layer_are_its_kernel(trained: Path) -> None:
    images = images_of(drawn(trained, "filters", "plain"))
    kernel = weights(trained, "plain")["dense_1/kernel"]
    assert len(images) == 12
    for unit, image in enumerate(images):
        np.testing.assert_allclose(image.pixels, kernel[:, unit].reshape(8, 8), rtol=1e-6)
        assert image.limit == pytest.approx(abs(kernel).max())
        assert image.label == str(unit)


def test_filters_of_convolutions_are_their_kernels(trained: Path) -> None:
    arrays = weights(trained, "conv")
    for image in images_of(drawn(trained, "filters", "conv")):
        np.testing.assert_allclose(image.pixels, arrays["conv_1/kernel"][:, :, 0, int(image.label)], rtol=1e-6)
    second = images_of(drawn(trained, "filters", "conv", layer="conv_2", units="5"))
    assert len(second) == 8 * 5
    for image in second:
        np.testing.assert_allclose(image.pixels, arrays["conv_2/kernel"][:, :, image.row, image.column], rtol=1e-6)


def test_weights_that_are_no_images_and_layers_that_are_not_there(trained: Path) -> None:
    with pytest.raises(UsageError, match="weights of dense_2 are not images"):
        drawn(trained, "filters", "plain", layer="2")
    with pytest.raises(UsageError, match="no layer 'conv_9'"):
        drawn(trained, "filters", "conv", layer="conv_9")


@pytest.mark.parametrize("name", ["plain", "probed"])
def test_confusion_is_that_of_the_weights(trained: Path, name: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    """From the network, and from the table that a probe wrote."""
    inputs, labels = digits
    expected = confusion_matrix(labels, forward(trained, name, inputs)[-1].argmax(axis=1), labels=range(10))
    tidy = drawn(trained, "confusion", name)
    found = np.zeros((10, 10), int)
    for row in tidy.rows:
        found[int(row["class"]), int(row["predicted"])] = row["count"]
        assert row["share"] == pytest.approx(row["count"] / max(1, expected[int(row["class"])].sum()))
    np.testing.assert_array_equal(found, expected)
    assert f"{np.trace(expected)} of 360" in tidy.caption


def test_mistakes_are_what_is_wrong_the_surest_first(trained: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, labels = digits
    logits = forward(trained, "probed", inputs)[-1]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    wrong = [at for at in np.argsort(-shares.max(axis=1), kind="stable") if predicted[at] != labels[at]]
    images = images_of(drawn(trained, "examples", "probed", mistakes="true", units="12"))
    assert [image.label for image in images] == [f"{labels[at]} → {predicted[at]}" for at in wrong[:12]]
    for image, at in zip(images, wrong, strict=False):
        np.testing.assert_array_equal(image.pixels, inputs[at].reshape(8, 8) * 16)


def test_hidden_shows_two_units_as_they_are(trained: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, labels = digits
    rows = {row["id"]: row for row in drawn(trained, "hidden", "plain").rows}
    expected = forward(trained, "plain", inputs)[1]
    first = min(rows)
    found = np.array([[rows[first + at]["x"], rows[first + at]["y"]] for at in range(360)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [rows[first + at]["class"] for at in range(360)] == [str(label) for label in labels]


def test_hidden_beside_the_principal_components_of_the_inputs(
    trained: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    alone, both = drawn(trained, "hidden", "plain"), drawn(trained, "hidden", "plain", beside="pca")
    rows = {panel: {row["id"]: row for row in both.rows if row["panel"] == panel} for panel in ("hidden", "inputs")}
    assert [row for row in both.rows if row["panel"] == "hidden"] == list(alone.rows)
    expected = PCA(2).fit_transform(digits[0])
    found = np.array([[rows["inputs"][at][axis] for axis in ("x", "y")] for at in sorted(rows["inputs"])])
    np.testing.assert_allclose(abs(found), abs(expected), atol=1e-4)
    assert {row["class"] for row in rows["inputs"].values()} == {row["class"] for row in rows["hidden"].values()}
    assert next(iter(rows["inputs"].values()))["x_axis"].startswith("component 1 (")
    assert both.subtitle == "left: dense_2, 2 units, as they are; right: the inputs, principal components"


def groups(trained: Path, name: str) -> list[Group]:
    found, _notes = groups_of(find([str(trained / name)]).trials)
    return found


def test_a_fit_is_the_nets_answer_along_the_axis(trained: Path) -> None:
    tidy = chart_of("fit", {"most": "20"}).data(groups(trained, "curve"))
    parts = {
        part: np.array([[row["x"], row["y"]] for row in tidy.rows if row["part"] == part])
        for part in ("function", "sample", "fit")
    }
    train = registry.get("function")(function="cubic", n=60, noise=0.1, scaling="standardize").load(Places()).train
    inputs, targets = train.read(np.arange(len(train)))
    np.testing.assert_array_equal(parts["sample"], np.hstack([inputs, targets])[:20])
    x = parts["fit"][:, 0]
    np.testing.assert_allclose(x, np.linspace(inputs.min(), inputs.max(), 120), atol=1e-6)
    np.testing.assert_array_equal(parts["function"][:, 0], x)
    np.testing.assert_allclose(parts["function"][:, 1], np.polynomial.chebyshev.chebval(x, [0, 0, 0, 1]), atol=1e-6)
    scaled = (x[:, None] - inputs.mean()) / inputs.std()
    np.testing.assert_allclose(parts["fit"][:, 1], forward(trained, "curve", scaled)[-1][:, 0], atol=1e-4)
    assert tidy.rows[-1]["x_axis"] == "x" and tidy.rows[-1]["y_axis"] == "y"


def test_a_fit_without_weights_is_of_what_a_probe_recorded(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "curve", tmp_path / "curve")
    run = run_of(tmp_path, "curve")
    (run.directory / "weights.npz").unlink()
    tidy = chart_of("fit", {}).data(groups(tmp_path, "curve"))
    answers = [(row["x"], row["y"]) for row in tidy.rows if row["part"] == "fit"]
    test = registry.get("function")(function="cubic", n=60, noise=0.1, scaling="standardize").load(Places()).test
    inputs, targets = test.read(np.arange(len(test)))
    recorded = pd.read_csv(run.directory / "predictions.csv").set_index("id").loc[list(test.ids)]
    np.testing.assert_allclose(recorded["target_0"], targets[:, 0], rtol=1e-6)
    expected = sorted(zip(inputs[:, 0].tolist(), recorded["predicted_0"].tolist(), strict=True))
    np.testing.assert_allclose(answers, expected, rtol=1e-6)
    (run.directory / "predictions.csv").unlink()
    with pytest.raises(ResultsError, match=r"has no weights\.npz"):
        chart_of("fit", {}).data(groups(tmp_path, "curve"))


def test_a_fit_is_of_one_input_and_one_of_its_targets(trained: Path) -> None:
    with pytest.raises(UsageError, match="is a classification of inputs 2: a fit is drawn of one input"):
        chart_of("fit", {}).data(groups(trained, "plane"))
    with pytest.raises(UsageError, match="--output: the data have the targets 0 to 0, no 1"):
        chart_of("fit", {"output": "1"}).data(groups(trained, "curve"))


def test_hidden_by_principal_components(trained: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    values = forward(trained, "plain", digits[0])[0]
    expected = PCA(2).fit(values)
    tidy = drawn(trained, "hidden", "plain", layer="1", method="pca")
    rows = sorted(tidy.rows, key=lambda row: row["id"])
    found = np.array([[row["x"], row["y"]] for row in rows])
    np.testing.assert_allclose(abs(found), abs(expected.transform(values)), atol=2e-4)
    assert f"({expected.explained_variance_ratio_[0]:.0%} of the variance)" in rows[0]["x_axis"]


def test_feature_maps_are_convolutions_of_the_example(trained: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    arrays = weights(trained, "conv")
    images = images_of(drawn(trained, "feature-maps", "conv", example="7", units="3"))
    padded = np.pad(digits[0][7].reshape(8, 8), 1)
    np.testing.assert_allclose(images[0].pixels, digits[0][7].reshape(8, 8) * 16)
    first = [image for image in images if image.row == 1]
    assert len(first) == 3
    for at, image in enumerate(first):
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        expected = np.maximum(
            (windows * arrays["conv_1/kernel"][:, :, 0, at]).sum(axis=(2, 3)) + arrays["conv_1/bias"][at], 0
        )
        np.testing.assert_allclose(image.pixels, expected, atol=1e-5)


def test_feature_maps_are_as_bright_as_their_layer_or_each_by_itself(trained: Path) -> None:
    chart = ("feature-maps", "conv")
    together = [image for image in images_of(drawn(trained, *chart, units="64")) if image.row == 1]
    alone = [image for image in images_of(drawn(trained, *chart, units="64", each="true")) if image.row == 1]
    brightest = [image.pixels.max() for image in together]
    assert [image.limit for image in together] == pytest.approx([max(brightest)] * len(together))
    assert [image.limit for image in alone] == pytest.approx(brightest)
    assert len(set(brightest)) > 1


def test_reconstructions_are_what_the_decoder_gives(trained: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    arrays = weights(trained, "auto")
    values = digits[0][5:8]
    for layer in ("dense_1", "dense_2", "decoder_2", "decoder_1"):
        values = values @ arrays[f"{layer}/kernel"] + arrays[f"{layer}/bias"]
        values = np.maximum(values, 0) if layer in ("dense_1", "decoder_2") else values
    images = images_of(drawn(trained, "reconstructions", "auto", units="3", example="5"))
    for row, expected in enumerate((digits[0][5:8], values)):
        found = [image.pixels for image in images if image.row == row]
        np.testing.assert_allclose(found, expected.reshape(3, 8, 8), atol=1e-5)


def test_an_autoencoder_shows_its_code_and_has_no_confusion(
    trained: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    arrays = weights(trained, "auto")
    hidden = np.maximum(digits[0] @ arrays["dense_1/kernel"] + arrays["dense_1/bias"], 0)
    code = hidden @ arrays["dense_2/kernel"] + arrays["dense_2/bias"]
    rows = sorted(drawn(trained, "hidden", "auto").rows, key=lambda row: row["id"])
    np.testing.assert_allclose([[row["x"], row["y"]] for row in rows], code, atol=1e-4)
    with pytest.raises(UsageError, match="is a reconstruction: it predicts no classes"):
        drawn(trained, "confusion", "auto")


def test_boundary_regions_lines_and_hidden_points(trained: Path) -> None:
    tidy = drawn(trained, "boundary", "plane", units="12")
    dataset = run_dataset(trained)
    subtract, divide = dataset.scaling.subtract, dataset.scaling.divide
    scaled = lambda points: (points - subtract) / divide  # noqa: E731
    regions = [row for row in tidy.rows if row["part"] == "region"]
    assert len(regions) == 144
    logits = forward(trained, "plane", scaled(np.array([[row["x"], row["y"]] for row in regions])))[-1]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [row["class"] for row in regions] == [str(at) for at in shares.argmax(axis=1)]
    np.testing.assert_allclose([row["share"] for row in regions], shares.max(axis=1), atol=1e-4)
    arrays = weights(trained, "plane")
    lines = [row for row in tidy.rows if row["part"] == "line"]
    assert lines
    for row in lines:
        ends = scaled(np.array([[row["x"], row["y"]], [row["x2"], row["y2"]]]))
        zeros = ends @ arrays["dense_1/kernel"][:, row["unit"]] + arrays["dense_1/bias"][row["unit"]]
        np.testing.assert_allclose(zeros, 0, atol=1e-5)
    points = np.array([[row["x"], row["y"]] for row in tidy.rows if row["part"] == "point"])
    hidden = np.array([[row["x"], row["y"]] for row in tidy.rows if row["part"] == "hidden"])
    np.testing.assert_allclose(hidden, forward(trained, "plane", scaled(points))[1], atol=1e-5)


def test_boundary_of_features_is_drawn_in_the_plane_that_they_are_made_of(trained: Path) -> None:
    tidy = drawn(trained, "boundary", "ring", units="10")
    of = {part: [row for row in tidy.rows if row["part"] == part] for part in ("region", "point", "line", "hidden")}
    assert not of["line"]  # what is straight in the features is not in the plane
    spec = registry.get("points")(shape="circles", n=200)
    points = spec.load(Places()).train.read(np.arange(144))[0]
    np.testing.assert_allclose([[row["x"], row["y"]] for row in of["point"]], points, atol=1e-6)
    scaling = (
        registry.get("points")(shape="circles", n=200, features=("x2", "y2", "xy"), scaling="standardize")
        .load(Places())
        .scaling
    )
    arrays = weights(trained, "ring")
    x, y = np.array([[row["x"], row["y"]] for row in of["region"]]).T
    logits = scaling.apply(np.stack([x * x, y * y, x * y], axis=1)) @ arrays["output/kernel"] + arrays["output/bias"]
    assert [row["class"] for row in of["region"]] == [str(at) for at in logits.argmax(axis=1)]


def run_dataset(trained: Path) -> Any:
    from dlx.drawing.networks import splits_of

    return splits_of(run_of(trained, "plane"))


def test_weights_of_earlier_epochs_are_read_from_values(tmp_path: Path) -> None:
    shapes = {"net/dense_1/kernel": (2, 3), "net/dense_1/bias": (3,)}
    rows = ["stage,epoch,step,layer,name,quantity,index,value"]
    for epoch in (0, 2):
        for i, j in itertools.product(range(2), range(3)):
            rows.append(f'train,{epoch},0,1,dense_1,kernel,"{i},{j}",{epoch + i / 10 + j / 100}')
        rows += [f"train,{epoch},0,1,dense_1,bias,{j},{-j}" for j in range(3)]
    rows += ["train,3,0,1,dense_1,bias,0,1", 'train,0,0,1,dense_1,activation,"0,0",9']  # epoch 3 is not whole
    (tmp_path / "values.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = recorded_weights(Run("a trial", 0, Tables(tmp_path)), shapes)
    assert sorted(found) == [0, 2]
    np.testing.assert_allclose(found[2]["net/dense_1/kernel"], [[2.0, 2.01, 2.02], [2.1, 2.11, 2.12]], rtol=1e-6)
    np.testing.assert_allclose(found[0]["net/dense_1/bias"], [0, -1, -2])


@pytest.mark.parametrize(
    ("kind", "name", "options", "message"),
    [
        ("boundary", "plain", {}, "regions are drawn of classes in the plane"),
        ("feature-maps", "plain", {}, "has no convolutions"),
        ("feature-maps", "conv", {"example": "360"}, "numbers 0 to 359"),
        ("hidden", "plain", {"layer": "dense_7"}, "no layer 'dense_7'"),
        ("hidden", "plain", {"layer": "1", "method": "units", "units": "0,12"}, "units 0 to 11, no 12"),
        ("reconstructions", "plain", {}, "it reconstructs nothing"),
        ("boundary", "plane", {"epoch": "3"}, "kept no weights of epoch 3"),
        ("units", "plain", {}, "has no gradient_units.csv"),
    ],
)
def test_what_cannot_be_drawn_says_so(
    trained: Path, kind: str, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        drawn(trained, kind, name, **options)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("filters", "conv"), ("confusion", "plain"), ("hidden", "plain"), ("feature-maps", "conv"), ("boundary", "plane")],
)
def test_they_can_be_drawn(trained: Path, tmp_path: Path, kind: str, name: str) -> None:
    for theme, interactive in (("paper", False), ("slide", True)):
        plotted = plot(kind, [str(trained / name)], {}, theme_of(theme), interactive=interactive)
        path = tmp_path / f"{theme}.svg"
        plotted.picture.write(path)
        assert path.stat().st_size > 5_000


def test_a_pixel_is_a_square_of_its_colour() -> None:
    pixels = np.array([[0.0, 1.0], [-1.0, 0.5]])
    uri = data_uri(pixels, 1.0, "signed", points=20)
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))
    assert image.shape == (60, 60, 3)
    assert [tuple(image[y, x]) for y, x in ((0, 0), (29, 29))] == [(247, 247, 247)] * 2
    assert tuple(image[0, 59]) == (179, 88, 6)
    assert tuple(image[59, 0]) == (33, 102, 172)
