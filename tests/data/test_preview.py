"""Looking at an augmentation, in Python and on the command line."""

import numpy as np
import pytest
from matplotlib.image import imread

from kerascnn import cli, data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, IMAGENET

GIVEN = {"image_shape": (8, 8, 1), "preprocessing": CIFAR}


def test_the_first_column_is_the_image_itself():
    source = data.load("digits", limit=40)
    sheet = data.preview(source, "flip(1)", images=3, copies=2, **GIVEN)
    assert sheet.shape == (3, 3, 8, 8, 1) and sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[:, 0], source.split("train").pixels[[0, 19, 39]])
    for copy in (1, 2):
        np.testing.assert_array_equal(sheet[:, copy], sheet[:, 0, :, ::-1])


def test_copies_differ_and_follow_from_the_seed():
    source = data.load("digits", limit=40)
    sheets = [data.preview(source, "pad_crop + mixup(1)", images=4, copies=3, seed=seed, **GIVEN) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any() and len({image.tobytes() for image in sheets[0][1]}) == 4


def test_mixed_images_have_the_colors_of_pixels():
    source = data.load("synthetic:8x8x3,classes=3,examples=20")
    plain = data.preview(source, "none", images=4, copies=1, image_shape=(8, 8, 3), preprocessing=IMAGENET)
    np.testing.assert_array_equal(plain[:, 0], plain[:, 1])
    mixed = data.preview(source, "mixup(1)", images=4, copies=1, image_shape=(8, 8, 3), preprocessing=IMAGENET)
    own, image = plain[:, 0].astype(float), mixed[0, 1].astype(float)
    distances = []
    for other in own:
        for weight in np.linspace(0, 1, 201):
            distances.append(abs(weight * own[0] + (1 - weight) * other - image).max())
    assert min(distances) < 2


def test_masks_move_with_images():
    sheet = data.preview(data.load("shapes"), "scale_crop_flip", images=2, copies=2, image_shape=(32, 32, 3),
                         preprocessing=IMAGENET)  # fmt: skip
    assert sheet.shape == (2, 3, 32, 32, 3) and (sheet[:, 1] != sheet[:, 2]).any()


def test_what_is_refused(capsys, tmp_path):
    with pytest.raises(InputError, match="images must be a whole number, at least 1. Received: images=0"):
        data.preview(data.load("digits"), "flip", images=0, **GIVEN)
    out = str(tmp_path / "sheet.png")
    for words, message in (
        ("show --data digits", "needs --augment or --recipe. Received: neither"),
        ("draw --data digits --augment flip", "ACTION must be one of show"),
        ("pack --data digits --augment flip", "augment is a flag of kerascnn data show. Received: --augment with pack"),
        ("show --data digits --augment flip --skip_damaged", "is a flag of kerascnn data pack"),
        ("show --data digits --augment flop", "near to flop: flip"),
        ("show --data digits --augment scale_crop", "for classification"),
    ):
        assert cli.main(["data", *words.split(), "--out", out]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert cli.main("data show --data digits --augment flip --out sheet.jpg".split()) == 2
    assert "must be the name of a .png file" in capsys.readouterr().err


def test_a_sheet_is_drawn(capsys, tmp_path):
    out = tmp_path / "new" / "sheet.png"
    words = "--recipe cifar --images 2 --copies 3 --out".split()
    # As in training: what may not be mirrored is left as it is.
    for name, augment in (("digits", "none"), ("synthetic:8x8x3,classes=2,examples=20", "pad_crop_flip")):
        assert cli.main(["data", "show", "--data", name, *words, str(out)]) == 0
        assert f"augment: {augment}\n" in capsys.readouterr().out
    picture = imread(out)
    assert picture.shape[1] > picture.shape[0] and picture[..., :3].std() > 0.1
