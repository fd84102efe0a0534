"""CIFAR-100: 60,000 photographs, 32 × 32 in colour, a hundred classes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, Facts
from dlx.datasets._cifar import PIXELS, Binary, Python
from dlx.datasets._containers import KerasNpz
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote

if TYPE_CHECKING:
    from dlx.sources import Array, Official

_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
""".split()  # noqa: SIM905  # a hundred quoted strings would fill the page

# The superclass of each class: the published records begin with it.
_SUPERCLASSES = [
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7),
    *(6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10),
    *(16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16),
    *(12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
]

_SUPERCLASS_NAMES = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
    insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2
""".split()  # noqa: SIM905

# SHA-256 of the two files in cifar-100-binary.tar.gz, as published for that archive.
_TRAIN_BIN = "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"
_TEST_BIN = "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"


def _digest(train_bin: str, test_bin: str) -> str:
    return hashlib.sha256(f"train.bin {train_bin}\ntest.bin {test_bin}\n".encode()).hexdigest()


def records_digest(official: Official) -> str:
    """The set's digest from arrays: the published binary records are written again from them and hashed.

    A class has one superclass, so images and fine labels determine every byte of
    ``train.bin`` and ``test.bin``, whatever container the arrays came from.
    """
    import numpy as np

    superclasses = np.array(_SUPERCLASSES, np.uint8)

    def records(images: Array, labels: Array) -> str:
        digest = hashlib.sha256()
        for start in range(0, len(images), 5000):
            pixels = images[start : start + 5000].transpose(0, 3, 1, 2).reshape(-1, PIXELS)
            fine = labels[start : start + 5000]
            digest.update(np.column_stack([superclasses[fine], fine.astype(np.uint8), pixels]).tobytes())
        return digest.hexdigest()

    assert official.test_inputs is not None and official.test_targets is not None
    return _digest(
        records(np.asarray(official.train_inputs), official.train_targets),
        records(np.asarray(official.test_inputs), official.test_targets),
    )


class Spec(Registered):
    """50,000 training and 10,000 test images of 32 × 32 pixels in red, green, blue, uint8, a hundred classes.

    Labels are the fine ones, or with ``labels: coarse`` the twenty superclasses, each of five
    classes. The digest is taken over the published SHA-256 of the official
    binary files (``train.bin``, ``test.bin``): loading writes those records again from the
    decoded arrays and compares. Source: Krizhevsky, "Learning multiple layers of features from
    tiny images", technical report, University of Toronto, 2009.
    """

    name: Literal["cifar100"] = "cifar100"
    summary: ClassVar[str] = "photographs, 32 × 32 colour, 100 classes of 500 each"
    source: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"
    facts: ClassVar[Facts] = Facts(
        title="CIFAR-100",
        unit="intensity of each colour, 0 to 255; unit divides by 255",
        licence="none stated",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation="Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, "
        "University of Toronto.",
    )
    about: ClassVar[DatasetInfo] = DatasetInfo(
        input_shape=(32, 32, 3),
        task="classification",
        outputs=100,
        train=50_000,
        test=10_000,
        class_names=tuple(_NAMES),
        train_counts=(500,) * 100,
        test_counts=(100,) * 100,
    )
    files: ClassVar[Files] = Files(
        containers=(
            KerasNpz(("cifar100.npz", "cifar-100.npz")),
            Binary(
                archives=("cifar-100-binary.tar.gz", "cifar-100-binary.tar"),
                folder="cifar-100-binary",
                train=("train.bin",),
                test=("test.bin",),
                label_bytes=2,
            ),
            Python(
                archives=("cifar-100-python.tar.gz",),
                folder="cifar-100-python",
                train=("train",),
                test=("test",),
                key="fine_labels",
            ),
        ),
        downloads=(
            Remote(
                path="cifar-100-binary.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
                sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                bytes=168_513_733,
            ),
        ),
        digest=_digest(_TRAIN_BIN, _TEST_BIN),
        digest_of=records_digest,
        slow=True,
    )

    labels: Literal["fine", "coarse"] = Field(
        default="fine", description="fine: 100 classes; coarse: the 20 superclasses, five classes in each"
    )

    def whole(self) -> DatasetInfo:
        if self.labels == "fine":
            return self.about
        return replace(
            self.about,
            outputs=20,
            class_names=tuple(_SUPERCLASS_NAMES),
            train_counts=(2500,) * 20,
            test_counts=(500,) * 20,
        )

    def relabelled(self, official: Official) -> Official:
        if self.labels == "fine":
            return official
        import numpy as np

        superclasses = np.array(_SUPERCLASSES, np.int32)
        assert official.test_targets is not None
        return replace(
            official,
            train_targets=superclasses[official.train_targets],
            test_targets=superclasses[official.test_targets],
        )
