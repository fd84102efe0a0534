"""CIFAR-10: 60,000 photographs, 32 × 32 in colour, ten classes."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.datasets import DatasetInfo, Facts
from dlx.datasets._cifar import Binary, Python
from dlx.datasets._containers import KerasNpz
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote

_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))


class Spec(Registered):
    """50,000 training and 10,000 test images of 32 × 32 pixels in red, green, blue, uint8, ten classes.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", technical
    report, University of Toronto, 2009.
    """

    name: Literal["cifar10"] = "cifar10"
    summary: ClassVar[str] = "photographs of animals and vehicles, 32 × 32 colour, 10 classes"
    source: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    facts: ClassVar[Facts] = Facts(
        title="CIFAR-10",
        unit="intensity of each colour, 0 to 255; unit divides by 255",
        licence="none stated",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation="Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, "
        "University of Toronto.",
    )
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(32, 32, 3),
        task="classification",
        outputs=10,
        train=50_000,
        test=10_000,
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train_counts=(5000,) * 10,
        test_counts=(1000,) * 10,
    )
    files: ClassVar[Files] = Files(
        containers=(
            KerasNpz(("cifar10.npz", "cifar-10.npz")),
            Binary(
                archives=("cifar-10-binary.tar.gz", "cifar-10-binary.tar"),
                folder="cifar-10-batches-bin",
                train=tuple(f"{name}.bin" for name in _BATCHES),
                test=("test_batch.bin",),
            ),
            Python(
                # the second name is the one that older versions of Keras give to the archive
                archives=("cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"),
                folder="cifar-10-batches-py",
                train=_BATCHES,
                test=("test_batch",),
            ),
        ),
        downloads=(
            Remote(
                path="cifar-10-binary.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                bytes=170_052_171,
            ),
        ),
        digest="a1b90f78855137d352d76c89af85450e0503c228f0831f81d4e6e6162ac5b159",
        slow=True,
    )
