"""Compound scaling: how it rounds, which EfficientNets are the rule itself, and table 3 of the paper."""

import dataclasses

import keras
import pytest

from kerascnn import analysis, applications, blocks
from kerascnn._errors import InputError
from kerascnn.applications import efficientnet

B0 = applications.model_info("tf_efficientnet_b0").spec


@pytest.mark.parametrize(
    ("width", "expected"),
    [(16 * 0.35, 8), (24 * 0.35, 8), (32 * 0.35, 16), (24 * 1.3, 32), (1280 * 1.4, 1792), (3, 8), (40 * 1.1, 48)],
)
def test_widths(width, expected):
    assert blocks.rounded(width) == expected


@pytest.mark.parametrize(
    ("count", "depth", "expected"), [(2, 1.1, 3), (4, 3.1, 13), (1, 1.0, 1), (5, 1.2, 6), (3, 0.5, 2)]
)
def test_numbers_of_blocks(count, depth, expected):
    assert blocks.repeated(count, depth) == expected


def layout(spec):
    """What is built of a row: widths and blocks of each row of table 1, stem and last convolution."""
    rows = [row for rows, _ in efficientnet.STAGES for row in rows]
    widths = [blocks.rounded(width * spec.width) for width in (32, *(row.width for row in rows), 1280)]
    return widths, [blocks.repeated(row.blocks, spec.depth) for row in rows]


@pytest.mark.parametrize("i", range(8))
def test_published_rows_are_b0_times_their_factors(i):
    width, depth, resolution = efficientnet.FACTORS[i]
    row = applications.model_info(f"tf_efficientnet_b{i}").spec
    assert B0.scaled(depth=depth, width=width, resolution=resolution / 224) == row


def test_which_published_factors_are_powers():
    """The factors of B1 to B3 are powers of 1.2, 1.1, 1.15 to one decimal; later depths are smaller by hand.

    Unrounded powers make the network of B2 alone, and no size but B1's.
    """
    powers = {i: applications.compound_scale(B0, phi) for i, phi in enumerate((0, 0.5, 1, 2, 3.5, 5, 6, 7))}
    published = {i: applications.model_info(f"tf_efficientnet_b{i}").spec for i in powers}
    same = {i for i in powers if layout(powers[i].spec) == layout(published[i])}
    depths = {i for i in powers if round(powers[i].spec.depth, 1) == published[i].depth}
    widths = {i for i in powers if round(powers[i].spec.width, 1) == published[i].width}
    sizes = {i for i in powers if powers[i].resolution == published[i].resolution}
    assert (same, depths, widths, sizes) == ({0, 2}, {0, 1, 2, 3}, {0, 1, 2, 3, 4, 5, 6}, {0, 1})
    assert all(powers[i].spec.depth > published[i].depth for i in (4, 5, 6, 7))


def macs(name, depth, width, resolution):
    """Billions of multiply-adds of a network with three factors."""
    scaled = applications.compound_scale(applications.model_info(name).spec, 1, depth, width, resolution)
    shape = (scaled.resolution, scaled.resolution, 3)
    with keras.StatelessScope(initialize_variables=False):
        model = applications.create_model(name, spec=scaled.spec, input_shape=shape)
    return analysis.count(model).macs / 1e9


@pytest.mark.parametrize(
    ("name", "factors", "published", "tolerance"),
    [
        ("tf_mobilenetv1_100_224", (1, 2, 1), 2.2, 0.02),
        ("tf_mobilenetv1_100_224", (1, 1, 2), 2.2, 0.04),
        ("tf_mobilenetv1_100_224", (1.4, 1.2, 1.3), 2.3, 0.08),  # the paper does not say how it rounded
        ("tf_mobilenetv2_100_224", (4, 1, 1), 1.2, 0.02),
        ("tf_mobilenetv2_100_224", (1, 2, 1), 1.1, 0.04),
        ("tf_mobilenetv2_100_224", (1, 1, 2), 1.2, 0.02),
        ("resnet50", (1, 1, 2), 16.4, 0.01),
        # Table 3 prints 16.2 for the depth and 14.7 for the width, which are each other's: twice the width is four
        # times all but the first and the last layer of 4.09, so 16.1.
        ("resnet50", (4, 1, 1), 14.7, 0.01),
        ("resnet50", (1, 2, 1), 16.2, 0.01),
    ],
)
def test_costs_of_table_3(name, factors, published, tolerance):
    assert macs(name, *factors) == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize(
    "name", ["tf_mobilenetv1_025_128", "tf_mobilenetv2_035_96", "resnet18", "tf_efficientnet_lite0"]
)
def test_phi_1_about_doubles_the_cost(name):
    info = applications.model_info(name)
    before, after = macs(name, 1, 1, 1), macs(name, 1.2, 1.1, 1.15)
    assert 1.9 < after / before < 3.2, info.macs  # rounding up weighs more in small networks


def test_a_scaled_network_is_built_and_runs():
    spec, resolution = applications.compound_scale(applications.model_info("resnet20").spec, 1, resolution=32)
    assert (spec.blocks, spec.widths, resolution) == (4, (16, 32, 72), 37)
    model = applications.create_model("resnet20", spec=spec, input_shape=(resolution, resolution, 3))
    assert model(keras.ops.zeros((1, 37, 37, 3))).shape == (1, 10)


def test_phi_0_is_the_base_and_negative_phi_is_smaller():
    assert applications.compound_scale(B0, 0) == (B0, 224)
    smaller = applications.compound_scale(B0, -1)
    assert smaller.resolution == 195 and smaller.spec.width < 1 and smaller.spec.depth < 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spec": dataclasses.make_dataclass("Row", [])()}, "method scaled"),
        ({"phi": float("nan")}, "phi must be a finite number. Received: nan"),
        ({"phi": "1"}, "phi must be a finite number. Received: '1'"),
        ({"alpha": 0}, "alpha must be a positive number. Received: 0"),
        ({"beta": -1.1}, "beta must be a positive number"),
        ({"gamma": float("inf")}, "gamma must be a positive number"),
        ({"resolution": 0}, "resolution must be a whole number of pixels"),
        ({"resolution": 224.0}, "resolution must be a whole number of pixels"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(InputError, match=words):
        applications.compound_scale(**{"spec": B0, "phi": 1, **arguments})
