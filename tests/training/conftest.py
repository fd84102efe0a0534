"""The engine under test (``DLX_ENGINE``) and programs compiled on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

ENGINE = os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = ENGINE  # before anything below imports Keras

from dlx.sources import Splits
from dlx.training.engine import Engine, load_engine
from dlx.training.program import Program
from tests.training.made import start


@pytest.fixture(scope="session")
def engine() -> Engine:
    return load_engine(ENGINE, 2)


MakeProgram = Callable[..., Program]


@pytest.fixture
def program(engine: Engine, request: pytest.FixtureRequest) -> MakeProgram:
    """``program(build, splits, batch_size, watch=…)``, its variables drawn from a fixed stream."""
    made = iter(range(1000))

    def make(
        build: Callable[[], Any], splits: Splits, batch_size: int = 10, *, watch: bool = True, seed: int = 0
    ) -> Program:
        signature = f"{request.node.nodeid}/{next(made)}"
        program = engine.program(signature, build, splits, batch_size, watch=watch)
        program.load(start(program), seed)
        return program

    return make
