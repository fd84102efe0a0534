from __future__ import annotations

from collections.abc import Callable

import pytest

from dlx.errors import SpecError
from dlx.spec import load_text

Complain = Callable[..., list[str]]


@pytest.fixture
def complaints() -> Complain:
    """What is wrong with a spec, one line each; the test fails when nothing is."""

    def of(text: str, *sets: str, **options: object) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load_text(text, sets, file="s.yaml", **options)  # type: ignore[arg-type]
        return str(caught.value).splitlines()

    return of
