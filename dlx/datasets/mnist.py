"""MNIST: 70,000 handwritten digits, 28 × 28."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.datasets import DatasetInfo, Facts
from dlx.datasets._containers import IdxFiles, KerasNpz
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote


class Spec(Registered):
    """60,000 training and 10,000 test images of 28 × 28 grey pixels, uint8, ten classes.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), 1998.
    """

    name: Literal["mnist"] = "mnist"
    summary: ClassVar[str] = "handwritten digits, 28 × 28 grey"
    source: ClassVar[str] = "https://doi.org/10.1109/5.726791"
    facts: ClassVar[Facts] = Facts(
        title="MNIST",
        unit="ink, 0 (none) to 255; unit divides by 255",
        licence="CC BY-SA 3.0",
        url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        citation="LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to "
        "document recognition. Proceedings of the IEEE 86(11), 2278-2324.",
    )
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(28, 28, 1),
        task="classification",
        outputs=10,
        train=60_000,
        test=10_000,
        class_names=tuple("0123456789"),
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    )
    files: ClassVar[Files] = Files(
        containers=(
            KerasNpz(("mnist.npz", "mnist/mnist.npz")),
            IdxFiles(("mnist", "MNIST/raw", "MNIST", ".")),
        ),
        downloads=(
            Remote(
                path="mnist.npz",
                urls=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",),
                sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                bytes=11_490_434,
            ),
        ),
        digest="fb2ac7567992cc335ac0bc7465d0193e5bb582e0c0f1056b9d36c04977918d69",
    )
