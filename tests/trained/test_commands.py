"""``dlx predict`` and ``dlx evaluate``, and the files that they read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx.cli.main import main
from dlx.errors import DataError
from dlx.inputs import read
from dlx.records.trial_directory import TrialDirectory
from dlx.trained import Trained
from tests.trained.test_trained import LINE, MLP

Network = Callable[..., Trained]
Train = Callable[..., list[TrialDirectory]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def digits(network: Network) -> tuple[Trained, np.ndarray, np.ndarray]:
    trained = network(MLP)
    inputs, targets = trained.splits.train.read(np.arange(20))
    return trained, inputs, targets


def picture(path: Path, digit: np.ndarray) -> Path:
    """A digit (8, 8, 1) of 0 to 16 as a picture of 0 to 255."""
    Image.fromarray((digit[:, :, 0].astype(float) * 255 / 16).round().astype(np.uint8)).save(path)
    return path


def test_pictures_arrays_and_rows_are_the_same_examples(digits: Any, tmp_path: Path) -> None:
    trained, inputs, _ = digits
    expected = trained.predict(inputs)
    np.save(tmp_path / "some.npy", inputs)
    np.save(tmp_path / "grey.npy", inputs[:, :, :, 0])
    np.savez(tmp_path / "some.npz", inputs=inputs, other=np.arange(3))
    rows = "\n".join(",".join(map(str, row)) for row in inputs.reshape(20, -1).tolist())
    (tmp_path / "some.csv").write_text(",".join(f"pixel_{i}" for i in range(64)) + "\n" + rows + "\n", "utf-8")
    for name in ("some.npy", "grey.npy", "some.npz", "some.csv"):
        np.testing.assert_array_equal(trained.predict(read(trained, [tmp_path / name]).inputs), expected)
    (tmp_path / "pictures").mkdir()
    for number, digit in enumerate(inputs):
        picture(tmp_path / "pictures" / f"{number:02}.png", digit)
    (tmp_path / "pictures" / "._00.png").write_bytes(b"what macOS keeps beside a file")
    found = read(trained, [tmp_path / "pictures"])
    assert [Path(name).stem for name in found.names] == [f"{number:02}" for number in range(20)]
    np.testing.assert_allclose(found.inputs, inputs, atol=0.04)  # a byte is 1/16 of the digits' step


def test_pictures_of_other_kinds(digits: Any, tmp_path: Path) -> None:
    trained, inputs, _ = digits
    plain = read(trained, [picture(tmp_path / "plain.png", inputs[0])]).inputs
    with Image.open(tmp_path / "plain.png") as image:
        image.convert("RGB").save(tmp_path / "colour.png")
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(tmp_path / "deep.png")
        transparent = image.convert("RGBA")
        transparent.putalpha(0)
        transparent.save(tmp_path / "clear.png")
        image.resize((16, 16), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    for name in ("colour.png", "deep.png"):
        np.testing.assert_allclose(read(trained, [tmp_path / name]).inputs, plain, atol=0.1)
    assert (read(trained, [tmp_path / "clear.png"]).inputs == 16).all()  # what is transparent shows white paper
    assert (read(trained, [tmp_path / "clear.png"], invert=True).inputs == 0).all()
    np.testing.assert_allclose(read(trained, [tmp_path / "large.png"], resize=True).inputs, plain, atol=5)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("wide.png", (28, 20), r"wide\.png is 28 × 20 pixels, and .* takes 8 × 8 \(--resize"),
        ("text.png", b"not a picture", "is not an image that can be read"),
        ("wide.npy", np.zeros((3, 9, 8)), "examples of shape 8 × 8 × 1 are wanted, and the array is 3 × 9 × 8"),
        ("words.npy", np.array(["a"]), "holds <U1, not numbers"),
        ("nan.npy", np.full((1, 8, 8), np.nan), "numbers that are not finite"),
        ("broken.npz", b"PK", "is not an array that can be read: it is a damaged .npz"),
        (
            "cut.npz",
            b"PK\x03\x04 and what follows is not there",
            "is not an array that can be read: it is a damaged .npz",
        ),
        ("text.npy", b"1,2,3", "it is neither an .npy nor an .npz"),
        ("nothing.npy", np.zeros((0, 8, 8)), "holds no examples: its shape is 0 × 8 × 8"),
        ("latin.csv", b"1,\xff\n", "is not UTF-8 text"),
        ("typo.csv", b",".join([b"0"] * 63) + b",o\n", r"typo\.csv:1: 'o' is not a number"),
        ("short.csv", b"1,2,3\n", r"short\.csv:1: 64 numbers are wanted, and there are 3 numbers"),
        ("word.csv", b"1,2\n1,two\n", r"word\.csv:1: 64 numbers"),
        (
            "late.csv",
            b",".join([b"0"] * 64) + b"\n" + b",".join([b"x"] * 64) + b"\n",
            r"late\.csv:2: 'x' is not a number",
        ),
        ("empty.csv", b"a,b\n", "holds no rows of numbers"),
        ("model.pdf", b"", "unknown kind of file"),
        ("nowhere.png", None, "there is no such file"),
    ],
)
def test_inputs_that_cannot_be_read(digits: Any, tmp_path: Path, name: str, content: Any, message: str) -> None:
    path = tmp_path / name
    if isinstance(content, tuple):
        Image.new("L", content).save(path)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(digits[0], [path])


def test_archives_that_were_cut_off(digits: Any, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", inputs=digits[1])
    whole = (tmp_path / "whole.npz").read_bytes()
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.npz"):
            read(digits[0], [tmp_path / "cut.npz"])
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2] ^= 0xFF
    (tmp_path / "spoilt.npz").write_bytes(spoilt)
    with pytest.raises(DataError, match=r"spoilt\.npz is damaged"):
        read(digits[0], [tmp_path / "spoilt.npz"])


def test_predict_names_the_classes(digits: Any, tmp_path: Path, run: Run) -> None:
    trained, inputs, _ = digits
    np.save(tmp_path / "some.npy", inputs)
    code, out, err = run("predict", trained.directory.path, tmp_path / "some.npy", "--json")
    assert code == 0 and not err
    content = json.loads(out)
    assert content["schema"] == "dlx.predict/1" and content["networks"][0]["digest"] == trained.digest
    assert [one["predicted"] for one in content["predictions"]] == trained.labels(inputs).tolist()
    given = trained.predict(inputs)
    assert [one["top"][0]["probability"] for one in content["predictions"]] == pytest.approx(list(given.max(axis=1)))
    _, out, _ = run("predict", trained.directory.path, tmp_path / "some.npy", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert np.array_equal(np.float32([float(row["probability_3"]) for row in rows]), given[:, 3])
    code, out, _ = run("predict", trained.directory.path, tmp_path / "some.npy", "--top", "1")
    assert out.splitlines()[0].split()[1] == str(trained.labels(inputs)[0])
    code, _, err = run("predict", trained.directory.path, tmp_path / "some.npy", "--csv", "--json")
    assert code == 2 and "two forms of the same" in err


def test_predict_gives_values_in_a_regression(network: Network, tmp_path: Path, run: Run) -> None:
    trained = network(LINE)
    (tmp_path / "x.csv").write_text("x\n10\n-1\n", "utf-8")
    _, out, _ = run("predict", trained.directory.path, tmp_path / "x.csv", "--json")
    values = [one["values"][0] for one in json.loads(out)["predictions"]]
    assert values == pytest.approx([21.0, -1.0], abs=0.02)
    _, out, _ = run("predict", trained.directory.path, tmp_path / "x.csv", "--csv")
    assert out.startswith("id,predicted_0\n")


def test_evaluate_tells_of_each_trial_and_of_all_together(train: Train, run: Run) -> None:
    directories = train(MLP + "seeds: 3\n", "training.epochs=1")
    place = directories[0].path.parent.parent
    code, out, _ = run("evaluate", place, "--ensemble", "--shift", "1", "--json")
    assert code == 0
    content = json.loads(out)
    accuracies = [one["metrics"]["accuracy"] for one in content["evaluations"]]
    recorded = [directory.status().summary["test_accuracy"] for directory in directories]
    assert accuracies[:3] == pytest.approx(recorded, rel=1e-6) and len(accuracies) == 4
    assert all(one["perturbed"]["shift"] < one["metrics"]["accuracy"] for one in content["evaluations"])
    code, out, _ = run("evaluate", place, "--ensemble")
    assert "all 3" in out and "balanced accuracy" in out
    code, out, _ = run("evaluate", directories[0].path, "--part", "validation")
    assert "recall of each class" in out and "144 examples of the validation part of digits" in out


def test_evaluate_on_another_data_set(train: Train, run: Run) -> None:
    (directory,) = train(MLP)
    code, out, _ = run("evaluate", directory.path, "{name: digits, split: ordered, validation: 100}", "--part", "train")
    assert code == 0 and "1,337 examples" in out
    code, _, err = run("evaluate", directory.path, "mnist")
    assert code == 2 and "has examples of shape 8 × 8 × 1, not 28 × 28 × 1" in err
    code, _, err = run("evaluate", directory.path, "digit")
    assert code == 2 and "did you mean 'digits'" in err
    code, _, err = run("evaluate", directory.path, "some.csv")
    assert code == 2 and "was trained on digits, not on a CSV" in err


def test_evaluate_without_a_test_part_says_which_there_are(train: Train, run: Run) -> None:
    xor = "{name: arrays, inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], labels: [0, 1, 1, 0], validation: 0}"
    (directory,) = train(f"model: {{name: mlp, hidden: [3]}}\ndataset: {xor}\ntraining: {{epochs: 1}}")
    code, _, err = run("evaluate", directory.path)
    assert code == 2
    assert (
        err == f"dlx: arrays as trial {directory.path.name} divides it has no test part, but train (add --part train)\n"
    )
    code, out, _ = run("evaluate", directory.path, "--part", "train")
    assert code == 0 and "4 examples of the train part of arrays" in out


def test_rows_of_a_csv_are_read_as_the_training_file_was(network: Network, run: Run, tmp_path: Path) -> None:
    """Columns in another order, a category and a gap: as good as the same rows in the file that was learned from."""
    rng = np.random.default_rng(0)
    rows = [(x, "north" if x > 0 else "south", "warm" if x + y > 0 else "cold", y) for x, y in rng.normal(size=(80, 2))]
    known = "x,side,kind,y\n" + "".join(f"{x:.3f},{side},{kind},{y:.3f}\n" for x, side, kind, y in rows)
    (tmp_path / "known.csv").write_text(known, "utf-8")
    lines = [f"{y:.3f},{kind},{x:.3f},{side}\n" for x, side, kind, y in rows]
    lines.insert(1, ",warm,1.0,north\n")
    (tmp_path / "new.csv").write_text("y,kind,x,side\n" + "".join(lines), "utf-8")
    settings = f"{{name: csv, path: {tmp_path / 'known.csv'}, label: kind, missing: drop, test: 0, validation: 0.2}}"
    trained = network(f"dataset: {settings}\nmodel: mlp\ntraining: {{epochs: 30}}\n")
    found = read(trained, [tmp_path / "new.csv"])
    assert [int(name.rsplit(":")[-1]) for name in found.names] == [0, *range(2, 81)]
    inputs, _ = trained.splits.train.read(np.arange(64))
    np.testing.assert_array_equal(trained.predict(found.inputs)[trained.splits.train.ids], trained.predict(inputs))
    code, out, _ = run("evaluate", trained.directory.path, tmp_path / "new.csv", "--json")
    assert code == 0
    (evaluated,) = json.loads(out)["evaluations"]
    parts = [trained.evaluate("train"), trained.evaluate("validation")]
    expected = (parts[0]["accuracy"] * 64 + parts[1]["accuracy"] * 16) / 80
    assert evaluated["examples"] == 80 and evaluated["metrics"]["accuracy"] == pytest.approx(expected)
    code, out, err = run("predict", trained.directory.path, tmp_path / "new.csv", "--csv")
    assert err == f"dlx: {tmp_path / 'new.csv'}: of 81 rows, left out as something is missing (missing: drop): row 2\n"
    assert out.splitlines()[1].startswith(f"{tmp_path / 'new.csv'}:0,")
    (tmp_path / "other.csv").write_text("x,y,side\n1,2,east\n1,2,\n,1,south\n", "utf-8")
    code, out, err = run("predict", trained.directory.path, tmp_path / "other.csv")
    assert code == 0 and len(out.splitlines()) == 1
    assert "(missing: drop): 2 rows, the first of them row 2\n" in err
    assert "the column 'side' has what the training file has not (east): its inputs are all 0 there" in err
    (tmp_path / "short.csv").write_text("x,y\n1,2\n", "utf-8")
    code, _, err = run("predict", trained.directory.path, tmp_path / "short.csv")
    assert code == 2 and "side" in err and "Traceback" not in err
    (tmp_path / "known.csv").write_text(known + "1,north,warm,1\n", "utf-8")
    code, _, err = run("predict", trained.directory.path, tmp_path / "new.csv")
    assert code == 2 and "there with the content that was trained on" in err


def test_trials_that_are_not_done_are_left_out(train: Train, run: Run, tmp_path: Path) -> None:
    (directory,) = train(MLP)
    code, _, err = run("evaluate", directory.path.parent / "nothing")
    assert code == 2 and "nothing" in err
