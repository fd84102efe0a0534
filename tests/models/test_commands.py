"""``dlx show`` and ``dlx models``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlx.cli.main import main
from dlx.cli.parameters import in_words, parameters
from dlx.cli.show import parse_shape
from dlx.errors import UsageError
from dlx.models import registry


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, code: int = 0) -> str:
        assert main(arguments) == code, capsys.readouterr().err
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_show_prints_the_table(run: Any) -> None:
    lines = run("show", "lenet5").splitlines()
    assert lines[0] == "lenet5, input 28x28x1"
    assert lines[2].split() == ["layer", "name", "type", "output", "parameters", "multiply-adds", "receptive", "field"]
    assert next(line for line in lines if " C3 " in line).split() == [
        "2", "C3", "Conv2D", "10x10x16", "2,416", "240,000", "14x14",
    ]  # fmt: skip
    assert lines[-1] == "61,706 parameters, 416,520 multiply-adds, 423,038 connections"


def test_a_net_of_the_literature_is_shown_as_published(run: Any) -> None:
    lines = run("show", "googlenet").splitlines()
    assert lines[0] == "googlenet, input 224x224x3"
    assert lines[-2].startswith("6,998,552 parameters, 1,582,671,872 multiply-adds")
    assert lines[-1] == "and 6,379,728 parameters of auxiliary classifiers, in training only"
    assert run("show", "application", "--set", "model.net=MobileNetV2").startswith("application, input 224x224x3")


@pytest.mark.parametrize("net", [("googlenet",), ("application", "--set", "model.net=NASNetMobile")])
@pytest.mark.parametrize("by", ["block", "stage"])
def test_a_block_or_stage_has_one_row(run: Any, net: tuple[str, ...], by: str) -> None:
    """Even where Keras lists its layers among those of another one, or of a classifier beside it."""
    (network,) = json.loads(run("show", *net, "--json"))["networks"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for layer in network["layers"]:
        groups.setdefault(layer["block"].partition("/")[0] if by == "stage" else layer["block"], []).append(layer)
    del groups[""]
    expected = [
        (name, "x".join(map(str, rows[-1]["output_shape"])), f"{sum(row['parameters'] for row in rows):,}")
        for name, rows in groups.items()
    ]
    cells = [line.split() for line in run("show", *net, "--by", by).splitlines()]
    found = [tuple(row[-5:-2]) for row in cells if len(row) >= 5 and row[-5] in groups]
    assert found == expected


def test_show_takes_an_input_and_settings(run: Any) -> None:
    shown = json.loads(
        run("show", "cnn", "--input", "32x32x1", "--set", "model.dense=[50]", "--outputs", "7", "--json")
    )
    assert shown["schema"] == "dlx.show/1"
    (network,) = shown["networks"]
    assert network["model"]["dense"] == [50]
    assert (network["input_shape"], network["outputs"]) == ([32, 32, 1], 7)
    rows = {row["name"]: row for row in network["layers"]}
    assert rows["conv_1"]["multiply_adds"] == 32 * 32 * 9 * 16
    assert rows["dense_1"]["parameters"] == 8 * 8 * 32 * 50 + 50
    assert rows["output"]["output_shape"] == [7]
    assert network["total"]["parameters"] == sum(row["parameters"] for row in rows.values())


def test_show_counts_what_is_not_trained(run: Any) -> None:
    assert "(120 not trainable)" not in run("show", "mlp")
    assert "(60 not trainable)" in run("show", "mlp", "--set", "model.normalization=batch")


def test_show_a_spec_with_each_network_once(run: Any, tmp_path: Path) -> None:
    spec = tmp_path / "sweep.yaml"
    spec.write_text(
        "dataset: digits\nmodel: {name: mlp, width: 5}\n"
        "sweep: {training.optimizer: [sgd, adam], model.depth: [0, 2], model.activation: [tanh, relu]}\nseeds: 3\n"
    )
    networks = json.loads(run("show", str(spec), "--json"))["networks"]
    assert [network["parameters"]["model.depth"] for network in networks] == [0, 2]
    assert all("training.optimizer" not in network["parameters"] for network in networks)
    assert [network["total"]["parameters"] for network in networks] == [650, 65 * 5 + 6 * 5 + 60]
    assert "mlp with model.depth=2" in run("show", str(spec))
    assert "input 28x28x1" in run("show", str(spec), "--set", "dataset=mnist")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "cnnn"), "did you mean 'cnn'"),
        (("show", "missing.yaml"), "missing.yaml"),
        (("show", "cnn", "--set", "model.dens=[3]"), "did you mean 'dense'"),
        (
            ("show", "cnn", "--set", "model.blocks=[{filters: 2}, {pool: {type: max, size: 40}}]"),
            "model.blocks[1].pool",
        ),
        (("show", "cnn", "--set", "training.epochs=3"), "only model."),
        (("show", "mlp", "--set", "model.initializer=he_norml"), "did you mean 'he_normal'"),
        (
            ("show", "mlp", "--set", "model.initializer={name: normal, stddv: 1}"),
            "normal has no 'stddv' (did you mean 'stddev'?)",
        ),
        (("show", "cnn", "--set", "model.blocks=[{filters: 2, pool: averge}]"), "did you mean 'average'"),
        (("show", "mlp", "--set", "model.activation=rellu"), "did you mean 'relu'"),
        (("show", "mlp", "--set", "model.hidden=[2]", "--set", "model.depth=2"), "hidden"),
        (("show", "mlp", "--set", "model.initial_weights=[{kernel: [[1]]}, null]"), "model.initial_weights[0].kernel"),
        (("show", "lenet5", "--input", "8x8x1"), "12x12"),
        (("show", "mlp", "--input", "28by28"), "28by28"),
        (("show", "mlp", "--outputs", "0"), "--outputs"),
        (("models", "mlpp"), "did you mean 'mlp'"),
    ],
)
def test_mistakes_are_told_in_one_message(run: Any, arguments: tuple[str, ...], says: str) -> None:
    message = run(*arguments, code=2)
    assert says in message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["input", "outputs"])
def test_a_specs_shape_is_its_datasets(run: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "one.yaml").write_text("model: mlp\n")
    assert "dataset" in run("show", str(tmp_path / "one.yaml"), f"--{name}", "4", code=2)


@pytest.mark.parametrize(("text", "shape"), [("64", (64,)), ("32x32x3", (32, 32, 3)), ("32×32×3", (32, 32, 3))])
def test_shapes(text: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "x", "3x", "0x3", "-1", "1.5", "²", "9999999999"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(UsageError, match="--input"):
        parse_shape(text)


def test_models_lists_every_model(run: Any) -> None:
    text = run("models")
    listed = json.loads(run("models", "--json"))
    assert listed["schema"] == "dlx.models/1"
    assert [model["name"] for model in listed["models"]] == registry.names()
    for model in listed["models"]:
        assert model["name"] in text
        assert model["summary"] in text
        assert model["source"] in text


@pytest.mark.parametrize("name", registry.names())
def test_a_model_is_told_in_full(run: Any, name: str) -> None:
    """Every field of the class with its type, default and meaning; the paper."""
    spec = registry.get(name)
    text = " ".join(run("models", name).split())
    told = json.loads(run("models", name, "--json"))["model"]
    assert spec.source in text
    parameters = {parameter["name"]: parameter for parameter in told["parameters"]}
    assert set(spec.model_fields) - {"name"} == {key for key in parameters if "." not in key}
    for key, parameter in parameters.items():
        assert parameter["description"]
        assert f"{key}: {parameter['type']} (" in text
        assert parameter["description"] in text


def test_parameters_in_words() -> None:
    told = {parameter.name: parameter for parameter in parameters(registry.get("cnn"))}
    assert told["blocks"].default == [
        {"filters": 16, "pool": {"type": "max"}},
        {"filters": 32, "pool": {"type": "max"}},
    ]
    assert told["blocks[].kernel"].type == "integer ≥ 1 | [integer ≥ 1, integer ≥ 1]"
    assert told["blocks[].pool.type"].required
    assert told["dropout"].type == "number ≥ 0 and < 1"
    assert told["initializer"].type == "initializer | {name, …} | {kernel, bias}"
    assert told["initializer"].default == {"kernel": "glorot_uniform", "bias": "zeros"}
    assert told["activation"].type == "activation"


def test_schemas_in_words() -> None:
    assert in_words({"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}, {}) == (
        "list of (null | integer)"
    )
    assert in_words({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {}) == "number > 0 and ≤ 1"
    assert in_words({"const": "max"}, {}) == "max"
