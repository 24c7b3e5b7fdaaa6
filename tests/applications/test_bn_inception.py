"""BN-Inception: hidden units of the gates, the pools, and TF-slim's stem."""

import keras

from kerascnn import applications


def test_hidden_units_of_the_gates():
    model = applications.SEBNInception(input_shape=(32, 32, 3))
    units = [layer.filters for layer in model.layers if layer.name.endswith("se_reduce")]
    assert units == [16, 20, 36, 36, 36, 38, 38, 66, 64, 64]  # 3a to 5b of the release


def test_only_the_last_pool_with_a_projection_takes_maxima():
    model = applications.BNInception(input_shape=(32, 32, 3))
    found = [layer for layer in model.layers if layer.name.startswith("inception") and layer.name.endswith("_pool")]
    pools = {layer.name[9:11]: type(layer) for layer in found}
    assert {key for key, kind in pools.items() if kind is keras.layers.MaxPooling2D} == {"3c", "4e", "5b"}
    assert len(pools) == 10


def test_stride_sits_in_the_last_convolution_of_a_branch():
    model = applications.BNInception(input_shape=(32, 32, 3))
    strided = [layer.name for layer in model.layers if getattr(layer, "strides", None) == (2, 2) and layer.weights]
    ends = {f"inception{module}_branch{end}" for module in ("3c", "4e") for end in ("2_conv2", "3_conv3")}
    assert set(strided) == {"stem_conv1"} | ends


def test_odd_maps_fit_together():
    for name in ("bn_inception", "inception_v2"):
        model = applications.create_model(name, features_only=True)
        assert tuple(s[1] for s in model.compute_output_shape((1, 231, 231, 3))) == (58, 29, 15, 8)


def test_slims_stem_has_a_bias_and_no_batch_norm():
    model = applications.InceptionV2(input_shape=(32, 32, 3))
    names = [layer.name for layer in model.layers]
    assert names[names.index("stem_depthwise") : names.index("pool1")] == ["stem_depthwise", "stem_conv1"]
    assert model.get_layer("stem_depthwise").output.shape[3] == 24
    assert model.get_layer("stem_conv1").use_bias
