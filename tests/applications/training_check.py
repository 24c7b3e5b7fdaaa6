"""Whether a network learns: a few steps on 64 digits."""

import keras
import numpy as np

from kerascnn import applications, data

IMAGES, BATCH = 64, 32
SETTINGS = {
    # From N(0, 0.01) without batch norm its logits are almost 0, and dropout hides what the first steps gain.
    "nin_imagenet": {"epochs": 5},
    # A hundred units of unit variance add up before its head, whose logits start large.
    "polynet": {"rate": 1e-4},
    # Dense layers see one pixel of such small images 49 times over, so that a step counts as 49.
    **{name: {"rate": 3e-5} for name in ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "se_vgg16", "cbam_vgg16")},
}


def digits(size: int) -> tuple[np.ndarray, np.ndarray]:
    """64 digits in [-1, 1], enlarged and padded to [64, size, size, 1]; labels [64]."""
    source = data.load("digits", limit=IMAGES)
    images, labels = (np.stack(part) for part in zip(*source.dataset("train").as_numpy_iterator(), strict=True))
    factor = size // images.shape[1]
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    border = size - images.shape[1]
    images = np.pad(images, ((0, 0), (border // 2, border - border // 2), (border // 2, border - border // 2), (0, 0)))
    return images.astype("float32") / 127.5 - 1, labels


def loss_falls(name: str, **settings) -> None:
    """`train` with the settings of the network, and with these."""
    train(name, **{**SETTINGS.get(name, {}), **settings})


def train(name: str, *, rate: float = 1e-3, epochs: int = 2, **options) -> None:
    """The mean training loss of the last pass over 64 digits is below that of the first.

    Args:
        name: registry name.
        rate: of Adam.
        epochs: passes, two steps each.
        **options: of the builder.
    """
    info = applications.model_info(name)
    size = max(32, info.min_size)
    x, y = digits(size)
    model = applications.create_model(name, input_shape=(size, size, 1), classes=10, **options)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", run_eagerly=True)  # tracing is slower
    losses = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0], losses
