"""What runs in a subject's process: `python -m kerascnn.benchmark.worker`, asked as `answering` says.

TensorFlow is imported only where the subject needs it. The kinds of subjects: "memory", a network in memory; "export",
an exported folder; "torch_file", an ONNX file of PyTorch; "write", which is nothing to be timed: it writes exports.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn.benchmark import answering, files

Prepared = tuple[Callable[[], object] | None, dict[str, Any]]
_PLAIN = "serving_default"  # the signature of what Keras' own export writes


def prepare(subject: dict[str, Any]) -> Prepared:
    """The call of a subject, and what is told of it.

    Raises:
        answering.Refused: it cannot be built, written or opened.
    """
    try:
        return _KINDS[subject["kind"]](subject)
    except InputError as error:
        raise answering.Refused(str(error)) from error


def _versions() -> str:
    import keras
    import tensorflow as tf

    from kerascnn import __version__

    return f"kerascnn {__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}"


def _built(subject: dict[str, Any], **options: Any) -> Any:
    from kerascnn import applications

    shape = subject["shape"]
    return applications.create_model(subject["network"], input_shape=tuple(shape), **options)


def _memory(subject: dict[str, Any]) -> Prepared:
    """A network in memory: a training step, or a forward pass."""
    import keras
    import numpy as np
    import tensorflow as tf

    from kerascnn import ops
    from kerascnn.benchmark.keras_convolutions import with_keras_convolutions

    tf.config.threading.set_intra_op_parallelism_threads(subject["threads"])
    if subject["precision"] != "float32":
        keras.config.set_dtype_policy(f"mixed_{subject['precision']}")
    built, options = ops.build_info(), subject["options"]
    imported = answering.memory()["now"]
    keras.utils.set_random_seed(0)
    train = subject["step"] == "train"
    model = _built(subject, **({"classifier_activation": None} if train else {}))
    if options.get("convolutions") == "keras":
        model = with_keras_convolutions(model)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=options.get("jit", False),
    )  # fmt: skip
    images = tf.constant(files.noise(subject["batch"], subject["shape"]))
    *places, classes = model.outputs[0].shape[1:]
    labels = tf.constant(np.random.default_rng(0).integers(0, classes, (subject["batch"], *places)))
    facts = {"versions": _versions(), "imported": imported, "precision": subject["precision"],
             "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)}  # fmt: skip
    if not built["available"]:
        facts["note"] = f"no native ops: {' '.join(built['reason'].split())[:200]}"
    if train:
        return lambda: model.train_on_batch(images, labels), facts
    return lambda: model.predict_on_batch(images), facts


def _export(subject: dict[str, Any]) -> Prepared:
    """An export, in its own runtime. Of a SavedModel the signature that takes tensors is asked."""
    if subject["format"] in files.MODULES:
        return files.prepare(subject)
    import tensorflow as tf

    from kerascnn.inference import saved_model

    tf.config.threading.set_intra_op_parallelism_threads(subject["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folder = Path(subject["folder"])
    facts: dict[str, Any] = {"versions": _versions(), "precision": "float32"}
    signature, name = _PLAIN, "plain"
    if subject["format"] == "saved_model":
        signature, graph = "tensors", saved_model.meta_graph(folder).graph_def
        custom = saved_model.custom_ops(graph)
        name = "native" if custom else "stock"
        facts["precision"] = saved_model.precision_of(graph)
        if custom:
            saved_model.require_library(folder)
            whole = f"{saved_model.NAMESPACE}>InferenceProgram" in custom
            facts["note"] = "" if whole else "native ops layer by layer, not one op"
        elif subject.get("runtime") == "native":
            facts["note"] = "there is no native op in it"
    facts |= {"format": name, "imported": answering.memory()["now"]}
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.signatures[signature]
    ((given, spec),) = answer.structured_input_signature[1].items()
    images = tf.constant(files.noise(subject["batch"], spec.shape[1:]))

    def call(owner=loaded):  # which owns the variables
        for output in answer(**{given: images}).values():
            output.numpy()

    return call, facts


def _write(subject: dict[str, Any]) -> Prepared:
    """Writes what `subject["exports"]` lists: name -> {"folder", "options" of `serving.export`, or "plain"}."""
    import keras

    from kerascnn import data, serving
    from kerascnn.inference.predictor import Predictor

    keras.utils.set_random_seed(0)
    model = _built(subject)
    names = [str(number) for number in range(model.outputs[0].shape[-1])]
    predictor = Predictor.from_model(model, names)
    calibration = None
    if subject["calibration"]:
        calibration = data.load(subject["calibration"], subject["data_dir"], task=predictor.task)
    refused = {}
    for name, export in subject["exports"].items():
        folder, options = export["folder"], export["options"]
        if options.get("quantize") and not options.get("native"):
            options = {**options, "calibration": calibration}
        try:
            if export["plain"]:
                keras.Model(model.inputs[0], model.outputs[0]).export(folder, "tf_saved_model", verbose=False)
            else:
                serving.export(predictor, folder, check=False, **options)
        except InputError as error:
            refused[name] = str(error)
        except Exception as error:  # the others are written all the same; converters' errors are of any kind
            refused[name] = f"{answering.FAILED}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None, {"versions": _versions(), "refused": refused}


_KINDS = {"memory": _memory, "export": _export, "torch_file": files.of_torch, "write": _write}

if __name__ == "__main__":
    answering.answer(prepare)
