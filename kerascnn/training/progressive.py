"""Progressive resizing: small images at first, larger ones later, those of the network's own size last."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerascnn import _check, surgery
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.training.config import TrainConfig, check_sizes


@dataclasses.dataclass(frozen=True)
class Part:
    """Epochs `first` to `last - 1` of a run, counted from 0, whose training images have one size."""

    size: int | None  # height and width; None: the network's own
    first: int
    last: int


def parts(config: TrainConfig, first: int = 0) -> list[Part]:
    """The parts of a run that are left after some epochs.

    Args:
        config: `progressive`, `progressive_parts` and `epochs` are used.
        first: epochs that are finished.

    Returns:
        One part for each size that is still to come; all epochs in one where the images have one size.

    Source:
        Tan & Le 2021 (arXiv:2104.00298), section 4.2: the size rises from stage to stage of equally many epochs.

    Example:

        from kerascnn.training import TrainConfig, progressive

        progressive.parts(TrainConfig(epochs=9, progressive=(128, 160, 224)), first=4)
        # [Part(size=160, first=4, last=6), Part(size=224, first=6, last=9)]
    """
    first = _check.whole("first", first, 0)
    count = max(len(config.progressive), 1)
    bounds = config.progressive_parts or tuple(i / count for i in range(1, count))
    ends = [*(round(part * config.epochs) for part in bounds), config.epochs]
    found, begin = [], 0
    for size, end in zip(config.progressive or (None,), ends, strict=True):
        if max(begin, first) < end:
            found.append(Part(size, max(begin, first), end))
        begin = end
    return found


def left(
    model: keras.Model, config: TrainConfig, first: int = 0, say: Callable[[str], Any] | None = None
) -> Iterator[Part]:
    """The parts of a run one after the other; while one is being trained the model takes images of its size.

    Args:
        model: that is trained; nothing more comes once a callback has set its `stop_training`.
        config: as for `parts`.
        first: epochs that are finished.
        say: is given a line for each part of several.

    Returns:
        An iterator.
    """
    for part in parts(config, first):
        if part.size and say:
            say(f"from epoch {part.first + 1} on images of {part.size} pixels")
        with any_size(model) if part.size else contextlib.nullcontext():
            yield part
        if model.stop_training:
            return


def check(model: keras.Model, sizes: Sequence[int]) -> None:
    """Refuses a model that cannot be trained on images of some sizes with the weights that it has.

    The graph is built anew for each size. It must have weights of the same shapes and outputs of the same shape as
    before, and give for an image what the model itself gives for it. So a dense layer on a flattened map, embeddings of
    positions and windows that must tile the map are found by what they do, whatever they are called.

    Args:
        model: a functional or built sequential `keras.Model` of square images.
        sizes: heights and widths that rise, up to that of the model's input.

    Raises:
        InputError: a size does not suit the model; the message says which and why.

    Example:

        progressive.check(kerascnn.create_model("resnet18"), (128, 160, 224))
    """
    sizes = check_sizes("progressive", sizes)
    height, width, channels = model.input_shape[1:]
    if sizes and not height == width == sizes[-1]:
        rule = "progressive must end with the size of the network's input"
        raise InputError(f"{rule}, {height} x {width}. Received: progressive={','.join(map(str, sizes))}")
    image = np.random.default_rng(0).normal(size=(1, height, width, channels)).astype(np.float32)
    for size in sizes[:-1]:
        part = image[:, :size, :size]
        try:
            with any_size(model):
                found = _outputs(model, part)
            inputs = keras.Input(part.shape[1:], dtype=model.inputs[0].dtype)
            wanted = _outputs(surgery.rebuild(model, lambda _: None, share=False, inputs=inputs), part)
        except Exception as error:  # whatever a layer raises that was made for another size, escape codes off
            reason = " ".join(re.sub(r"\x1b\[\d+m", "", str(error)).split())[:300]
            raise _refused(model, size, reason) from error
        exact = all(layer.compute_dtype in ("float32", "float64") for layer in model.layers)
        for ours, theirs in zip(found, wanted, strict=True):
            outputs = (*((size, size) if ours.ndim == 4 else ()), model.output_shape[-1])
            if ours.shape[1:] != outputs:
                raise _refused(model, size, f"its outputs would be {ours.shape[1:]}, not {outputs}")
            if np.abs(ours - theirs).max() > (1e-4 if exact else 0.05) * max(np.abs(theirs).max(), 1e-6):
                raise _refused(model, size, "layers that were built for one size compute something else at another")


def _outputs(model, images) -> list[np.ndarray]:
    """What is trained: of an `AuxiliaryModel` the outputs of the auxiliary heads, too."""
    graph = model.training_graph if isinstance(model, AuxiliaryModel) else model
    return [np.asarray(x, np.float32) for x in keras.tree.flatten(graph(images, training=False))]


def _refused(model, size, reason):
    rule = (
        f"progressive is for networks whose parts do not depend on the size of the input, as those of {model.name} do"
    )
    return InputError(f"{rule}. Received: {size} pixels ({reason})")


@contextlib.contextmanager
def any_size(model: keras.Model) -> Iterator[None]:
    """Lets a functional model take images of any size while this lasts; what its files say stays as it is.

    Args:
        model: one that `check` accepts for the sizes.

    Example:

        from kerascnn.training import progressive

        progressive.check(model, (64, 128))
        with progressive.any_size(model):
            model.fit(small, epochs=5)  # images of 64 pixels
            model.make_train_function(force=True)  # traced for the next size
            model.fit(large, epochs=10, initial_epoch=5)
    """
    graphs = [x for x in model._flatten_layers() if isinstance(x, keras.Model) and x.inputs]
    graphs += [x._main.graph for x in graphs if isinstance(x, AuxiliaryModel)]
    kept = [(graph, vars(graph).get("_manual_input_spec")) for graph in graphs]
    for graph in graphs:
        graph.input_spec = [keras.InputSpec(ndim=len(x.shape), axes={-1: x.shape[-1]}) for x in graph.inputs]
    try:
        yield
    finally:
        for graph, spec in kept:
            if spec is None:
                del graph._manual_input_spec
            else:
                graph.input_spec = spec
