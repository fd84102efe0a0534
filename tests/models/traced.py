"""Multiply-adds of networks counted from what JAX traces of them: its convolutions and products, nothing computed.

KERAS_BACKEND=jax python -m tests.models.traced '[["resnet", {"depth": 50}, [224, 224, 3], 1000]]'
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import jax
import keras

from dlx.models import registry


def multiply_adds(name: str, settings: dict[str, Any], shape: list[int], outputs: int) -> int:
    """Of one example's way to the first output; the variables never have values."""
    with keras.StatelessScope(initialize_variables=False):
        return _multiply_adds(registry.get(name)(**settings).build(tuple(shape), outputs), shape)


def _multiply_adds(model: Any, shape: list[int]) -> int:
    model = keras.Model(model.inputs, model.outputs[0])
    trained, others = (
        [jax.ShapeDtypeStruct(tuple(variable.shape), variable.dtype) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def forward(trained: Any, others: Any, inputs: Any) -> Any:
        return model.stateless_call(trained, others, inputs, training=False)[0]

    traced = jax.make_jaxpr(forward)(trained, others, jax.ShapeDtypeStruct((1, *shape), "float32"))
    return sum(map(_products, _equations(traced.jaxpr)))


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                if hasattr(inner, "jaxpr"):
                    yield from _equations(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    yield from _equations(inner)


def _products(equation: Any) -> int:
    if equation.primitive.name == "conv_general_dilated":
        kernel, (output,) = equation.invars[1].aval.shape, [one.aval.shape for one in equation.outvars]
        filters = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return math.prod(output) * math.prod(kernel) // filters
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)
    return 0


if __name__ == "__main__":
    json.dump([multiply_adds(*case) for case in json.loads(sys.argv[1])], sys.stdout)
