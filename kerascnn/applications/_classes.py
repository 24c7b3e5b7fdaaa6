"""The 1000 classes of ImageNet (ILSVRC 2012), in the order in which networks number them; and others."""

import functools
from pathlib import Path

# Pascal VOC's, in the order of its masks' values, with which the published networks for segmentation are trained.
VOC = tuple(
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor".split()
)


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


def class_names(classes: int, task: str) -> tuple[str, ...]:
    """What the outputs of a network with published weights are called.

    Args:
        classes: how many there are.
        task: of the network.

    Returns:
        ImageNet's names for 1000 classes, those of Pascal VOC for the 21 of segmentation, else numbers.
    """
    if classes == 1000 and task == "classification":
        return tuple(name for _, name in imagenet_classes())
    if classes == len(VOC) and task == "segmentation":
        return VOC
    return tuple(str(index) for index in range(classes))
