"""ImageNet's thousand classes: their WordNet ids, which are the names of its folders, and words for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_ID = re.compile(r"n\d{8}")


@cache
def classes() -> tuple[tuple[str, str], ...]:
    """(WordNet id, its word as Keras has it) of each class, in the order of the outputs."""
    lines = Path(__file__).with_name("classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple((line.split(" ")[0], line.split(" ")[1]) for line in lines)


def in_words(names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as words, where all are WordNet ids of ImageNet's; as they are otherwise.

    Of two classes with one word (crane, maillot), each keeps its id beside it.
    """
    if not names or not all(map(_ID.fullmatch, names)):
        return tuple(names)
    words = dict(classes())
    if not words.keys() >= set(names):
        return tuple(names)
    often = Counter(words.values())
    return tuple(words[name].replace("_", " ") + (f" ({name})" if often[words[name]] > 1 else "") for name in names)
