"""More examples of a class from a restricted Boltzmann machine that has learned it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from dlx.errors import UsageError
from dlx.fields import NonNegative, Positive
from dlx.rebalancing import RebalancingSpec

if TYPE_CHECKING:
    import numpy as np

    from dlx.machine import Machine

_RATES = {"binary": 0.05, "gaussian": 0.005}
Rate = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]


class Spec(RebalancingSpec):
    """A machine learns the class by contrastive divergence; chains that begin at its examples give new ones.

    What is added are the means of the visible units after the chains' last step, in the type
    that the data are stored in. Kernels begin at N(0, 0.01²), visible biases at what gives the
    class's means; all is computed in NumPy on one thread, so that it is the same on every engine.
    """

    summary: ClassVar[str] = "new examples of smaller classes, drawn from a restricted Boltzmann machine of each"
    source: ClassVar[str] = "Hinton 2012, A Practical Guide to Training Restricted Boltzmann Machines"

    name: Literal["rbm"] = "rbm"
    hidden: Positive = Field(default=100, description="binary hidden units")
    visible: Literal["binary", "gaussian"] = Field(
        default="binary",
        description="binary: values from 0 to the largest one, taken as probabilities; gaussian: any, standardised "
        "over the class",
    )
    epochs: Positive = Field(default=50, description="passes over the examples of the class")
    batch_size: Positive = Field(default=10, description="examples of a step")
    learning_rate: Rate | None = Field(default=None, description="null: 0.05, of Gaussian units 0.005")
    momentum: Momentum = Field(default=0.5, description="of the steps")
    l2: NonNegative = Field(default=0.0002, description="weight decay of the kernel")
    k: Positive = Field(default=1, description="steps of Gibbs sampling: CD-k")
    steps: Positive = Field(default=10, description="of Gibbs sampling from an example of the class to a new one")

    def more(
        self, examples: Any, count: int, largest: float, rng: np.random.Generator, between: Callable[[], None]
    ) -> tuple[Any, None]:
        import numpy as np
        from threadpoolctl import threadpool_limits

        flat = examples.reshape(len(examples), -1).astype(np.float64)
        subtract, divide = self._scaling(flat, largest)
        data = (flat - subtract) / divide
        # Sums of products depend on how many threads share them, and a chain on every bit.
        with threadpool_limits(1):
            machine = self.learned(data, rng, between)
            rounds = -(-count // len(data))
            starts = np.concatenate([rng.permutation(len(data)) for _ in range(rounds)])[:count]
            means, _ = machine.gibbs(data[starts], self.steps, rng)
        values = (means * divide + subtract).reshape(count, *examples.shape[1:])
        if examples.dtype.kind in "ui":
            limits = np.iinfo(examples.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        return values.astype(examples.dtype), None

    def learned(self, data: np.ndarray, rng: np.random.Generator, between: Callable[[], None]) -> Machine:
        """The machine of scaled examples (n, V) in float64."""
        import numpy as np

        from dlx.machine import Machine

        means = data.mean(axis=0)
        if self.visible == "binary":
            likely = np.clip(means, 0.01, 0.99)
            means = np.log(likely / (1.0 - likely))
        shape = data.shape[1], self.hidden
        parameters = [rng.normal(0.0, 0.01, shape), np.zeros(self.hidden), means]
        velocities = [np.zeros_like(each) for each in parameters]
        machine = Machine(parameters[0], parameters[1], parameters[2], self.visible, "binary")
        rate = self.learning_rate or _RATES[self.visible]
        for _ in range(self.epochs):
            between()
            order = rng.permutation(len(data))
            for start in range(0, len(data), self.batch_size):
                batch = data[order[start : start + self.batch_size]]
                _, chain = machine.gibbs(batch, self.k, rng)
                seen, dreamt = machine.statistics(batch), machine.statistics(chain)
                for place, (velocity, parameter) in enumerate(zip(velocities, parameters, strict=True)):
                    decay = self.l2 * parameter if place == 0 else 0.0
                    velocity *= self.momentum
                    velocity += rate * (seen[place] - dreamt[place] - decay)
                    parameter += velocity
        if not all(np.isfinite(each).all() for each in parameters):
            raise UsageError(
                f"dataset.rebalance: the machine diverged at learning_rate {rate:g}", hint="a smaller learning_rate"
            )
        return machine

    def _scaling(self, flat: np.ndarray, largest: float) -> tuple[Any, Any]:
        """What is subtracted from stored values, and what they are then divided by, for the machine to learn them."""
        import numpy as np

        if self.visible == "gaussian":
            spread = flat.std(axis=0)
            return flat.mean(axis=0), np.where(spread > 0, spread, 1.0)
        if flat.min() < 0 or flat.max() > largest:
            raise UsageError(
                f"dataset.rebalance: binary units stand for values from 0 to {largest:g}, and these go from "
                f"{flat.min():g} to {flat.max():g}",
                hint="visible: gaussian",
            )
        return 0.0, largest
