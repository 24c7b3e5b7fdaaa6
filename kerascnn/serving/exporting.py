"""Writes a SavedModel that an unmodified TensorFlow Serving loads: files in, names and probabilities out."""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.letterbox import fit_whole_image
from kerascnn.data.masks import IGNORE
from kerascnn.data.preprocessing import check_image_shape, decode_image, preprocess_image
from kerascnn.inference import saved_model as saved_models
from kerascnn.serving import checking, warmup
from kerascnn.surgery import folding

TOP = 5  # classes that serving_default returns, where there are as many


def export(
    model: keras.Model,
    out: str | os.PathLike,
    *,
    class_names: Sequence[str],
    preprocessing: Preprocessing,
    input_shape: tuple[int, int, int],
    native: bool = False,
    check: bool = True,
    logits: bool | None = None,
) -> Path:
    """Exports a network as the next version in a folder, whole or not at all.

    The network is copied in float32, its batch norms folded into the convolutions before them, and traced with two
    signatures:
      serving_default  image_bytes: string [n], encoded JPEG, PNG, GIF or BMP
                       -> classes: string [n, k], probabilities: float32 [n, k]; the k = 5 (or fewer) best, best first
      tensors          images: float32 [n, height, width, channels], preprocessed
                       -> probabilities: float32 [n, classes], in the order of assets/class_names.txt
    A network for segmentation answers for the image as it is fitted into the network's input:
      serving_default  -> class_map: uint8 [n, height, width], probabilities: float32 [n, height, width, classes]
      tensors          -> probabilities: float32 [n, height, width, classes]

    Args:
        model: maps float32 [n, height, width, channels] to probabilities or logits [n, classes] or
            [n, height, width, classes].
        out: the folder of all versions; the new one is 1 + the highest number there.
        class_names: one per output, in order.
        preprocessing: what was done to the pixels in training.
        input_shape: (height, width, channels) of the images, without None.
        native: keep kerascnn's compiled ops; the server must then be linked with them.
        check: replay the warm-up requests in a fresh process and through TensorFlow's C API before the version appears;
            the report is in assets.extra/check.json.
        logits: whether the model ends in logits, to which a softmax is added; None: find out.

    Returns:
        The new version's folder, `out/<version>`.

    Raises:
        InputError: an argument does not fit the model, the folder cannot be written, the graph needs XLA or custom ops
            on the server, or the check finds other numbers than those of the model in memory.
    """
    names, shape = _checked(model, class_names, input_shape)
    model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # the same layers, inputs not in a list
    reference = folding.float32_copy(model)
    with tf.device("CPU:0"):  # where the check runs too; a GPU may compute in TF32
        softmax = _ends_in_logits(model, reference, shape) if logits is None else logits
        segmentation = len(model.outputs[0].shape) == 4
        requests = _answered_requests(_probabilities(reference, softmax), names, preprocessing, shape, segmentation)
    served, _ = folding.fold_batch_norm(model)
    with ops.native("require" if native else "off"):
        module = _Served(_probabilities(served, softmax), names, preprocessing, shape, segmentation)
    _refuse_unservable(module, model, native)
    with _next_version(out) as (unfinished, publish):
        module.save(unfinished, native)
        warmup.write_requests(unfinished, requests, model.name)
        if check:
            checking.write_report(checking.check(unfinished))
        return publish()


def _checked(model, class_names, input_shape) -> tuple[list[str], tuple[int, int, int]]:
    shape = check_image_shape(input_shape)
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(f"The model must be a functional or built Sequential keras.Model. Received: {model!r}")
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.outputs[0].shape) not in (2, 4):
        raise InputError(
            "The model must have one input and one output, [n, classes] or [n, height, width, classes]. "
            f"Received: inputs {[x.shape for x in model.inputs]}, outputs {[x.shape for x in model.outputs]}"
        )
    if len(model.outputs[0].shape) == 4:
        _check_map(tuple(model.outputs[0].shape)[1:], shape)
    expected = tuple(model.inputs[0].shape)[1:]
    if len(expected) != 3 or any(size not in (None, given) for size, given in zip(expected, shape, strict=True)):
        raise InputError(f"input_shape must fit the model's input {expected}. Received: {shape}")
    names = [str(name) for name in class_names]
    if len(names) != model.outputs[0].shape[-1]:
        raise InputError(
            f"There must be one class name for each of the model's {model.outputs[0].shape[-1]} outputs. "
            f"Received: {len(names)}"
        )
    if bad := [name for name in names if len(name.splitlines()) != 1]:
        raise InputError(f"A class name must be one line, not empty. Received: {bad[0]!r}")
    return names, shape


def _check_map(outputs, shape):
    """Refuses a network whose map of classes is not of its input's size, or has more classes than uint8 numbers."""
    fits = all(size in (None, given) for size, given in zip(outputs[:2], shape[:2], strict=True))
    if not fits or outputs[2] > IGNORE:
        rule = f"A network for segmentation must give each pixel of its input at most {IGNORE} probabilities"
        raise InputError(f"{rule}. Received: outputs {outputs} for images {shape}")


def _prepared(contents, shape, preprocessing, segmentation):
    """A file as the network takes it."""
    image = decode_image(contents, shape[-1])
    return (fit_whole_image if segmentation else preprocess_image)(image, shape, preprocessing)


def _probabilities(network: keras.Model, softmax: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    def probabilities(images):
        outputs = tf.cast(network(images, training=False), tf.float32)
        return tf.nn.softmax(outputs) if softmax else outputs

    return probabilities


def _ends_in_logits(model, reference, shape) -> bool:
    """Whether the outputs need a softmax: read off the last activation, else off the outputs for noise."""
    activation = getattr(model.layers[-1], "activation", None)
    if activation is keras.activations.softmax:
        return False
    if activation not in (None, keras.activations.linear):
        raise InputError(
            "A model that ends in another activation than softmax needs logits=True or logits=False. "
            f"Received: {activation!r}"
        )
    noise = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    outputs = np.asarray(reference(noise, training=False))
    return bool(outputs.min() < 0 or np.abs(outputs.sum(axis=-1) - 1).max() > 1e-3)


def _answered_requests(probabilities, names, preprocessing, shape, segmentation) -> list[warmup.Request]:
    """Requests of both signatures with the answers of the model in memory; the pictures are noise on a slope."""
    height, width, channels = shape
    random = np.random.default_rng(0)

    def picture(rows, columns, depth):
        slope = np.linspace(0, 191, rows * columns * depth).reshape(rows, columns, depth)
        return (slope + random.integers(0, 64, slope.shape)).astype("uint8")

    batches = [  # one picture as most clients send it; several of other sizes and kinds
        [tf.io.encode_jpeg(picture(height, width, 3), quality=90)],
        [tf.io.encode_png(picture(height + 9, 2 * width, 1)), tf.io.encode_png(picture(2 * height, width + 5, 3))],
    ]
    requests = []
    for files in batches:
        images = [_prepared(file, shape, preprocessing, segmentation) for file in files]
        answer = np.asarray(probabilities(tf.stack(images)))
        inputs = np.array([file.numpy() for file in files], object)
        tensors = warmup.Request("tensors", {"images": np.asarray(images[:1])}, {"probabilities": answer[:1]})
        if segmentation:
            outputs = {"class_map": answer.argmax(axis=-1).astype(np.uint8), "probabilities": answer}
            requests += [warmup.Request("serving_default", {"image_bytes": inputs}, outputs), tensors]
            continue
        order = np.argsort(-answer, axis=-1, kind="stable")[:, :TOP]
        classes = np.array([name.encode() for name in names], object)[order]
        outputs = {"classes": classes, "probabilities": np.take_along_axis(answer, order, axis=-1)}
        requests += [warmup.Request("serving_default", {"image_bytes": inputs}, outputs), tensors]
    return requests


class _Served(tf.Module):
    """What is saved: two signatures over one traced network, its variables (once) and the assets."""

    def __init__(
        self,
        probabilities,
        names: list[str],
        preprocessing: Preprocessing,
        shape: tuple[int, int, int],
        segmentation: bool,
    ):
        super().__init__()
        self._texts = {
            saved_models.CLASS_NAMES: "".join(f"{name}\n" for name in names),
            saved_models.PREPROCESSING: json.dumps(preprocessing.to_dict(), indent=1) + "\n",
        }
        images_spec = tf.TensorSpec([None, *shape], tf.float32, name="images")
        network = tf.function(probabilities, input_signature=[images_spec], autograph=False)

        def tensors(images):
            # A server compares no shapes with the signature, and oneDNN's kernels abort the process on a wrong rank.
            return {"probabilities": network(tf.ensure_shape(images, (None, *shape)))}

        def serving_default(image_bytes):
            def prepare(contents):
                return _prepared(contents, shape, preprocessing, segmentation)

            images = tf.map_fn(prepare, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.float32))
            if segmentation:
                found = network(images)
                return {"class_map": tf.cast(tf.argmax(found, axis=-1), tf.uint8), "probabilities": found}
            best, indices = tf.math.top_k(network(images), k=min(TOP, len(names)))
            return {"classes": tf.gather(tf.constant(names), indices), "probabilities": best}

        bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
        # Traced here and now, because the caller chooses between native and stock ops for the time of this call.
        self._signatures = {
            function.__name__: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
            for function, spec in ((tensors, images_spec), (serving_default, bytes_spec))
        }
        self.graphs = [signature.graph.as_graph_def() for signature in self._signatures.values()]
        self.network_variables = self._signatures["tensors"].variables

    def save(self, folder: Path, native: bool) -> None:
        """Writes the SavedModel into an empty folder."""
        texts = folder / ".texts"
        texts.mkdir()
        for name, text in self._texts.items():
            (texts / name).write_text(text, encoding="utf-8")
        self.assets = [tf.saved_model.Asset(str(texts / name)) for name in self._texts]
        options = tf.saved_model.SaveOptions(
            namespace_whitelist=[saved_models.NAMESPACE] if native else [], experimental_custom_gradients=False
        )
        tf.saved_model.save(self, str(folder), signatures=self._signatures, options=options)
        shutil.rmtree(texts)


def _refuse_unservable(module: _Served, model: keras.Model, native: bool) -> None:
    """A stock server has no op of ours, and cannot be relied upon to compile with XLA."""
    functions = [function for graph in module.graphs for function in graph.library.function]
    compiled = {function.signature.name for function in functions if function.attr["_XlaMustCompile"].b}
    nodes = [node for graph in module.graphs for node in graph.node]
    for node in nodes + [node for function in functions for node in function.node_def]:
        if node.attr["_XlaMustCompile"].b or node.attr["f"].func.name in compiled:
            raise InputError(
                "Nothing in an exported model may need XLA; use kerascnn.layers.Conv2D for grouped convolutions. "
                f"Received: {_culprit(node.name, model)}"
            )
    custom = set().union(*map(saved_models.custom_ops, module.graphs))
    if custom and not native:
        raise InputError(
            f"With native=False the model must trace without kerascnn's compiled ops. Received: {sorted(custom)}"
        )


def _culprit(node_name: str, model: keras.Model) -> str:
    """The layer under whose name scope a node was traced; a copied layer's scope may end in a number."""
    scopes = {re.sub(r"_\d+$", "", scope) for scope in node_name.split("/")} | set(node_name.split("/"))
    layers, found = list(model.layers), f"the op {node_name}"
    for layer in layers:
        if isinstance(layer, keras.Model):
            layers += layer.layers
        elif layer.name in scopes:
            found = f"the layer {layer.name!r} ({type(layer).__name__})"
    return found


@contextlib.contextmanager
def _next_version(out: str | os.PathLike) -> Iterator[tuple[Path, Callable[[], Path]]]:
    """Yields a hidden folder to fill and a function that gives it the next number; on failure nothing is left."""
    existed = Path(out).exists()
    parent = ensure_folder(out)
    unfinished = parent / f".unfinished-{os.getpid()}"

    def publish() -> Path:
        while True:
            version = parent / str(max(saved_models.versions(parent), default=0) + 1)
            try:
                os.rename(unfinished, version)
                return version
            except OSError as error:  # another export took the number first: try the next
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise

    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a killed process that had the same number
        unfinished.mkdir()
        yield unfinished, publish
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise InputError(f"The export could not be written ({reason}). Received: {parent}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: the export is there
                parent.rmdir()
