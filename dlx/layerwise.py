"""Which layers of a network can be trained one after the other without labels, and what each of them reads.

Plain Python, from layer descriptors, so that a spec is checked before there is a network.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlx import activations
from dlx.errors import FieldError
from dlx.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Layer, LayerNormalization, Shape
from dlx.network import Network

_TRAINABLE = (Dense, Conv2D)
_BETWEEN = (BatchNormalization, LayerNormalization, Dropout)


@dataclass(frozen=True)
class Block:
    """A hidden layer with a kernel, up to its nonlinearity.

    ``number`` from the input, from 1. ``before``: every layer below it, as they are when they
    answer: without dropout. ``after``: its normalisation and nonlinearity, ``activation`` being
    that one's name. ``input_activation``: that of the layer below, None where it reads the data
    (through no layer but flattening, padding or pooling).
    """

    number: int
    layer: Dense | Conv2D
    before: tuple[Layer, ...]
    after: tuple[Layer, ...]
    activation: str
    input_activation: str | None
    input_shape: Shape
    output_shape: Shape

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    @property
    def decoder(self) -> str:
        """The name of the layer that turns its outputs into its inputs again."""
        return f"decoder_{self.number}"

    @property
    def input_limits(self) -> tuple[float, float] | None:
        """The limits of what it reads, where they are those of the layer below."""
        return activations.get(self.input_activation).limits if self.input_activation else None


def blocks(network: Network) -> tuple[Block, ...]:
    """The hidden layers, from the input.

    Raises :class:`~dlx.errors.FieldError` where there are none, where the layers do not follow
    one another in a line, or where one is of a kind that cannot be trained by itself.
    """
    before = network.input
    for node in network.nodes:
        if node.inputs != (before,):
            raise FieldError(
                f"{network.name} has no layers to pretrain one after the other: they do not follow one another in "
                f"a line ({node.layer.name if node.layer else 'its input'} reads something else than the layer before)"
            )
        before = node
    hidden = [node for node in network.kernel_layers() if node.layer and node.layer.name not in network.decoder]
    if not network.decoder:
        hidden = hidden[:-1]
    if not hidden:
        raise FieldError(f"{network.name} has no hidden layer to pretrain here")
    found: list[Block] = []
    for number, node in enumerate(hidden, start=1):
        layer = node.layer
        if not isinstance(layer, _TRAINABLE):
            raise FieldError(
                f"{network.name} cannot be pretrained layer by layer: {layer.name if layer else ''} is a "
                f"{layer.type if layer else ''}, and only dense and convolutional layers can"
            )
        position = network.nodes.index(node)
        after: list[Layer] = []
        activation, shape = "linear", node.shape
        for follower in network.nodes[position + 1 :]:
            if isinstance(follower.layer, Activation):
                after.append(follower.layer)
                activation = follower.layer.function
                break
            if not isinstance(follower.layer, _BETWEEN):
                break
            after.append(follower.layer)
        found.append(
            Block(
                number,
                layer,
                tuple(
                    one.layer for one in network.nodes[:position] if one.layer and not isinstance(one.layer, Dropout)
                ),
                tuple(one for one in after if not isinstance(one, Dropout)),
                activation,
                found[-1].activation if found else None,
                node.input_shapes[0],
                shape,
            )
        )
    return tuple(found)
