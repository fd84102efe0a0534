"""The documentation says what the program does: help blocks are current, examples run."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlx.cli import commands

ROOT = Path(__file__).resolve().parent.parent
NAMES = [name for names in commands.PANELS.values() for name in names]

AFTER_A_RUN = ("run", "compare", "diagnose", "diff", "status", "predict", "evaluate", "report", "sample")
"""Commands whose examples are tried below, with the results that they are about."""

_EXAMPLE = re.compile(r"Example: (dlx .+(?:\n(?!\n).+)*)")


def example(name: str) -> list[str]:
    """The arguments of the example in a command's help."""
    found = _EXAMPLE.findall(commands.load(name).help)
    assert len(found) == 1, f"dlx {name} --help has one example"
    return shlex.split(found[0])[1:]


def test_generated_parts_are_current() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.stale() == [], "run `make docs`"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_documented(name: str) -> None:
    assert f"### dlx {name}\n" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in AFTER_A_RUN])
def test_every_example_runs(name: str, dlx: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    arguments = example(name)
    assert arguments[0] == name
    where = {"cwd": tmp_path} if "-o" in arguments else {}
    here = ["--executor", "inline"] if name == "sweep" else []  # without workers that import TensorFlow once more
    ended = dlx(*arguments, *here, DLX_RESULTS=str(tmp_path / "results"), **where)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_the_example_of_status_tells_of_a_run(
    dlx: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text("model: mlp\ntraining: {epochs: 1}\n", encoding="utf-8")
    assert dlx("run", "small.yaml", "--quiet", cwd=tmp_path).returncode == 0
    ended = dlx(*example("status"), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "small (results/small): 1 of 1 trial done\n"
    compared = dlx(*example("compare"), cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.startswith("n  test_accuracy@last (%)\n")


def test_the_example_of_sample_draws_from_a_belief_net(
    dlx: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    spec = """
model: {name: mlp, hidden: [20, 10], activation: sigmoid}
pretraining: {method: rbm, epochs: 1}
training: {epochs: 1}
"""
    (tmp_path / "belief.yaml").write_text(spec, encoding="utf-8")
    assert dlx("run", "belief.yaml", "--quiet", cwd=tmp_path).returncode == 0
    ended = dlx(*example("sample"), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "25 examples after 1000 steps: digits.png\n"
    from PIL import Image

    assert Image.open(tmp_path / "digits.png").size == (44, 44)


def test_the_quickstart_keeps_its_promise(dlx: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """The example of ``dlx run``: every net is accurate, and in the deepest each layer learns slower than the next."""
    arguments = example("run")
    assert arguments == ["run", "experiments/quickstart.yaml"]
    ended = dlx(*arguments, "--json", "--executor", "inline", DLX_RESULTS=str(tmp_path / "results"))
    assert ended.returncode == 0, ended.stderr
    trials = json.loads(ended.stdout)["experiments"][0]["trials"]
    assert [trial["parameters"]["model.depth"] for trial in trials] == [1, 2, 3, 4]
    assert min(trial["metrics"]["test_accuracy"] for trial in trials) >= 0.95
    norms = trials[-1]["gradients"]["bias"]["first"]
    assert all(behind > 3 * before for before, behind in itertools.pairwise(norms))
    np.save(tmp_path / "digits.npy", np.zeros((2, 8, 8, 1), np.uint8))
    predicted = dlx(*example("predict"), cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    assert len(predicted.stdout.splitlines()) == 2
    evaluated = dlx(*example("evaluate"), cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "rotate 15" in evaluated.stdout
    told = dlx(*example("diagnose"), DLX_RESULTS=str(tmp_path / "results"))
    assert told.returncode == 0, told.stderr
    assert "dense_1 learns" in told.stdout
    reported = dlx(*example("report"), cwd=tmp_path)
    assert reported.returncode == 0, reported.stderr
    assert reported.stdout.startswith("quickstart.html: 4 trials, ")
    told = dlx(*example("diff"), DLX_RESULTS=str(tmp_path / "results"))
    assert told.returncode == 0, told.stderr
    assert "model.depth  1 → 2" in told.stdout
    begun = [shlex.split(command)[1:] for command in consoles("README.md", "## Start")]
    assert ["run", "experiments/quickstart.yaml"] in begun and ["compare", "quickstart"] in begun
    small = ["--seeds", "1", "--set", "training.epochs=1", "--set", "dataset.train_limit=50", "--executor", "inline"]
    already = [example(name) for name in ("run", "predict", "evaluate", "diagnose", "report", "diff", "step")]
    for arguments in begun:
        if arguments not in already:
            ended = dlx(*arguments, *(small if arguments[0] == "sweep" else ()), cwd=tmp_path)
            assert ended.returncode == 0, f"{arguments}: {ended.stderr}"


def test_the_commands_of_the_page_on_experiments_work_one_after_another(
    dlx: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """In the order of the page, in one folder; what would train for minutes, or on data to be fetched, in small."""
    commands = consoles("docs/experiments.md")
    assert len(commands) >= 9
    for command in commands:
        arguments = shlex.split(command.replace("mnist", "digits"))[1:]
        if arguments[:2] == ["run", "vanishing-gradient/depth"]:
            arguments = [*arguments[:2], "--smoke", "--executor", "inline"]
        ended = dlx(*arguments, cwd=tmp_path, DLX_DATA="")
        assert ended.returncode == 0, f"{command}: {ended.stderr}"
        assert ended.stdout or "-o" in arguments, command


def consoles(page: str, after: str = "") -> list[str]:
    """The dlx commands in the consoles of a page, in order, without comments; of one section if a heading is given."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if after:
        text = text.partition(f"{after}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return re.findall(r"^\$ (dlx .*?)(?: +#.*)?$", "".join(blocks), re.MULTILINE)


def test_the_spanish_readme_shows_what_the_english_one_does() -> None:
    """The same specs, pictures and commands; of the pages it points to, none that is not there."""
    english, spanish = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md"))
    for kind in (r"```yaml\n(.*?)```", r"^\$ (dlx .*?)(?: +#.*)?$", r"\]\((docs/\S+\.svg)\)"):
        shown = re.findall(kind, spanish, re.DOTALL if "yaml" in kind else re.MULTILINE)
        assert shown
        assert set(shown) <= set(re.findall(kind, english, re.DOTALL if "yaml" in kind else re.MULTILINE))
    for text in (english, spanish):
        for place in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / place).exists(), place
