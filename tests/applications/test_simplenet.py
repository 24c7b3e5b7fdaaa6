"""SimpleNet: the irregular places of the Caffe files, the stride modes, the two ways of dropping."""

import keras

from kerascnn import applications, layers


def _names(model):
    return [layer.name for layer in model.layers if not layer.name.startswith("stage")]


def _of(model, *kinds):
    return [layer.name for layer in model.layers if isinstance(layer, kinds)]


def test_the_caffe_form_has_thirteen_convolutions_ten_of_them_normalized():
    model = applications.SimpleNet5M()
    assert len(_of(model, keras.layers.Conv2D)) == 13
    assert len(_of(model, keras.layers.BatchNormalization)) == 10
    assert model.get_layer("part4_2_conv").kernel_size == (1, 1)
    names = _names(model)
    at = names.index("pool2")
    assert names[at - 1 : at + 4] == ["part2_3_conv", "pool2", "part2_3_bn", "part2_3_relu", "part2_3_dropout"]
    at = names.index("pool3")
    assert names[at - 1] == "part3_2_dropout" and names[at + 1] == "part4_1_conv"
    assert names[-3:] == ["part5_1_relu", "head_pool", "head"]


def test_the_caffe_form_drops_after_two_of_its_pools():
    model = applications.SimpleNet5M()
    assert _of(model, layers.SAFPooling2D) == ["pool1", "pool4"]
    assert {model.get_layer(name).rate for name in ("pool1", "pool4")} == {0.2}
    assert len(_of(model, keras.layers.Dropout)) == 10
    for slim in (applications.SimpleNet310K(), applications.SimpleNet460K()):
        assert _of(slim, keras.layers.Dropout) == []
        assert all(slim.get_layer(name).rate == 0 for name in _of(slim, layers.SAFPooling2D))


def test_the_torch_form_drops_channels_where_it_is_told_to():
    model = applications.SimpleNetCifar5M(dropout_rate=0.1)
    assert len(_of(model, keras.layers.SpatialDropout2D)) == 13 - 5
    pools = [model.get_layer(name) for name in _of(model, layers.SAFPooling2D)]
    assert [pool.name for pool in pools] == ["pool1", "pool2", "pool3", "pool4", "head_pool"]
    assert all(pool.rate == 0.1 for pool in pools) and {pool.mode for pool in pools[:4]} == {"channel"}
    assert len(_of(applications.SimpleNetCifar5MExtraPool(), layers.SAFPooling2D)) == 6
    assert _of(applications.SimpleNetCifar5M(), keras.layers.SpatialDropout2D) == []


def test_the_stride_modes_of_imagenet():
    def strides(name):
        model = applications.create_model(name)
        return [layer.strides[0] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][:5]

    assert strides("simplenetv1_small_m1_05") == [2, 2, 2, 1, 1]
    assert strides("simplenetv1_small_m2_05") == [2, 2, 1, 2, 1]
    assert applications.SimpleNetV1SmallM2_075(include_top=False).output_shape[-1] == 192
