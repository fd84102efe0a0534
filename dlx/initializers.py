"""Initial weights: what a spec says, Keras' initialisers for it, and the draws in NumPy.

A model is built with ordinary Keras initialisers, so that it means the same in a
notebook. What a trial starts from is drawn here, by the initialiser's class and
arguments, in NumPy: the same numbers on every engine and device.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from dlx.errors import DlxError, nearest
from dlx.fields import Fields, Finite, NonNegative

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]
GeneratorFor = Callable[[str], "np.random.Generator"]
"""A stream of random numbers for a purpose, such as ``init/dense_1/kernel``."""
ExplicitValues = Mapping[tuple[str, str], Any]
"""Values given in the spec, by (layer name, variable name): nested lists."""

# Standard deviation of a standard normal distribution truncated at ±2.
TRUNCATED_STDDEV = 0.87962566103423978

Scaled = Literal[
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "scaled_normal",
    "scaled_uniform",
]


class InitializerSpec(Fields, ABC):
    """One initialiser with its arguments; ``name`` has no default, so that it is always written."""

    name: str

    @abstractmethod
    def build(self) -> Any:
        """The Keras initialiser."""


class ConstantName(InitializerSpec):
    """Zeros or ones."""

    name: Literal["zeros", "ones"]

    def build(self) -> Any:
        import keras

        return keras.initializers.get(self.name)


class Constant(InitializerSpec):
    """One value everywhere."""

    name: Literal["constant"]
    value: Finite = Field(description="the value")

    def build(self) -> Any:
        import keras

        return keras.initializers.Constant(self.value)


class Normal(InitializerSpec):
    """N(mean, stddev²); truncated: values beyond two standard deviations are drawn again."""

    name: Literal["normal", "truncated_normal"]
    mean: Finite = Field(default=0.0, description="mean")
    stddev: NonNegative = Field(default=1.0, description="standard deviation (before truncation)")

    def build(self) -> Any:
        import keras

        kind = keras.initializers.RandomNormal if self.name == "normal" else keras.initializers.TruncatedNormal
        return kind(mean=self.mean, stddev=self.stddev)


class Uniform(InitializerSpec):
    """U(minval, maxval)."""

    name: Literal["uniform"]
    minval: Finite = Field(default=-1.0, description="lower limit")
    maxval: Finite = Field(default=1.0, description="upper limit")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.minval > self.maxval:
            raise ValueError(f"minval {self.minval:g} is above maxval {self.maxval:g}")
        return self

    def build(self) -> Any:
        import keras

        return keras.initializers.RandomUniform(self.minval, self.maxval)


class ScaledByFan(InitializerSpec):
    """Spread by the number of inputs (and outputs): Glorot, He, LeCun, N(0, 1/fan_in), U(±1/√fan_in)."""

    name: Scaled

    def build(self) -> Any:
        import keras

        # Keras' own lecun_normal is a truncated normal; the scaled ones are the textbooks' plain distributions.
        if self.name == "scaled_normal":
            return keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
        if self.name == "scaled_uniform":
            return keras.initializers.VarianceScaling(1.0 / 3.0, "fan_in", "uniform")
        return keras.initializers.get(self.name)


class FanInUniform(InitializerSpec):
    """U(±limit/fan_in), as in LeCun et al. 1998 (limit 2.4)."""

    name: Literal["fan_in_uniform"]
    limit: NonNegative = Field(default=2.4, description="limit of a unit with one input")

    def build(self) -> Any:
        from dlx.keras_layers import FanInUniform as KerasFanInUniform

        return KerasFanInUniform(self.limit)


class VarianceScaling(InitializerSpec):
    """Keras' VarianceScaling: variance scale/fan."""

    name: Literal["variance_scaling"]
    scale: Finite = Field(default=1.0, gt=0.0, description="variance times fan")
    mode: Literal["fan_in", "fan_out", "fan_avg"] = Field(default="fan_in", description="which fan")
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = Field(
        default="truncated_normal", description="shape of the distribution"
    )

    def build(self) -> Any:
        import keras

        return keras.initializers.VarianceScaling(self.scale, self.mode, self.distribution)


class Orthogonal(InitializerSpec):
    """A random orthogonal matrix times gain (Saxe et al. 2014); of a convolution, of its kernel as a matrix."""

    name: Literal["orthogonal"]
    gain: Finite = Field(default=1.0, description="factor")

    def build(self) -> Any:
        import keras

        return keras.initializers.Orthogonal(self.gain)


_FOR_BIAS: tuple[type[InitializerSpec], ...] = (ConstantName, Constant, Normal, Uniform)
_FOR_KERNEL: tuple[type[InitializerSpec], ...] = (*_FOR_BIAS, ScaledByFan, FanInUniform, VarianceScaling, Orthogonal)


def _names(classes: tuple[type[InitializerSpec], ...]) -> tuple[str, ...]:
    return tuple(sorted(name for kind in classes for name in get_args(kind.model_fields["name"].annotation)))


KERNEL_NAMES = _names(_FOR_KERNEL)
BIAS_NAMES = _names(_FOR_BIAS)


_ARGUMENTS = {
    name: [argument for argument in kind.model_fields if argument != "name"]
    for kind in _FOR_KERNEL
    for name in _names((kind,))
}


def _named(known: tuple[str, ...]) -> Callable[[Any], Any]:
    """Puts a bare name into a mapping, and says what is wrong in better words than a union of classes could."""

    def check(value: Any) -> Any:
        if isinstance(value, InitializerSpec):
            return value
        given = {"name": value} if isinstance(value, str) else value
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str):
            raise ValueError("must be the name of an initializer, or a mapping with its name and arguments")
        if name not in known:
            if name in KERNEL_NAMES:
                raise ValueError(f"{name!r} needs a kernel; a bias can have: {', '.join(known)}")
            raise ValueError(f"unknown initializer {name!r} ({nearest(name, known)})")
        arguments = _ARGUMENTS[name]
        for key in sorted(given.keys() - {"name", *arguments}):
            raise ValueError(
                f"{name} has no {key!r} ({nearest(key, arguments) if arguments else 'no arguments at all'})"
            )
        return given

    return check


def signatures() -> list[str]:
    """Each initialiser as it would be called: ``normal(mean=0.0, stddev=1.0)``."""
    found = []
    for kind in _FOR_KERNEL:
        fields = {name: field for name, field in kind.model_fields.items() if name != "name"}
        arguments = [name if field.is_required() else f"{name}={field.default}" for name, field in fields.items()]
        call = f"({', '.join(arguments)})" if arguments else ""
        found += [name + call for name in get_args(kind.model_fields["name"].annotation)]
    return sorted(found)


AnyBias = Annotated[ConstantName | Constant | Normal | Uniform, Field(discriminator="name")]
AnyKernel = Annotated[
    ConstantName | Constant | Normal | Uniform | ScaledByFan | FanInUniform | VarianceScaling | Orthogonal,
    Field(discriminator="name"),
]
# Computed for JSON Schema, where an editor completes the names; mypy never sees them.
_BareBias: Any = Literal[BIAS_NAMES]
_BareKernel: Any = Literal[KERNEL_NAMES]
BiasInitializer = Annotated[AnyBias, BeforeValidator(_named(BIAS_NAMES), json_schema_input_type=_BareBias | AnyBias)]
KernelInitializer = Annotated[
    AnyKernel, BeforeValidator(_named(KERNEL_NAMES), json_schema_input_type=_BareKernel | AnyKernel)
]


class KernelAndBias(Fields):
    """The initialisers of a layer with a kernel."""

    kernel: KernelInitializer = Field(default=ScaledByFan(name="glorot_uniform"), description="initialiser of kernels")
    bias: BiasInitializer = Field(default=ConstantName(name="zeros"), description="initialiser of biases")


def _spread(value: Any) -> Any:
    """A bare name, or a mapping with a name, speaks of the kernel."""
    if isinstance(value, KernelAndBias):
        return value
    if not isinstance(value, str | dict):
        raise ValueError(
            "must be the name of an initializer, or a mapping: {name: …, arguments} or {kernel: …, bias: …}"
        )
    return {"kernel": value} if isinstance(value, str) or "name" in value else value


Initializer = Annotated[
    KernelAndBias, BeforeValidator(_spread, json_schema_input_type=_BareKernel | AnyKernel | KernelAndBias)
]
"""A spec's field: a name, ``{name: …, arguments}`` (both mean kernels), or ``{kernel: …, bias: …}``."""


def initial_values(model: Any, generator_for: GeneratorFor, explicit: ExplicitValues | None = None) -> dict[str, Any]:
    """Starting values of every weight of a Keras model: {variable path: NumPy array in the variable's dtype}.

    Each variable has a stream of its own, ``generator_for(f"init/{path}")``, where the path
    is ``layer/variable``; so the values of a layer do not depend on the layers around it.
    The state of random generators (dropout) is no weight and is left out. Raises
    :class:`~dlx.errors.DlxError` for an initialiser that is not known here, naming it and its
    layer, and for explicit values that fit no variable.
    """
    import numpy as np

    left = dict(explicit or {})
    values: dict[str, Any] = {}
    for layer, variable in _owned_variables(model):
        given = left.pop((layer.name, variable.name), None)
        if given is None:
            value = _draw_for(layer, variable, generator_for(f"init/{variable.path}"))
        else:
            value = np.asarray(given, dtype="float64")
            if value.shape != tuple(variable.shape):
                raise DlxError(f"{variable.path}: values of shape {value.shape}, needed {tuple(variable.shape)}")
        values[variable.path] = value.astype(variable.dtype)
    if left:
        raise DlxError(f"values given for {', '.join('/'.join(key) for key in left)}: the network has no such variable")
    return values


def _owned_variables(model: Any) -> Iterator[tuple[Any, Any]]:
    """Each weight once, with the layer that created it."""
    seen: set[int] = set()
    # Keras lists a layer before the layers inside it: backwards, a weight is met first at its owner.
    pairs: list[tuple[Any, Any]] = []
    for layer in reversed(list(model._flatten_layers())):
        fresh = [(layer, variable) for variable in layer.weights if id(variable) not in seen]
        seen.update(id(variable) for _, variable in fresh)
        pairs = fresh + pairs
    paths = [variable.path for _, variable in pairs]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise DlxError(f"two variables are called {twice}: give the layers of the model different names")
    yield from pairs


_STATISTICS = {("Normalization", "mean"): 0.0, ("Normalization", "variance"): 1.0, ("Normalization", "count"): 0.0}
"""What Keras sets without an initialiser: those of a layer that has not been adapted to data."""


def _draw_for(layer: Any, variable: Any, rng: np.random.Generator) -> Any:
    name, shape = variable.name, tuple(variable.shape)

    def draw_here(initializer: Any, shape: Shape, fans: tuple[int, int] | None = None) -> Any:
        try:
            return draw(initializer, shape, rng, fans)
        except UnknownInitializerError as error:
            raise DlxError(f"layer {layer.name!r}, {name}: {error.message}") from None

    # A layer that stores its weights in another layout than Keras' says how to draw them.
    if (own := getattr(layer, "draw_initial", None)) is not None:
        return own(name, shape, draw_here)
    if (type(layer).__name__, name) in _STATISTICS:
        import numpy as np

        return np.full(shape, _STATISTICS[type(layer).__name__, name])
    initializer = _initializer_of(layer, name)
    # An LSTM's bias is put together from two initialisers by a function inside Keras.
    if initializer is None or (name == "bias" and getattr(layer, "unit_forget_bias", False)):
        raise DlxError(f"layer {layer.name!r}: how Keras initialises {name!r} of {type(layer).__name__} is not known")
    return draw_here(initializer, shape)


def _initializer_of(layer: Any, name: str) -> Any:
    """Keras keeps a variable's initialiser in ``layer.<variable>_initializer``, but for depthwise ones."""
    attributes = [name, name.removesuffix("_kernel"), *(["depthwise"] if name == "kernel" else [])]
    found = (getattr(layer, f"{attribute}_initializer", None) for attribute in attributes)
    return next((initializer for initializer in found if initializer is not None), None)


class UnknownInitializerError(DlxError):
    """An initialiser that is not drawn in NumPy."""


def draw(initializer: Any, shape: Shape, rng: np.random.Generator, fans: tuple[int, int] | None = None) -> Any:
    """Values as a Keras initialiser defines them: float64 array of ``shape``.

    ``fans``: (fan_in, fan_out) where they are not those of a Keras kernel of this shape.
    Raises :class:`UnknownInitializerError`.
    """
    import keras
    import numpy as np

    from dlx.keras_layers import FanInUniform as KerasFanInUniform

    known = keras.initializers
    # Subclasses of Keras' classes are somebody's own definition, unless they are Keras' own.
    if not type(initializer).__module__.startswith(("keras.", "dlx.")):
        raise UnknownInitializerError(f"the initialiser {_describe(initializer)} is not one of Keras'")
    match initializer:
        case known.Zeros():
            return np.zeros(shape)
        case known.Ones():
            return np.ones(shape)
        case known.Constant():
            return np.full(shape, np.asarray(initializer.value, dtype="float64"))
        case known.RandomNormal():
            return rng.normal(initializer.mean, initializer.stddev, shape)
        case known.TruncatedNormal():
            return initializer.mean + initializer.stddev * _truncated_normal(rng, shape)
        case known.RandomUniform():
            return rng.uniform(initializer.minval, initializer.maxval, shape)
        case KerasFanInUniform():
            fan_in, _ = fans or compute_fans(shape)
            return rng.uniform(-initializer.limit / fan_in, initializer.limit / fan_in, shape)
        case known.VarianceScaling():
            axes = (initializer.input_axes, initializer.output_axes)
            return _variance_scaling(initializer, shape, fans or compute_fans(shape, *axes), rng)
        case known.Orthogonal():
            return initializer.gain * _orthogonal(rng, shape)
    raise UnknownInitializerError(f"the initialiser {_describe(initializer)} has no counterpart in dlx")


def _describe(initializer: Any) -> str:
    return getattr(initializer, "__name__", type(initializer).__name__)


def _variance_scaling(initializer: Any, shape: Shape, fans: tuple[int, int], rng: np.random.Generator) -> Any:
    fan_in, fan_out = fans
    fan = {"fan_in": fan_in, "fan_out": fan_out}.get(initializer.mode, (fan_in + fan_out) / 2.0)
    variance = initializer.scale / max(1.0, fan)
    if initializer.distribution == "truncated_normal":
        return math.sqrt(variance) / TRUNCATED_STDDEV * _truncated_normal(rng, shape)
    if initializer.distribution == "untruncated_normal":
        return rng.normal(0.0, math.sqrt(variance), shape)
    limit = math.sqrt(3.0 * variance)
    return rng.uniform(-limit, limit, shape)


def _truncated_normal(rng: np.random.Generator, shape: Shape) -> Any:
    """Standard normal values, those beyond ±2 drawn again."""
    import numpy as np

    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values


def _orthogonal(rng: np.random.Generator, shape: Shape) -> Any:
    """A matrix with orthonormal rows or columns, uniformly distributed, in the kernel's shape."""
    import numpy as np

    if len(shape) < 2:
        raise UnknownInitializerError("orthogonal needs at least two dimensions")
    rows, columns = math.prod(shape[:-1]), shape[-1]
    # In float64: LAPACK's last bits differ between machines and vanish in the rounding to float32.
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return np.reshape(q if rows >= columns else q.T, shape)


def compute_fans(
    shape: Shape, input_axes: list[int] | None = None, output_axes: list[int] | None = None
) -> tuple[int, int]:
    """(fan_in, fan_out) of a variable as Keras counts them: a kernel's last axes are inputs, outputs."""
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    positions = math.prod(shape[:-2])
    return shape[-2] * positions, shape[-1] * positions
