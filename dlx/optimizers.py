"""The optimizers and learning-rate schedules of Keras, by Keras' names, arguments and defaults.

A table says what there is; the classes made from it check settings without importing
Keras, and ``build`` makes the Keras object. https://keras.io/api/optimizers
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, create_model, model_validator

from dlx.errors import DlxError, nearest
from dlx.fields import Count, Finite, Fraction, MemberFields, NonNegative, Positive
from dlx.members import OneOf, problem
from dlx.registry import UnknownMember

if TYPE_CHECKING:
    import keras

Above0 = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Argument = tuple[Any, Any, str]
"""Type, default (``...``: none) and meaning."""


class ScheduleSpec(MemberFields):
    """The contract of a learning-rate schedule: the rate as a function of completed steps."""

    keras_name: ClassVar[str]

    @model_validator(mode="after")
    def _one_value_more(self) -> ScheduleSpec:
        boundaries, values = getattr(self, "boundaries", ()), getattr(self, "values", (0.0,))
        if len(values) != len(boundaries) + 1:
            raise ValueError(f"{len(boundaries)} boundaries need {len(boundaries) + 1} values, not {len(values)}")
        if any(after <= before for before, after in pairwise(boundaries)):
            raise ValueError("boundaries must increase")
        return self

    def build(self) -> keras.optimizers.schedules.LearningRateSchedule:
        """The Keras schedule."""
        from keras.optimizers import schedules

        return getattr(schedules, self.keras_name)(**_arguments(self))


class OptimizerSpec(MemberFields):
    """The contract of an optimizer: the arguments that all of Keras' share, and ``build``."""

    keras_name: ClassVar[str]

    learning_rate: LearningRate
    weight_decay: NonNegative | None = Field(default=None, description="decoupled decay per step, times learning_rate")
    clipnorm: Above0 | None = Field(default=None, description="clip the gradient of each variable to this L2 norm")
    clipvalue: Above0 | None = Field(default=None, description="clip each element of a gradient to ± this value")
    global_clipnorm: Above0 | None = Field(default=None, description="clip all gradients together to this L2 norm")
    use_ema: bool = Field(default=False, description="keep an exponential moving average of the weights")
    ema_momentum: Fraction = Field(default=0.99, description="of the moving average")
    ema_overwrite_frequency: Positive | None = Field(
        default=None, description="steps after which the weights are set to their average; null: at the end"
    )
    gradient_accumulation_steps: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="steps whose gradients are averaged into one update"
    )

    @model_validator(mode="after")
    def _one_clip(self) -> OptimizerSpec:
        given = [name for name in ("clipnorm", "clipvalue", "global_clipnorm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"only one of {' and '.join(given)} may be set")
        return self

    def build(self) -> keras.optimizers.Optimizer:
        """The Keras optimizer, with its schedule if ``learning_rate`` is one."""
        from keras import optimizers as known

        made = getattr(known, self.keras_name, None)
        if made is None:
            raise DlxError(f"this version of Keras has no {self.keras_name}", hint="upgrade keras")
        return made(**_arguments(self))


def _arguments(spec: MemberFields) -> dict[str, Any]:
    arguments = {name: getattr(spec, name) for name in type(spec).model_fields if name != "name"}
    return {
        name: value.build() if isinstance(value, ScheduleSpec) else list(value) if isinstance(value, tuple) else value
        for name, value in arguments.items()
    }


class KerasSet:
    """Classes of Keras by name, whether written ``cosine_decay`` or ``CosineDecay``."""

    def __init__(
        self, kind: str, base: type[MemberFields], table: Mapping[str, tuple[str, str, dict[str, Argument]]]
    ) -> None:
        self.kind = kind
        self._base = base
        self._table = table
        self._folded = {_fold(name): name for name in table}
        self._get = cache(self._make)

    def names(self) -> list[str]:
        """Canonical names, sorted."""
        return sorted(self._table)

    def get(self, name: str) -> type[Any]:
        """The class of settings; raises :class:`~dlx.registry.UnknownMember` with the nearest name."""
        if _fold(name) not in self._folded:
            raise UnknownMember(f"unknown {self.kind} {name!r}", hint=nearest(name, self._table))
        return self._get(self._folded[_fold(name)])

    def _make(self, name: str) -> type[MemberFields]:
        keras_name, summary, arguments = self._table[name]
        fields: dict[str, Any] = {"name": (Literal[name], name)}
        for argument, (kind, default, meaning) in arguments.items():
            inherited = self._base.model_fields.get(argument)
            described = meaning or (inherited.description if inherited else None)
            fields[argument] = (kind, Field(default, description=described))
        made: type[MemberFields] = create_model(keras_name, __base__=self._base, __module__=__name__, **fields)
        made.summary = summary
        made.source = (
            f"https://keras.io/api/optimizers/{'' if issubclass(made, OptimizerSpec) else 'learning_rate_schedules/'}"
        )
        made.keras_name = keras_name  # type: ignore[attr-defined]
        return made


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_LIST = Field(strict=False)  # YAML lists become tuples
_INITIAL: Argument = (Above0, ..., "the rate at step 0")
_DECAY_STEPS: Argument = (Positive, ..., "steps over which it decays")
_RATE: Argument = (Above0, ..., "the factor of one decay_steps")
_STAIRCASE: Argument = (bool, False, "decay at whole multiples of decay_steps only")
_ALPHA: Argument = (NonNegative, 0.0, "the lowest rate, as a fraction of the initial one")

_SCHEDULES: dict[str, tuple[str, str, dict[str, Argument]]] = {
    "cosine_decay": (
        "CosineDecay",
        "falls as half a cosine, after a linear warm-up if asked (Loshchilov and Hutter, 2016)",
        {
            "initial_learning_rate": (NonNegative, ..., "the rate at step 0"),
            "decay_steps": _DECAY_STEPS,
            "alpha": _ALPHA,
            "warmup_target": (Above0 | None, None, "the rate at the end of the warm-up; null: no warm-up"),
            "warmup_steps": (Count, 0, "steps of linear warm-up"),
        },
    ),
    "cosine_decay_restarts": (
        "CosineDecayRestarts",
        "cosine decay with warm restarts (Loshchilov and Hutter, 2016)",
        {
            "initial_learning_rate": _INITIAL,
            "first_decay_steps": (Positive, ..., "steps of the first decay"),
            "t_mul": (Above0, 2.0, "each decay takes this many times the steps of the one before"),
            "m_mul": (Above0, 1.0, "each restart begins at this many times the rate of the one before"),
            "alpha": _ALPHA,
        },
    ),
    "exponential_decay": (
        "ExponentialDecay",
        "initial · decay_rate^(step / decay_steps)",
        {
            "initial_learning_rate": _INITIAL,
            "decay_steps": _DECAY_STEPS,
            "decay_rate": _RATE,
            "staircase": _STAIRCASE,
        },
    ),
    "inverse_time_decay": (
        "InverseTimeDecay",
        "initial / (1 + decay_rate · step / decay_steps)",
        {
            "initial_learning_rate": _INITIAL,
            "decay_steps": _DECAY_STEPS,
            "decay_rate": _RATE,
            "staircase": _STAIRCASE,
        },
    ),
    "piecewise_constant_decay": (
        "PiecewiseConstantDecay",
        "constant between boundaries",
        {
            "boundaries": (Annotated[tuple[Positive, ...], _LIST], ..., "steps after which the next value holds"),
            "values": (Annotated[tuple[Above0, ...], _LIST], ..., "rates, one more than boundaries"),
        },
    ),
    "polynomial_decay": (
        "PolynomialDecay",
        "falls to end_learning_rate as a power of the remaining steps",
        {
            "initial_learning_rate": _INITIAL,
            "decay_steps": _DECAY_STEPS,
            "end_learning_rate": (NonNegative, 0.0001, "the rate from decay_steps on"),
            "power": (Above0, 1.0, "1: linear"),
            "cycle": (bool, False, "begin again beyond decay_steps"),
        },
    ),
}

schedules = KerasSet("learning-rate schedule", ScheduleSpec, _SCHEDULES)
_schedule = OneOf(schedules)


def _rate(value: Any) -> Any:
    """A number stays; a schedule's name or mapping becomes the schedule."""
    if isinstance(value, Mapping):
        return _schedule.validate(value)
    if isinstance(value, str):
        if _schedule.member(value) is None:
            names = ", ".join(schedules.names())
            raise problem(f"must be a number > 0 or a schedule ({names}), not {value!r}", (), value)
        return _schedule.validate(value)
    return value


LearningRate = Annotated[Above0 | Annotated[ScheduleSpec, _schedule], BeforeValidator(_rate)]
OptimizerSpec.model_rebuild()


def _rate_of(default: float) -> Argument:
    return (LearningRate, default, "step size: a number, or a schedule of one")


_BETA_1: Argument = (Fraction, 0.9, "decay of the first moment's average")
_BETA_2: Argument = (Fraction, 0.999, "decay of the second moment's average")
_EPSILON: Argument = (NonNegative, 1e-7, "added to denominators")
_ACCUMULATOR: Argument = (NonNegative, 0.1, "where the accumulators of squared gradients begin")
_ADAM: dict[str, Argument] = {
    "learning_rate": _rate_of(0.001),
    "beta_1": _BETA_1,
    "beta_2": _BETA_2,
    "epsilon": _EPSILON,
}
_AMSGRAD: Argument = (bool, False, "keep the largest second moment (Reddi et al., 2018)")
_DECAY: Argument = (NonNegative | None, 0.004, "")

_OPTIMIZERS: dict[str, tuple[str, str, dict[str, Argument]]] = {
    "sgd": (
        "SGD",
        "stochastic gradient descent, with momentum if asked",
        {
            "learning_rate": _rate_of(0.01),
            "momentum": (Annotated[float, Field(ge=0.0, le=1.0)], 0.0, "share of the last update kept"),
            "nesterov": (bool, False, "Nesterov's momentum"),
        },
    ),
    "rmsprop": (
        "RMSprop",
        "gradients over the root of their mean squares (Hinton, 2012)",
        {
            "learning_rate": _rate_of(0.001),
            "rho": (Fraction, 0.9, "decay of the squared gradients' average"),
            "momentum": (Fraction, 0.0, "share of the last update kept"),
            "epsilon": _EPSILON,
            "centered": (bool, False, "divide by the estimated variance instead"),
        },
    ),
    "adam": ("Adam", "adaptive moments (Kingma and Ba, 2014)", {**_ADAM, "amsgrad": _AMSGRAD}),
    "adamw": (
        "AdamW",
        "Adam with decoupled weight decay (Loshchilov and Hutter, 2019)",
        {**_ADAM, "amsgrad": _AMSGRAD, "weight_decay": _DECAY},
    ),
    "adadelta": (
        "Adadelta",
        "rates from a window of past gradients (Zeiler, 2012)",
        {
            "learning_rate": _rate_of(0.001),
            "rho": (Fraction, 0.95, "decay of the averages"),
            "epsilon": _EPSILON,
        },
    ),
    "adafactor": (
        "Adafactor",
        "second moments by rows and columns (Shazeer and Stern, 2018)",
        {
            "learning_rate": _rate_of(0.001),
            "beta_2_decay": (Finite, -0.8, "exponent of the second moment's decay"),
            "epsilon_1": (NonNegative, 1e-30, "added to squared gradients"),
            "epsilon_2": (NonNegative, 1e-3, "the least scale of a parameter"),
            "clip_threshold": (Above0, 1.0, "the largest root mean square of an update"),
            "relative_step": (bool, True, "cap the rate at 1/√step"),
        },
    ),
    "adagrad": (
        "Adagrad",
        "gradients over the root of their summed squares (Duchi et al., 2011)",
        {"learning_rate": _rate_of(0.001), "initial_accumulator_value": _ACCUMULATOR, "epsilon": _EPSILON},
    ),
    "adamax": ("Adamax", "Adam with the infinity norm (Kingma and Ba, 2014)", _ADAM),
    "nadam": ("Nadam", "Adam with Nesterov's momentum (Dozat, 2015)", _ADAM),
    "ftrl": (
        "Ftrl",
        "follow the regularised leader (McMahan et al., 2013)",
        {
            "learning_rate": _rate_of(0.001),
            "learning_rate_power": (Annotated[float, Field(le=0.0)], -0.5, "how the rate falls; 0: not at all"),
            "initial_accumulator_value": _ACCUMULATOR,
            "l1_regularization_strength": (NonNegative, 0.0, "L1 penalty"),
            "l2_regularization_strength": (NonNegative, 0.0, "L2 penalty"),
            "l2_shrinkage_regularization_strength": (NonNegative, 0.0, "L2 penalty on the size of updates"),
            "beta": (NonNegative, 0.0, "β of the paper"),
        },
    ),
    "lamb": ("Lamb", "Adam scaled by layer, for large batches (You et al., 2019)", _ADAM),
    "lion": (
        "Lion",
        "signs of momentum (Chen et al., 2023)",
        {"learning_rate": _rate_of(0.001), "beta_1": _BETA_1, "beta_2": (Fraction, 0.99, "decay of the momentum")},
    ),
    "muon": (
        "Muon",
        "orthogonalised momentum for kernels, AdamW for the rest (Jordan, 2024)",
        {
            "learning_rate": _rate_of(0.001),
            "adam_beta_1": _BETA_1,
            "adam_beta_2": _BETA_2,
            "adam_weight_decay": (NonNegative | None, 0.004, "weight decay where AdamW is used"),
            "epsilon": _EPSILON,
            "weight_decay": _DECAY,
            "exclude_layers": (Annotated[tuple[str, ...], _LIST] | None, None, "patterns of layer names left to AdamW"),
            "exclude_embeddings": (bool, True, "leave embeddings to AdamW"),
            "muon_a": (Finite, 3.4445, "Newton-Schulz coefficient a"),
            "muon_b": (Finite, -4.775, "Newton-Schulz coefficient b"),
            "muon_c": (Finite, 2.0315, "Newton-Schulz coefficient c"),
            "adam_lr_ratio": (Above0, 1.0, "AdamW's rate as a multiple of learning_rate"),
            "momentum": (Fraction, 0.95, "share of the last update kept"),
            "ns_steps": (Positive, 5, "Newton-Schulz iterations"),
            "nesterov": (bool, True, "Nesterov's momentum"),
            "rms_rate": (Above0 | None, 0.2, "root mean square that updates are scaled to"),
        },
    ),
    "schedule_free_adamw": (
        "ScheduleFreeAdamW",
        "AdamW with averaging in place of a schedule (Defazio et al., 2024)",
        {
            "learning_rate": _rate_of(0.0025),
            "beta_1": _BETA_1,
            "beta_2": _BETA_2,
            "epsilon": (NonNegative, 1e-8, "added to denominators"),
            "warmup_steps": (Count, 0, "steps of linear warm-up"),
        },
    ),
}

registry = KerasSet("optimizer", OptimizerSpec, _OPTIMIZERS)
