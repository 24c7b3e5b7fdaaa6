"""A classifier of single digits that slides over a larger image: where are the threes?

    python examples/heat_map.py

Time: about 20 seconds. Result: heat_map.png, an image of twelve digits beside the map of the probability of a 3,
whose peaks lie on the threes; the map is one pass through LeNet-5, not one per window.
"""

import keras
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

import kerascnn
from kerascnn import analysis, data

WANTED, NOTHING = 3, 10
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def read(split):
    """Digits enlarged to 24x24 on 32x32, black 0 and white 1; labels."""
    images, labels = (np.stack(x) for x in zip(*data.load("digits").dataset(split).as_numpy_iterator(), strict=True))
    return np.pad(images.repeat(3, 1).repeat(3, 2) / 255.0, ((0, 0), (4, 4), (4, 4), (0, 0))), labels


# Besides the ten digits there is an eleventh class: windows between digits.
images, labels = read("train")
moves = rng.choice([(0, 1), (1, 0), (1, 1)], len(images)) * rng.integers(8, 25, (len(images), 2))
between = [np.roll(image, move, (0, 1)) for image, move in zip(images, moves, strict=True)]
x, y = np.concatenate([images, between]), np.concatenate([labels, np.full(len(images), NOTHING)])
model = kerascnn.create_model("lenet5", classes=11)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=10, verbose=2)

images, labels = read("test")
chosen = np.concatenate([np.flatnonzero(labels == WANTED)[:3], np.flatnonzero(labels != WANTED)[:9]])
chosen = rng.permutation(chosen).reshape(3, 4)
canvas = np.concatenate([np.concatenate(list(images[row]), axis=1) for row in chosen])
canvas = np.pad(canvas, ((16, 16), (16, 16), (0, 0)))  # [128, 160, 1]

slides = kerascnn.fully_convolutional(model)
heat = slides.predict(canvas[None], verbose=0)[0, :, :, WANTED]
field = analysis.receptive_field(slides, canvas.shape)
print(f"{canvas.shape[:2]} pixels, {heat.shape} windows of {field.size} pixels, {field.stride} pixels apart")

figure = Figure(figsize=(9, 3.3), layout="constrained")
left, right = figure.subplots(1, 2)
left.imshow(canvas[..., 0], cmap="gray_r")
(top, side), step = field.origin, field.stride[0]  # the middle of the first window, pixels from one to the next
edges = (side - step / 2, side + (heat.shape[1] - 0.5) * step, top + (heat.shape[0] - 0.5) * step, top - step / 2)
right.imshow(canvas[..., 0], cmap="gray_r", alpha=0.5)
opaque = np.clip(heat, 0.15, 1)  # light where there is nothing
right.imshow(heat, extent=edges, cmap="plasma_r", alpha=opaque, vmin=0, vmax=1)
right.set(xlim=left.get_xlim(), ylim=left.get_ylim())
figure.colorbar(ScalarMappable(cmap="plasma_r"), ax=right, label=f"probability of a {WANTED}")
figure.savefig("heat_map.png", dpi=120)
print("threes at", [tuple(map(int, place)) for place in np.argwhere(labels[chosen] == WANTED)], "-> heat_map.png")
