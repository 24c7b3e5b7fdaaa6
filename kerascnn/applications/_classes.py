"""The 1000 classes of ImageNet (ILSVRC 2012), in the order in which every published network numbers them."""

import functools
from pathlib import Path


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """WordNet ids and names, as `keras.applications` writes them: ("n01440764", "tench"), ...

    A name is the first of the class's words in WordNet, with underscores; two pairs of classes share theirs.

    Returns:
        One pair for each of the 1000 classes.

    Source:
        Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, 2014, arXiv:1409.0575; Miller: WordNet.
    """
    text = Path(__file__).with_name("imagenet_classes.tsv").read_text(encoding="utf-8")
    return tuple((wordnet, name) for wordnet, name in (line.split("\t") for line in text.splitlines()))
