"""What probes and tables ask of a Keras model, whoever built it: its layers with a kernel and their outputs.

Works on any functional model. A layer that is itself a model counts as one layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from dlx.activations import Activation, find

_NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)


class KernelLayer(NamedTuple):
    """A layer with a kernel: its number in the tables, and the trainable variables counted as its own.

    ``variables`` begins with the layer's; those of a normalisation or trainable pooling after
    it follow, up to the next layer with a kernel. Weights before the first one belong to it.
    """

    number: int
    layer: Any
    variables: list[Any]


class Nonlinearity(NamedTuple):
    """The output of a layer with a kernel, after its nonlinearity.

    ``activation`` is None where there is none, or one that only this model knows.
    """

    tensor: Any
    activation: Activation | None


def kernel_layers(model: Any) -> list[KernelLayer]:
    """The layers with a kernel, from the input, numbered from 1."""
    found: list[KernelLayer] = []
    latest: dict[int, int] = {}
    owners: list[tuple[int, Any]] = []
    for node in _nodes(model):
        number = max((latest.get(id(tensor), 0) for tensor in node.input_tensors), default=0)
        layer = node.operation
        if not any(layer is known.layer for known in found) and _has_kernel(layer):
            number = len(found) + 1
            found.append(KernelLayer(number, layer, list(layer.trainable_variables)))
        elif getattr(layer, "trainable_variables", None):
            owners.append((max(number, 1), layer))
        latest.update((id(tensor), number) for tensor in node.outputs)
    counted = {id(variable) for kernel_layer in found for variable in kernel_layer.variables}
    for number, layer in owners if found else ():
        fresh = [variable for variable in layer.trainable_variables if id(variable) not in counted]
        counted.update(id(variable) for variable in fresh)
        found[number - 1].variables.extend(fresh)
    return found


def nonlinearities(model: Any) -> dict[str, Nonlinearity]:
    """What leaves each layer with a kernel, by its name, in the order of :func:`kernel_layers`.

    From the layer's output through normalisations, and the sum in which a skip connection ends,
    to its activation, as long as nothing else reads what is between; the layer's own output
    where no activation follows.
    """
    nodes = _nodes(model)
    readers: dict[int, list[Any]] = {}
    produced: dict[int, Any] = {}
    for node in nodes:
        produced.setdefault(id(node.operation), node.outputs[0])
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node)
    outputs = {id(tensor) for tensor in model.outputs}

    found: dict[str, Nonlinearity] = {}
    for _, layer, _ in kernel_layers(model):
        own = tensor = produced[id(layer)]
        activation = _activation(layer)
        reached = Nonlinearity(own, activation if activation and activation.name != "linear" else None)
        while reached.activation is None and id(tensor) not in outputs and len(readers.get(id(tensor), ())) == 1:
            (reader,) = readers[id(tensor)]
            before, tensor = tensor, reader.outputs[0]
            if _is_activation(reader.operation):
                reached = Nonlinearity(tensor, _activation(reader.operation))
                break
            if not isinstance(reader.operation, _NORMALIZATIONS) and not _is_sum_of(reader, before):
                break
        found[layer.name] = reached
    return found


def nonlinearity_outputs(model: Any) -> dict[str, Any]:
    """The Keras tensors of :func:`nonlinearities` by layer name."""
    return {name: found.tensor for name, found in nonlinearities(model).items()}


def with_offsets(model: Any) -> tuple[Any, list[str]]:
    """A model of the same layers with more inputs: one per layer with a kernel, added to what that layer gives.

    The names of those layers, in the order of their inputs. The model gives a mapping: the
    ``output``, and under ``preactivation NAME`` each layer's output with what was added.
    """
    names = [layer.name for _, layer, _ in kernel_layers(model)]
    offsets: dict[str, Any] = {}
    tensors = {id(tensor): tensor for tensor in model.inputs}
    outputs: dict[str, Any] = {}
    for node in _nodes(model):
        arguments, named = node.arguments.fill_in(tensors)
        given = node.operation(*arguments, **named)
        name = node.operation.name
        if name in names:
            offsets[name] = keras.Input(given.shape[1:], dtype=given.dtype, name=f"offset_{name}")
            given = keras.layers.Add(name=f"with_offset_{name}", dtype=given.dtype)([given, offsets[name]])
            outputs[f"preactivation {name}"] = given
        tensors.update(zip(map(id, node.outputs), [given] if len(node.outputs) == 1 else given, strict=True))
    outputs["output"] = tensors[id(model.outputs[0])]
    return keras.Model([*model.inputs, *(offsets[name] for name in names)], outputs), names


def _nodes(model: Any) -> list[Any]:
    """The calls of layers that make up a functional model, input first, in the order of ``model.layers``.

    Those that lead only to auxiliary outputs, not to the model's first one, come last.
    """
    functional = model._functional if isinstance(model, keras.Sequential) else model
    by_depth: dict[int, list[Any]] | None = getattr(functional, "_nodes_by_depth", None)
    if by_depth is None:
        raise TypeError(f"{type(model).__name__} is not a functional Keras model")
    # Within one depth, Keras keeps its layers in order, and its calls of them in any.
    ranks = {id(operation): rank for rank, operation in enumerate(functional.operations)}
    levels = [sorted(by_depth[depth], key=lambda node: ranks[id(node.operation)]) for depth in sorted(by_depth)]
    nodes = [node for level in reversed(levels) for node in level if not node.is_input]
    if len(model.outputs) == 1:
        return nodes
    needed = {id(model.outputs[0])}
    leading = set()
    for node in reversed(nodes):
        if any(id(tensor) in needed for tensor in node.outputs):
            leading.add(id(node))
            needed.update(id(tensor) for tensor in node.input_tensors)
    return sorted(nodes, key=lambda node: id(node) not in leading)


def _has_kernel(layer: Any) -> bool:
    return getattr(layer, "shares_kernel", False) or any(
        "kernel" in weight.name or weight.name == "embeddings" for weight in getattr(layer, "weights", ())
    )


def _is_activation(layer: Any) -> bool:
    kinds = ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
    return isinstance(layer, tuple(getattr(keras.layers, kind) for kind in kinds))


def _is_sum_of(node: Any, tensor: Any) -> bool:
    """Whether a skip connection ends in the node, and the tensor is the way beside it: what comes first in the sum."""
    return isinstance(node.operation, keras.layers.Add) and node.input_tensors[0] is tensor


def _activation(layer: Any) -> Activation | None:
    """The nonlinearity inside a layer, by its Keras name."""
    if isinstance(layer, keras.layers.ReLU):
        plain = not layer.negative_slope and not layer.threshold
        return find({None: "relu", 6.0: "relu6"}.get(layer.max_value, "")) if plain else None
    named = {keras.layers.LeakyReLU: "leaky_relu", keras.layers.ELU: "elu", keras.layers.Softmax: "softmax"}
    if (name := named.get(type(layer))) is not None:
        return find(name)
    return find(getattr(getattr(layer, "activation", None), "__name__", ""))
