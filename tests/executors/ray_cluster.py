"""A Ray cluster of two nodes of one CPU each, on this machine, for the tests that need a real one."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 << 20}


def needs_ray() -> None:
    """Skip the test where the extra is not installed."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'dlx[ray]'")


@contextmanager
def two_nodes() -> Iterator[Any]:
    """The cluster, whose workers find these tests; its address is in RAY_ADDRESS meanwhile."""
    needs_ray()
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before.get("PYTHONPATH")]))
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        cluster.add_node(**NODE)
        os.environ["RAY_ADDRESS"] = cluster.address
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ |= before


def wait_until(true: Any, seconds: float = 120.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
