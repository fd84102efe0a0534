"""Fashion-MNIST: 70,000 pictures of clothing, 28 × 28, in MNIST's format."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.datasets import DatasetInfo, Facts
from dlx.datasets._containers import IdxFiles, KerasNpz
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote

_BUCKET = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"


def _remote(name: str, sha256: str, size: int) -> Remote:
    return Remote(f"fashion-mnist/{name}", (f"{_BUCKET}/{name}", f"{_KERAS}/{name}"), sha256, size)


class Spec(Registered):
    """60,000 training and 10,000 test images of 28 × 28 grey pixels, uint8, ten kinds of clothing.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", arXiv:1708.07747, 2017.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"
    summary: ClassVar[str] = "clothing, 28 × 28 grey; harder than MNIST, same shape"
    source: ClassVar[str] = "https://arxiv.org/abs/1708.07747"
    facts: ClassVar[Facts] = Facts(
        title="Fashion-MNIST",
        unit="brightness, 0 (background) to 255; unit divides by 255",
        licence="MIT",
        url="https://github.com/zalandoresearch/fashion-mnist",
        citation="Xiao, H., Rasul, K. and Vollgraf, R. (2017). Fashion-MNIST: a Novel Image Dataset for Benchmarking "
        "Machine Learning Algorithms. arXiv:1708.07747.",
    )
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(28, 28, 1),
        task="classification",
        outputs=10,
        train=60_000,
        test=10_000,
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
    )
    files: ClassVar[Files] = Files(
        containers=(
            IdxFiles(("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "FashionMNIST", ".")),
            KerasNpz(("fashion_mnist.npz", "fashion-mnist.npz", "fashion-mnist/fashion-mnist.npz")),
        ),
        downloads=(
            _remote(
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                26_421_880,
            ),
            _remote(
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                29_515,
            ),
            _remote(
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                4_422_102,
            ),
            _remote(
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                5_148,
            ),
        ),
        digest="6589c3214079d8c07a556c9307fc64fce281d929616e2bc106cebca523b8733a",
    )
