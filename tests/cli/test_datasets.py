"""``dlx datasets``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from dlx.cli.datasets import progress_lines
from dlx.datasets import registry

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """An environment in which no data set is anywhere."""
    return {"DLX_DATA": "", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_lists_all_with_what_is_here(dlx: Call, empty: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").touch()
    done = dlx("datasets", "--data-dir", str(tmp_path), **empty)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    assert list(rows) == registry.names()
    assert rows["mnist"].split()[1:5] == ["28x28x1", "10", "60,000", "10,000"]
    assert rows["mnist"].endswith(str(tmp_path / "mnist.npz"))
    assert rows["cifar100"].endswith("no (169 MB to download)")
    assert rows["digits"].endswith("within dlx")


def test_one_in_full(dlx: Call, empty: dict[str, str]) -> None:
    done = dlx("datasets", "mnist", **empty)
    assert done.returncode == 0, done.stderr
    for part in ("LeCun", "60,000 to train, 10,000 to test", "CC BY-SA 3.0", "--download fetches 11.5 MB"):
        assert part in done.stdout
    for name, field in registry.get("mnist").model_fields.items():
        if name != "name":
            assert f"  {name}: " in done.stdout
            assert " ".join((field.description or "")[:40].split()) in done.stdout
    assert "validation: integer ≥ 0 | number ≥ 0 and < 1 | null (default 0.1)" in done.stdout


def test_json(dlx: Call, empty: dict[str, str]) -> None:
    listed = json.loads(dlx("datasets", "--json", **empty).stdout)
    assert listed["schema"] == "dlx.datasets/1"
    assert [one["name"] for one in listed["datasets"]] == registry.names()
    one = json.loads(dlx("datasets", "semeion", "--json", **empty).stdout)["dataset"]
    assert one["digest"] == registry.get("semeion")().digest()
    assert one["here"] is False
    assert one["where"] is None
    parameters = {parameter["name"] for parameter in one["parameters"]}
    assert parameters == registry.get("semeion").model_fields.keys() - {"name"}
    assert {"validation", "split", "train_limit", "scaling"} < parameters


@pytest.mark.parametrize(("name", "where"), [("csv", "where path says"), ("digits", "within dlx")])
def test_what_is_not_to_be_downloaded_is_told(dlx: Call, empty: dict[str, str], name: str, where: str) -> None:
    done = dlx("datasets", name, "--download", **empty)
    assert (done.returncode, done.stderr) == (0, f"nothing to fetch: {name} is {where}\n")
    assert dlx("datasets", name, "--download", "--quiet", **empty).stderr == ""


def test_mistakes(dlx: Call, empty: dict[str, str]) -> None:
    done = dlx("datasets", "mnits", **empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'mnist'" in done.stderr
    done = dlx("datasets", "--download", **empty)
    assert done.returncode == 2
    assert "dlx datasets NAME --download" in done.stderr


def test_a_download_that_cannot_be(dlx: Call, empty: dict[str, str], tmp_path: Path) -> None:
    """No proxy answers at this address, so that nothing leaves this machine."""
    proxy = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = dlx("datasets", "semeion", "--download", "--json", **empty, **proxy)
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert error["kind"] == "DataError"
    assert "semeion.data cannot be downloaded" in error["message"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_progress_off_a_terminal_is_a_line_per_quarter() -> None:
    stream = io.StringIO()
    tell = progress_lines(stream)
    for done in range(0, 1001, 10):
        tell("a.npz", done * 1000, 1_000_000)
    assert stream.getvalue().splitlines() == [f"a.npz: {step:3d} % of 1.0 MB" for step in (25, 50, 75, 100)]


def test_stays_light() -> None:
    import subprocess

    code = (
        "import sys; from dlx.cli.main import main\n"
        "main(['datasets'])\n"
        "heavy = {'numpy', 'keras', 'tensorflow', 'pandas', 'scipy', 'sklearn', 'jax', 'altair'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
