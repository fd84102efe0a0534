"""The clusters that executors are tested on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.executors import slurm_cluster
from tests.executors.ray_cluster import two_nodes


@pytest.fixture(scope="session")
def ray_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes, none of which a test may take away."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a SLURM of one node, which lives as long as the tests."""
    pytest.importorskip("submitit")
    if (why := slurm_cluster.missing()) is not None:
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration


@pytest.fixture
def slurm_node(slurm_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The executor ``slurm`` finds that cluster; its jobs find the tests' modules."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_configuration))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return slurm_configuration
