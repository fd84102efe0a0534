"""A model from another package: installed by pip, found by name, built and shown like our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tests" / "packages" / "dlx_twins"

SCRIPT = """
import json
from dlx.models import registry
spec = registry.get("twins")(units=3)
rows = spec.network((4,), 2).rows()
print(json.dumps({
    "names": registry.names(),
    "parameters": sum(row.parameters for row in rows),
    "built": spec.build((4,), 2).count_params(),
}))
"""


def wheel(package: Path, folder: Path) -> Path:
    """The package's wheel, as its build backend would make it; made here, no backend has to be there."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    module, version = project["name"].replace("-", "_"), project["version"]
    points = [
        line
        for group, members in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in members.items()))
    ]
    info = f"{module}-{version}.dist-info"
    files = {str(path.relative_to(package)): path.read_text() for path in sorted((package / module).glob("*.py"))}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = "\n".join(points) + "\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the package."""
    target = tmp_path_factory.mktemp("site")
    file = wheel(PACKAGE, tmp_path_factory.mktemp("wheels"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), str(file)], check=True, capture_output=True)
    return target


def python(*arguments: str, site: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(site))), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)


def test_it_is_listed_and_builds(installed: Path) -> None:
    done = python("-c", SCRIPT, site=installed)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "twins" in found["names"]
    assert "mlp" in found["names"]
    # two layers side by side, 4·3 + 3 each; summed; 3·2 + 2
    assert found["parameters"] == found["built"] == 38


def test_it_is_shown_with_its_origin(installed: Path) -> None:
    done = python("-m", "dlx", "models", "--json", site=installed)
    assert done.returncode == 0, done.stderr
    packages = {model["name"]: model["package"] for model in json.loads(done.stdout)["models"]}
    assert packages["twins"] == "dlx-twins"
    assert packages["mlp"] == "dlx"


def test_its_diagnosis_is_one_of_the_rules(installed: Path) -> None:
    done = python("-m", "dlx", "diagnose", "--rules", "--json", site=installed)
    assert done.returncode == 0, done.stderr
    rules = json.loads(done.stdout)["rules"]
    assert rules["short"]["thresholds"]["epochs"]["default"] == 2
    assert "vanishing" in rules


def test_without_the_package_it_is_unknown(tmp_path: Path) -> None:
    done = python("-c", SCRIPT, site=tmp_path)
    assert "unknown model 'twins'" in done.stderr
