"""``executors.yaml``: how executors are set up at one place, so that commands there need not say it.

A mapping from an executor's name to its options, each as its flag is called: looked for in
the working directory, then in the results directory. Flags go before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlx.errors import SpecError, nearest
from dlx.executors import Executor, registry

FILE = "executors.yaml"


def options(name: str, results: Path, file: Path | None = None) -> dict[str, Any]:
    """The options of an executor that the file gives, ``file`` or the first one found; none without one.

    Everything in the file is checked, whichever executor is asked for. Raises
    :class:`~dlx.errors.SpecError` with file, line and column.
    """
    if file is None:
        file = next((place for place in (Path(FILE), results / FILE) if place.is_file()), None)
        if file is None:
            return {}
    return _read(file).get(name, {})


def _read(file: Path) -> dict[str, dict[str, Any]]:
    from pydantic import ValidationError

    from dlx.spec.document import read
    from dlx.spec.problems import Findings, translate

    _, root = read(file)
    if not isinstance(root.value, dict):
        raise SpecError([root.place.problem("must be a mapping from executors to their options")])
    findings = Findings()
    for name, node in root.items():
        with findings.collect():
            if name not in registry.names():
                problem = root.keys[name].problem(f"unknown executor ({nearest(name, registry.names())})", (name,))
                raise SpecError([problem])
            if not isinstance(node.value, dict):
                raise SpecError([node.place.problem("must be a mapping of options", (name,))])
            if "name" in node.value:
                raise SpecError([node.keys["name"].problem("unknown key", (name, "name"))])
            member: type[Executor] = registry.get(name)
            try:
                member(name=name, **node.value)
            except ValidationError as error:
                raise SpecError(translate(error, [(member, ())], node, node, (name,))) from None
    findings.raise_any()
    return dict(root.value)
