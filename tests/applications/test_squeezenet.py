"""SqueezeNet: what the bypasses join, and what they cost."""

import keras

from kerascnn import applications


def joined(model):
    """Fire module -> name of the layer that is added to its output."""
    adds = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    return {add.name.removesuffix("_add"): add.input[0]._keras_history.operation.name for add in adds}


def test_simple_bypass_goes_around_every_second_module():
    model = applications.SqueezeNet1_0SimpleBypass(include_top=False)
    # The input of fire5 and fire9 has been pooled.
    assert joined(model) == {"fire3": "fire2_concat", "fire5": "pool4", "fire7": "fire6_concat", "fire9": "pool8"}


def test_complex_bypass_convolves_where_the_width_changes():
    model = applications.SqueezeNet1_0ComplexBypass(include_top=False)
    assert joined(model) == {
        **{f"fire{i}": f"fire{i}_bypass" for i in (2, 4, 6, 8)},
        **{"fire3": "fire2_add", "fire5": "pool4", "fire7": "fire6_add", "fire9": "pool8"},
    }
    assert model.get_layer("fire4_bypass").activation is keras.activations.linear


def test_pools_round_up():
    for name, sizes in [("squeezenet1_0", [109, 54, 27, 13]), ("squeezenet1_1", [111, 55, 27, 13])]:
        model = applications.create_model(name, features_only=True)
        assert [shape[1] for shape in model.compute_output_shape((1, 224, 224, 3))] == sizes
