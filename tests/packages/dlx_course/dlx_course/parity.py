"""All rows of bits, and whether the number of ones is odd: what a package needs to write to add a data set."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, Facts, InMemory, Places
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.sources import Official


class Spec(InMemory):
    """The parity of ``bits`` bits: 2^bits examples, half of them odd."""

    name: Literal["parity"] = "parity"
    summary: ClassVar[str] = "whether the number of ones among some bits is odd"
    source: ClassVar[str] = "Minsky and Papert 1969, Perceptrons"
    facts: ClassVar[Facts] = Facts(title="Parity", unit="0 or 1", licence="facts")

    bits: int = Field(default=6, ge=2, le=12, description="length of a row")
    validation: Count | Fraction = Field(default=0, description="held out of the examples; 0 for none")

    def whole(self) -> DatasetInfo:
        # Said without reading or making any data: `dlx check` needs no more.
        half = 2 ** (self.bits - 1)
        return DatasetInfo(
            input_shape=(self.bits,),
            task="classification",
            outputs=2,
            train=2 * half,
            test=0,
            largest=1.0,
            class_names=("even", "odd"),
            train_counts=(half, half),
        )

    def digest(self) -> str:
        # What stands for the content in a trial's id: here all of it follows from one number.
        return hashlib.sha256(f"parity of {self.bits} bits, revision {self.revision}".encode()).hexdigest()

    def official(self, places: Places) -> Official:
        import numpy as np

        from dlx.sources import Official

        numbers = np.arange(2**self.bits)
        inputs = (numbers[:, None] >> np.arange(self.bits)) & 1
        return Official(inputs.astype(np.uint8), (inputs.sum(axis=1) % 2).astype(np.int32))
