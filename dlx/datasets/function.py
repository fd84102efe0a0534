"""Samples of a function of one variable, to be learned from noisy values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.datasets import DatasetInfo, Divide, Facts, InMemory, Places, Split
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets._made import Values
    from dlx.sources import Official

FunctionName = Literal[
    "sine", "parabola", "cubic", "absolute", "step", "sinc", "bump", "runge", "sawtooth", "chirp", "linear"
]
_TEST = 0.2
_LARGEST = 1000.0


class Spec(InMemory):
    """A number x, drawn uniformly from ``low`` to ``high``, and f(x) plus normal noise: a regression.

    ``sine`` sin 2πx, ``linear`` x, ``parabola`` x², ``cubic`` 4x³ − 3x (Chebyshev), ``absolute`` |x|,
    ``step`` 1 where x > 0, else 0, ``sinc`` sin(10x)/(10x), ``bump`` exp(−25x²), ``runge`` 1/(1 + 25x²) (Runge
    1901), ``sawtooth`` 3x less the whole number below it, ``chirp`` sin(10πx²). The same on every machine.
    """

    name: Literal["function"] = "function"
    summary: ClassVar[str] = "noisy samples of a function of one variable, drawn: a regression"
    source: ClassVar[str] = "Bishop 2006, Pattern Recognition and Machine Learning, section 1.1"
    facts: ClassVar[Facts] = Facts(
        title="Samples of a function of one variable",
        unit="a number from low to high; unit divides by the larger of their absolute values",
        licence="none needed",
        origin="drawn, nothing to download",
    )

    function: FunctionName = Field(default="sine", description="which function")
    n: int = Field(default=200, ge=4, le=10_000_000, description="how many samples")
    noise: float = Field(
        default=0.1, ge=0.0, le=1000.0, allow_inf_nan=False, description="standard deviation of what is added to f(x)"
    )
    low: float = Field(default=-1.0, ge=-_LARGEST, le=_LARGEST, description="where x begins")
    high: float = Field(default=1.0, ge=-_LARGEST, le=_LARGEST, description="where x ends")
    draw: Count = Field(default=0, description="which draw: other numbers are other samples")
    test: Count | Fraction | None = Field(
        default=None, description="held out for testing before validation: a count, or a fraction below 1; null: 0.2"
    )
    split: Split | None = Field(
        default="shuffled", description="which samples are held out: shuffled, or ordered (the last ones, as drawn)"
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="none", description="of x: none, standardize, unit, or {divide: NUMBER}"
    )

    @model_validator(mode="after")
    def _low_is_lower(self) -> Spec:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low} and {self.high}")
        if self.function == "step" and not self.noise and not self.low < 0 < self.high:
            raise ValueError(f"step is the same everywhere from {self.low} to {self.high}: there is nothing to learn")
        return self

    def whole(self) -> DatasetInfo:
        return DatasetInfo(
            input_shape=(1,),
            task="regression",
            outputs=1,
            train=self.n,
            test=0,
            largest=max(abs(self.low), abs(self.high)),
            feature_names=("x",),
            target_names=("y",),
        )

    def digest(self) -> str:
        drawn = {name: getattr(self, name) for name in ("name", "function", "n", "noise", "low", "high", "draw")}
        return hashlib.sha256(json.dumps({**drawn, "revision": self.revision}, sort_keys=True).encode()).hexdigest()

    def test_share(self) -> int | float:
        return _TEST if self.test is None else self.test

    def function_of(self, inputs: np.ndarray) -> np.ndarray | None:
        return _FUNCTIONS[self.function](inputs.astype(float))

    def official(self, places: Places) -> Official:
        from dlx.datasets import _made
        from dlx.sources import Official

        x = self.low + (self.high - self.low) * _made.uniform(self.draw, f"function/{self.function}", self.n)
        y = _FUNCTIONS[self.function](x) + self.noise * _made.normal(
            self.draw, f"function/{self.function}/noise", self.n
        )
        return Official(_made.rounded(x)[:, None], _made.rounded(y)[:, None])


def _sine(x: Values) -> Values:
    import numpy as np

    return np.sin(2.0 * np.pi * x)


def _step(x: Values) -> Values:
    return (x > 0).astype(x.dtype)


def _sinc(x: Values) -> Values:
    import numpy as np

    return np.sinc(10.0 / np.pi * x)


def _bump(x: Values) -> Values:
    import numpy as np

    return np.exp(-25.0 * x**2)


def _sawtooth(x: Values) -> Values:
    import numpy as np

    return 3.0 * x - np.floor(3.0 * x)


def _chirp(x: Values) -> Values:
    import numpy as np

    return np.sin(10.0 * np.pi * x**2)


_FUNCTIONS: dict[FunctionName, Callable[[Values], Values]] = {
    "linear": lambda x: x,
    "parabola": lambda x: x**2,
    "cubic": lambda x: 4.0 * x**3 - 3.0 * x,
    "absolute": abs,
    "runge": lambda x: 1.0 / (1.0 + 25.0 * x**2),
    "sine": _sine,
    "step": _step,
    "sinc": _sinc,
    "bump": _bump,
    "sawtooth": _sawtooth,
    "chirp": _chirp,
}
