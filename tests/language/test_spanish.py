"""Catalogues: complete, current, with the same places in every sentence; and commands that speak them."""

from __future__ import annotations

import ast
import gettext
import importlib.util
import json
import re
import string
import sys
from pathlib import Path
from typing import Any

import pytest

from dlx import language
from dlx.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "analysis"))

from made import depth, make  # noqa: E402 - found only now


def _catalogues() -> Any:
    pytest.importorskip("babel", reason="needs babel (extra `dev`)")
    spec = importlib.util.spec_from_file_location("catalogues", ROOT / "docs" / "catalogues.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogues() -> Any:
    return _catalogues()


def test_catalogues_are_complete_and_current(catalogues: Any) -> None:
    assert [path.parent.parent.name for path in catalogues.CATALOGUES] == ["es"]
    assert catalogues.problems() == [], "run python docs/catalogues.py, and translate what it names"


def test_a_sentence_without_translation_is_noticed(catalogues: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalogues.marked()
    known.add("a new sentence")
    monkeypatch.setattr(catalogues, "marked", lambda: known)
    assert [problem for problem in catalogues.problems() if "stale" in problem]


def test_a_translation_has_the_places_of_its_sentence(catalogues: Any) -> None:
    """And what stands on both sides of it: a space at the beginning, a full stop at the end."""
    count = 0
    for path in catalogues.CATALOGUES:
        for message in catalogues.read(path):
            pairs = (
                [(message.id, message.string)]
                if isinstance(message.id, str)
                else zip(message.id, message.string, strict=True)
            )
            for one, other in pairs if message.id else ():
                assert _places(one) == _places(other), one
                assert len(one) < 20 or one.endswith(".") == other.endswith("."), one
                assert one[:1].isspace() == other[:1].isspace(), one
                count += 1
    assert count > 200


def _places(sentence: str) -> list[str | None]:
    return sorted(name for _text, name, _form, _conversion in string.Formatter().parse(sentence) if name is not None)


def test_only_written_sentences_are_marked() -> None:
    """``_(name)`` would hide a sentence from whoever gathers them."""
    hidden = []
    for path in (ROOT / "dlx").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "plural"):
                wanted = node.args[: 2 if node.func.id == "plural" else 1]
                if not all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in wanted):
                    hidden.append(f"{path.name}:{node.lineno}")
    assert hidden == []


SPEC = """
model: {name: mlp, width: 4}
training: {epochs: 2}
sweep: {model.depth: [1, 3]}
seeds: 3
expect:
  - {metric: test_accuracy, at: {model.depth: 3}, above: {model.depth: 1}}
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def numbers(trial: Any, epoch: int) -> dict[str, float]:
        value = 0.5 + 0.1 * depth(trial) + 0.01 * trial.seed.init**2 + 0.001 * depth(trial) * trial.seed.init
        return {"train_accuracy": value, "val_accuracy": value - 0.02, "test_accuracy": value,
                "train_loss": 1.0, "val_loss": 1.0, "test_loss": 1 - value}  # fmt: skip

    monkeypatch.setattr(language, "_chosen", [])
    make(
        tmp_path / "results",
        SPEC,
        numbers,
        epochs=2,
        gradient=lambda trial, epoch, layer, parameter: 5.0**layer,
    )
    for directory in (tmp_path / "results" / "depth" / "trials").iterdir():
        layers = len({line.split(",")[3] for line in (directory / "gradients.csv").read_text().splitlines()[1:]})
        header, first = (directory / "layers.csv").read_text().splitlines()
        rows = [first.replace("1,dense_1,", f"{layer},dense_{layer},") for layer in range(1, layers)]
        rows.append(first.replace("1,dense_1,", f"{layers},output,"))
        (directory / "layers.csv").write_text("\n".join([header, *rows, ""]))
    return tmp_path / "results"


def test_compare_speaks_spanish_and_its_columns_english(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(results), "--claims", "--lang", "es"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split()[:3] == ["depth", "n", "test_accuracy@last"]
    assert "depth 3 supera a depth 1 en 20.20 puntos (IC del 95 % de 19.70 a 20.70" in said
    assert "3 semillas emparejadas" in said
    assert "confirmada   test_accuracy con model.depth 3 es mayor que con model.depth 1" in said


def test_a_run_ends_in_spanish(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Here of trials that are done already."""
    spec = tmp_path / "depth.yaml"
    spec.write_text(SPEC)
    assert main(["run", str(spec), "--results", str(results), "--lang", "es"]) == 0
    said = capsys.readouterr().out
    assert "‖∂L/∂b‖ por capa, desde la entrada" in said and "antes de entrenar" in said and "capa 1" in said
    assert "confirmada   test_accuracy con model.depth 3 es mayor que con model.depth 1" in said
    assert f"tablas: {results / 'depth' / 'trials.csv'} y " in said
    assert main(["sweep", "depth=1", "--dry-run", "--lang", "xx"]) == 2
    assert "no language 'xx'" in capsys.readouterr().err


def test_the_language_of_the_environment(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLX_LANG", "es")
    assert main(["diagnose", str(results)]) == 0
    said = capsys.readouterr().out
    assert "veces más despacio que" in said and "(3 ensayos" in said and "  vanishing" in said
    assert main(["compare", str(results), "--lang", "en"]) == 0
    assert "beats" in capsys.readouterr().out


def test_json_has_english_keys(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for code in ("en", "es"):
        assert main(["diagnose", str(results), "--json", "--lang", code]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert _keys(told[0]) == _keys(told[1])
    assert "vanishing" in [verdict["rule"] for verdict in told[1]["settings"][1]["verdicts"]]


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _keys(item) for key, item in value.items()}
    return [_keys(item) for item in value] if isinstance(value, list) else None


def test_charts_and_reports_speak_spanish(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "learning-speed", str(results), "-o", str(tmp_path / "speed.svg"), "--lang", "es"]) == 0
    drawn = (tmp_path / "speed.svg").read_text("utf-8")
    assert "época" in drawn and "norma del gradiente" in drawn and ">epoch<" not in drawn
    assert main(["report", str(results), "-o", str(tmp_path / "r.html"), "--lang", "es"]) == 0
    page = (tmp_path / "r.html").read_text("utf-8")
    assert '<html lang="es">' in page
    for sentence in (
        "La pregunta",
        "La respuesta",
        "Curvas de aprendizaje",
        "De dónde salen los números",
        "confirmada",
    ):
        assert sentence in page
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert "The answer" not in shown and "seed " not in shown


def test_without_a_catalogue_sentences_are_english() -> None:
    assert gettext.find("dlx", language.CATALOGUES, ["en"]) is None
    assert language.languages() == ("en", "es")


@pytest.fixture(autouse=True)
def _english_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_chosen", [])
