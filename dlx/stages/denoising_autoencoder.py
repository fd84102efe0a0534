"""A layer trained to give back what it would have read, had nobody spoiled it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.errors import FieldError
from dlx.fields import NonNegative
from dlx.layerwise import Block
from dlx.models import ListOf
from dlx.stages import Tensor
from dlx.stages._layerwise import input_limits
from dlx.stages._reconstruction import Corrupt, ReconstructionSpec

if TYPE_CHECKING:
    from dlx.spec import Setting

Corruption = Literal["masking", "salt_and_pepper", "gaussian"]


class Spec(ReconstructionSpec):
    """As an autoencoder, but the layer reads spoiled inputs and the decoder is to give the clean ones."""

    summary: ClassVar[str] = "one layer as a denoising autoencoder: masking, salt and pepper, or Gaussian noise"
    source: ClassVar[str] = (
        "Vincent, Larochelle, Lajoie, Bengio, Manzagol 2010, Stacked Denoising Autoencoders, JMLR 11"
    )

    name: Literal["denoising_autoencoder"] = "denoising_autoencoder"
    corruption: Corruption = Field(
        default="masking",
        description="masking: a fraction of the inputs is 0; salt_and_pepper: a fraction is at either limit, evenly; "
        "gaussian: noise is added to all",
    )
    level: NonNegative | Annotated[ListOf[NonNegative], Field(min_length=1)] = Field(
        default=0.25,
        description="the fraction, or the noise's standard deviation; a list has one for each layer (in `pretraining`)",
    )

    @model_validator(mode="after")
    def _a_fraction(self) -> Spec:
        levels = self.level if isinstance(self.level, tuple) else (self.level,)
        if self.corruption != "gaussian" and max(levels) > 1.0:
            raise ValueError(f"level {max(levels):g}: {self.corruption} spoils a fraction of the inputs, at most 1")
        return self

    def for_layer(self, number: int) -> Spec:
        if not isinstance(self.level, tuple):
            return self.model_copy(update={"layer": number})
        level = self.level[number - 1] if number <= len(self.level) else self.level[-1]
        return self.model_copy(update={"layer": number, "level": level})

    def check_all(self, layers: int) -> None:
        if isinstance(self.level, tuple) and len(self.level) != layers:
            raise FieldError(f"{len(self.level)} levels for {layers} layers: one for each, or one for all", ("level",))

    def check(self, setting: Setting) -> None:
        super().check(setting)
        if isinstance(self.level, tuple):
            raise FieldError("one layer has one level; a list belongs into `pretraining`", ("level",))
        if self.corruption == "salt_and_pepper" and input_limits(setting, self.block(setting)) is None:
            raise FieldError(
                "salt_and_pepper sets inputs to their limits, and these have none: masking or gaussian", ("corruption",)
            )

    def corruption_of(self, setting: Setting, block: Block) -> Corrupt:
        assert not isinstance(self.level, tuple)
        level, (low, high) = self.level, input_limits(setting, block) or (0.0, 1.0)

        def masked(inputs: Tensor, key: Any) -> Tensor:
            from keras import ops

            from dlx.boltzmann import uniform

            kept = ops.cast(uniform(ops.shape(inputs), key) >= level, inputs.dtype)
            return inputs * kept

        def salted(inputs: Tensor, key: Any) -> Tensor:
            from keras import ops

            from dlx.boltzmann import uniform

            drawn = uniform(ops.shape(inputs), key)
            salt = ops.where(drawn < 0.5 * level, low, high)
            return ops.where(drawn < level, ops.cast(salt, inputs.dtype), inputs)

        def noisy(inputs: Tensor, key: Any) -> Tensor:
            from keras import ops, random

            return inputs + level * random.normal(ops.shape(inputs), seed=key)

        return {"masking": masked, "salt_and_pepper": salted, "gaussian": noisy}[self.corruption]
