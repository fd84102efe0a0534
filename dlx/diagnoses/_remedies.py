"""Changes of a setting that rules suggest, as ``--set`` takes them; None where a setting has no such field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def changes(*suggested: str | None) -> tuple[str, ...]:
    """Those that apply, each once."""
    return tuple(dict.fromkeys(one for one in suggested if one is not None))


def rate(setting: Mapping[str, Any], factor: float) -> str | None:
    """The learning rate times ``factor``, or the first rate of a schedule."""
    path = "training.optimizer.learning_rate"
    value = _at(setting, path)
    if isinstance(value, Mapping):
        path = f"{path}.initial_learning_rate"
        value = _at(setting, path)
    return f"{path}={plain(value * factor)}" if _is_number(value) and value else None


def activation(setting: Mapping[str, Any], wanted: str = "relu", unless: Iterable[str] = ()) -> str | None:
    """Another nonlinearity, where the model has one to choose and it is none of ``unless``."""
    present = _at(setting, "model.activation")
    if not isinstance(present, str) or present in (wanted, *unless):
        return None
    return f"model.activation={wanted}"


def initializer(setting: Mapping[str, Any]) -> str | None:
    """Initial weights whose variance fits the layers: He et al. 2015 for rectifiers, Glorot and Bengio 2010.

    None where the present ones are scaled to the layers already.
    """
    if "initializer" not in (_at(setting, "model") or {}):
        return None
    rectifier = _at(setting, "model.activation") in RECTIFIERS
    wanted = "he_normal" if rectifier else "glorot_uniform"
    present = _at(setting, "model.initializer")
    if isinstance(present, Mapping):
        present = present.get("kernel", present)
    if isinstance(present, Mapping):
        present = present.get("name")
    return None if str(present).startswith(_SCALED) else f"model.initializer={wanted}"


def normalization(setting: Mapping[str, Any]) -> str | None:
    """Batch normalisation, where the model can have it and has none."""
    return "model.normalization=batch" if _at(setting, "model.normalization") == "none" else None


def field(setting: Mapping[str, Any], path: str, value: object) -> str | None:
    """Any other field that the setting has, with another value than its own."""
    parent, _, key = path.rpartition(".")
    inside = _at(setting, parent)
    if not isinstance(inside, Mapping) or key not in inside or inside[key] == value:
        return None
    return f"{path}={plain(value)}"


def larger(setting: Mapping[str, Any]) -> tuple[str, ...]:
    """A net with more units, and one with more layers, where the model has them to choose."""
    hidden = _at(setting, "model.hidden")
    if isinstance(hidden, list) and hidden:
        wider = ",".join(str(3 * units) for units in hidden)
        return f"model.hidden=[{wider}]", f"model.hidden=[{','.join(map(str, [*hidden, hidden[-1]]))}]"
    return changes(scaled(setting, "model.width", 3), scaled(setting, "model.depth", 2))


def scaled(setting: Mapping[str, Any], path: str, factor: float) -> str | None:
    """A whole number of the setting times ``factor``."""
    value = _at(setting, path)
    return f"{path}={round(value * factor)}" if isinstance(value, int) and not isinstance(value, bool) else None


_SCALED = ("scaled_normal", "glorot_", "he_", "lecun_", "variance_scaling", "orthogonal")
RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus")


def plain(value: object) -> str:
    """A value as one would type it: at most three digits of a number."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _at(setting: Mapping[str, Any], path: str) -> Any:
    value: Any = setting
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
