"""The text of an augmentation: what it means, and what is refused with which words."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data import augment
from kerascnn.data.augment import crop, flip, mixing, pca_noise, scale_crop
from kerascnn.training import TrainConfig

CUT = (crop.PadCrop(), flip.Flip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", ()),
        (" none ", ()),
        ("flip", (flip.Flip(0.5),)),
        ("flip()", (flip.Flip(0.5),)),
        ("pad_crop_flip", CUT),
        ("pad_crop+flip", CUT),
        ("pad_crop(0.25, reflect)", (crop.PadCrop(0.25, "reflect"),)),
        ("pad_crop_flip + mixup(0.4)", (*CUT, mixing.Mixup(0.4))),
        ("random_resized_crop", (crop.ResizedCrop(), flip.Flip())),
        ("resized_crop( 0.25 ,largest = .5)", (crop.ResizedCrop(0.25, 0.5),)),
        ("alexnet", (crop.Crop(8 / 7), flip.Flip(), pca_noise.PCANoise(0.1))),
        ("mixup(alpha=2e-1) + cutmix(+1)", (mixing.Mixup(0.2), mixing.CutMix(1.0))),
    ],
)
def test_meaning(text, expected):
    assert augment.parse(text) == expected


def test_meaning_for_masks():
    assert augment.parse("scale_crop_flip", "segmentation") == (scale_crop.ScaleCropFlip(),)
    assert augment.parse("scale_crop(largest=1.5) + flip(0.2)", "segmentation") == (
        scale_crop.ScaleCrop(0.5, 1.5),
        flip.Flip(0.2),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "augment must be none, or operations"),
        (None, "augment must be none, or operations"),
        ("flip + " * 500 + "flip", "1000 characters"),
        ("flp", "for classification; near to flp: flip. Received: augment='flp'"),
        ("random_resize_crop", "near to random_resize_crop: random_resized_crop"),
        ("scale_crop", "augment must be none, or of augmix, .*for classification"),
        ("none + flip", "augment must be none, or of"),
        ("flip +", "be none, or NAME or NAME.VALUE"),
        ("+ flip", "be none, or NAME"),
        ("flip flip", "be none, or NAME"),
        ("flip((1))", "be none, or NAME"),
        ("flip; flip", "be none, or NAME"),
        ("flip\0", "be none, or NAME"),
        ("flip(0.5, 0.5)", r"no arguments of flip but those of flip\(probability\)"),
        ("flip(p=0.5)", r"no arguments of flip but those of flip\(probability\)"),
        ("resized_crop(0.5, smallest=0.5)", "each once"),
        ("resized_crop(largest=0.5, 0.2)", "each once"),
        ("flip(half)", r"numbers as the arguments of flip\(probability\)"),
        ("flip(0.5,)", "numbers as the arguments"),
        ("crop(8/7)", "numbers as the arguments"),
        ("flip(nan)", "numbers as the arguments"),
        ("flip(1e999)", r"probability of flip must be a finite number in \[0, 1\]"),
        ("flip(1.5)", "probability of flip must be"),
        ("mixup(0)", r"alpha of mixup must be a finite number in \(0, 1000\]"),
        ("resized_crop(0.5, 0.2)", "smallest of resized_crop must be at most largest=0.2"),
        ("pad_crop(0.1, mirror)", "mode of pad_crop must be one of zero, reflect"),
        ("pad_crop_flip(1)", "augment must be none, or of"),
        ("mixup + flip", "have flip before them"),
        ("flip + crop", "only the first"),
        ("crop + resized_crop", "begin with resized_crop: only one of crop, resized_crop,"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InputError, match=message) as error:
        augment.check(text)
    assert "\n" not in str(error.value) and "Received: " in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize("text", ["mixup", "pad_crop", "alexnet", "flip + cutmix(1)"])
def test_not_for_masks(text):
    with pytest.raises(InputError, match="for segmentation"):
        augment.check(text, "segmentation")


def test_documents_name_operations_that_there_are():
    """The table of the package, and the command line's help, which cannot list them without TensorFlow."""
    found, text = augment.operations(), TrainConfig.__dataclass_fields__["augment"].metadata["help"]
    table = set(re.findall(r"^    (\w+) .*  \w", augment.__doc__.partition("Names of whole")[0], re.MULTILINE))
    assert len(table) > 9 and table - {"operation"} <= set(found)  # the first row is the heading
    assert set(re.findall(r"\w+_\w+|\w*flip|\w*mix\w+", text)) <= {*found, *augment.ALIASES}
    for name, operation in found.items():
        assert operation.__doc__ and operation() in augment.parse(name, operation.tasks[-1])
    for name, meaning in augment.ALIASES.items():
        assert augment.parse(name) == augment.parse(meaning) and name in augment.__doc__


def test_a_new_operation_is_one_new_file(tmp_path, monkeypatch):
    """The example of CONTRIBUTING.md, in a folder beside the package's own."""
    text = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text().partition("## Add an augmentation")[2]
    (tmp_path / "upside_down.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    monkeypatch.setattr(augment, "__path__", [*augment.__path__, str(tmp_path)])
    augment.operations.cache_clear()
    try:
        (turn,) = augment.parse("upside_down(1)")
        image = np.arange(12, dtype=np.uint8).reshape(4, 3, 1)
        np.testing.assert_array_equal(turn.image(tf.constant(image), tf.constant([1, 2]), None), image[::-1])
        with pytest.raises(InputError, match="near to upside_dow: upside_down"):
            augment.parse("upside_dow")
    finally:
        sys.modules.pop("kerascnn.data.augment.upside_down", None)
        monkeypatch.undo()
        augment.operations.cache_clear()
