"""A folder of photographs: an epoch of a convolutional net, with Keras' way of reading the same folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.duel import ratio, take_turns
from benchmarks.measures import NOTHING, Setup
from benchmarks.report import Figure

GROUP = "images"
SIZE, BATCH, CLASSES, EACH = 224, 32, 4, 128

SMALL = "{name: cnn, blocks: [{filters: 16, pool: max}, {filters: 32, pool: max}, {filters: 32, pool: max}], dense: []}"
"""So small a net that decoding is a large part of the work, for 224-pixel images."""

STREAMED = {"DLX_RESIDENT_BYTES": "0", "DLX_KEPT_BYTES": "0"}


def measure(setup: Setup) -> list[Figure]:
    """Decoding all images in every epoch, as a set that does not fit in memory, and as dlx does with one that does."""
    setup.tell(f"images, {CLASSES * EACH} JPEGs of {SIZE} pixels")
    folder = _photographs(setup.scratch / "photographs")
    dataset = f"{{name: image_folder, path: {folder}, resize: {SIZE}, validation: 0, test: 0}}"
    spec = f"dataset: {dataset}\nmodel: {SMALL}\n"
    threads = os.cpu_count() or 1
    common = {"network": SMALL, "batch_size": BATCH, "epochs": 1, "probes": NOTHING, "dataset": dataset}
    asked = {"folder": str(folder), "size": SIZE, "batch_size": BATCH, "epochs": 1, "spec": spec, "threads": threads}
    heard = take_turns(
        {
            "streamed": setup.trial("images-streamed", **common, threads=threads, environment=STREAMED),  # type: ignore[arg-type]
            "kept": setup.trial("images-kept", **common, threads=threads),  # type: ignore[arg-type]
            "Keras": ("keras_folder", asked),
        },
        setup.rounds,
        setup.tell,
    )
    what = f"small net, {SIZE}-pixel JPEGs, batch {BATCH}"
    times = f"image_dataset_from_directory and fit: {heard['Keras'].text()}"
    rates = {name: ratio(heard["Keras"], heard[name]) for name in ("streamed", "kept")}
    return [
        Figure(GROUP, f"{what}: step rate over fit's, streamed", heard["streamed"].text(), times, rates["streamed"],
               "×", "≥", 1.0),
        Figure(GROUP, f"{what}: the same, decoded once", heard["kept"].text(), times, rates["kept"], "×", None, None),
    ]  # fmt: skip


def _photographs(folder: Path) -> Path:
    """JPEGs of the size that photographs of so many pixels have, about 20 kB: smooth shapes and some grain."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(CLASSES * EACH):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)
        grain = rng.normal(0, 6, (SIZE, SIZE, 1))
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(place / f"{number}.jpg", quality=90)
    return folder
