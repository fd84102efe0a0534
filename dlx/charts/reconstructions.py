"""What an autoencoder gives back: each example above its reconstruction."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.images import COLUMNS, Image, pixel_rows, sheet
from dlx.drawing.networks import reconstructed
from dlx.drawing.picture import Canvas
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.fields import Count, Positive
from dlx.language import _


class Spec(ChartSpec):
    """Options of ``dlx plot reconstructions``."""

    name: Literal["reconstructions"] = "reconstructions"
    summary: ClassVar[str] = "examples of the test set and what an autoencoder makes of them, of one trial"
    source: ClassVar[str] = "Hinton and Salakhutdinov, Reducing the dimensionality of data (2006), figure 2"

    units: Positive = Field(default=12, description="how many examples")
    example: Count = Field(default=0, description="the first of them, by its number in the test set")

    def heading(self) -> str:
        return _("Reconstructions")

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """A row per pixel of each input and of each output, both as the network sees them (scaled)."""
        inputs, outputs = reconstructed(subject, self.example, self.units)
        limit = float(max(abs(inputs).max(), 1e-12))
        images = []
        for row, (name, values) in enumerate(((_("input"), inputs), (_("output"), outputs))):
            for column, pixels in enumerate(values):
                flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
                images.append(Image(flat, row, column, limit, heading=name if column == 0 else ""))
        error = float(((inputs - outputs) ** 2).mean())
        said = _("mean squared error of these {n}: {error}").format(n=len(inputs), error=f"{error:.3g}")
        caption = _("Examples of the test set and their reconstructions; {said}.").format(said=said)
        return Tidy(COLUMNS, pixel_rows(images), caption=caption, subtitle=said)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        return sheet(tidy, canvas, "ink")
