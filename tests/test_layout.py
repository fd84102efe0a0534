"""The tree keeps its shape: members of an open set stand alone, backends stay behind the engines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "dlx"
SETS = ("datasets", "models", "stages", "probes", "executors", "charts")
OPEN_SETS = [name for name in SETS if (PACKAGE / name).is_dir()]
BACKENDS = {"tensorflow", "jax"}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so at the top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(ast.walk(ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in top
            yield from ((f"{node.module}.{alias.name}", node in top) for alias in node.names)


@pytest.mark.parametrize("open_set", OPEN_SETS)
def test_members_of_an_open_set_import_no_siblings(open_set: str) -> None:
    members = {path.stem: path for path in (PACKAGE / open_set).glob("[!_]*.py")}
    assert members
    found = [
        f"{name} imports {module}"
        for name, path in members.items()
        for module, _ in imports(path)
        for sibling in members.keys() - {name}
        if module == f"dlx.{open_set}.{sibling}"
    ]
    assert found == []


def test_backends_are_imported_at_the_top_of_their_engines_only() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for module, top in imports(path)
        if top and module.partition(".")[0] in BACKENDS
    }
    assert found <= {f"training/{name}.py" for name in ("tensorflow", "tensorflow_replicas", "jax", "jax_pack")}


def test_nothing_that_only_posix_has_is_imported_at_the_top() -> None:
    posix = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog"}
    found = {
        f"{path.relative_to(PACKAGE)}: {module}"
        for path in PACKAGE.rglob("*.py")
        for module, top in imports(path)
        if top and module in posix
    }
    assert found == set()
