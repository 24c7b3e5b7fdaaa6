"""Inception v4: sizes of the published figures."""

from kerascnn import applications


def test_sizes_of_the_modules():
    model = applications.InceptionV4(include_top=False, input_shape=(299, 299, 3))
    sizes = {  # figures 3 and 9, valid convolutions at 299
        "mixed3a": (73, 73, 160),
        "mixed4a": (71, 71, 192),
        "mixed5a": (35, 35, 384),
        "mixed5e": (35, 35, 384),
        "mixed6a": (17, 17, 1024),
        "mixed6h": (17, 17, 1024),
        "mixed7a": (8, 8, 1536),
        "mixed7d": (8, 8, 1536),
    }
    for name, size in sizes.items():
        assert model.get_layer(f"{name}_concat").output.shape[1:] == size
