"""``executors.yaml``: found, merged with flags, and what is wrong with it told by line and column."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.errors import SpecError
from dlx.executors._settings import options

Dlx = Callable[..., subprocess.CompletedProcess[str]]


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, results = tmp_path / "here", tmp_path / "results"
    here.mkdir()
    results.mkdir()
    monkeypatch.chdir(here)
    assert options("slurm", results) == {}
    (results / "executors.yaml").write_text("slurm: {partition: far}")
    assert options("slurm", results) == {"partition": "far"}
    (here / "executors.yaml").write_text("slurm: {partition: near, setup: [module load cuda], options: {qos: low}}")
    assert options("slurm", results) == {
        "partition": "near", "setup": ["module load cuda"], "options": {"qos": "low"}
    }  # fmt: skip
    assert options("local", results) == {}
    (tmp_path / "other.yaml").write_text("local: {jobs: 3}\nslurm: {time: 4:00:00}")
    assert options("local", results, tmp_path / "other.yaml") == {"jobs": 3}


def test_everything_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "executors.yaml"
    file.write_text(
        "slurm:\n  acount: gpu\n  gpus: one\n  time: soon\n  mem: much\nslrm: {}\nlocal: 3\nray:\n  name: ray\n"
    )
    with pytest.raises(SpecError) as caught:
        options("slurm", tmp_path, file)
    told = [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]
    assert told[0] == "2:3: slurm.acount: unknown key (did you mean 'account'?)"
    assert told[1] == "3:9: slurm.gpus: must be a whole number ≥ 0, not 'one'"
    assert told[2].startswith("4:9: slurm.time: must be a length of time such as 30m, 4h, 2d or 1-12:00:00, not 'soon'")
    assert told[3].startswith("5:8: slurm.mem: ")
    assert told[4] == "6:1: slrm: unknown executor (did you mean 'slurm'?)"
    assert told[5:] == ["7:8: local: must be a mapping of options", "9:3: ray.name: unknown key"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "slrm"], "unknown executor 'slrm' (did you mean 'slurm'?)"),
        (["--executor", "inline", "--jobs", "2"], "executor 'inline' has no option --jobs"),
        (["--detach"], "executor 'local' has no option --detach"),
        (["--executor", "slurm", "--time", "soon"], "--time soon: "),
        (["--executor", "slurm", "--executors", "absent.yaml"], "absent.yaml: cannot be read: No such file"),
        (["--timeout", "-1"], "--timeout '-1' is not a length of time"),
    ],
)
def test_bad_flags(tmp_path: Path, dlx: Dlx, arguments: list[str], message: str) -> None:
    results = tmp_path / "results"
    said = dlx("run", "experiments/quickstart.yaml", "--results", str(results), *arguments)
    assert said.returncode == 2
    assert said.stderr.removeprefix("dlx: ").startswith(message), said.stderr
    assert said.stderr.count("\n") == 1
    assert not results.exists()
