"""Run as a script by `check`: a SavedModel answers requests in a process that can import neither kerascnn nor keras.

    python _fresh_process.py MODEL_DIR LIBRARY|- SIGNATURE INPUT OUTPUT [SIGNATURE INPUT OUTPUT]...

Exit status: 0 done; 4 a forbidden module was imported; any other: Python's traceback says why.
"""

import importlib.util
import sys
from pathlib import Path

_FORBIDDEN = ("kerascnn", "keras", "tf_keras")


def _tensor_file():
    """The sibling module, loaded by its path because its package must not be imported."""
    spec = importlib.util.spec_from_file_location("_tensor_file", Path(__file__).with_name("_tensor_file.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: list[str]) -> int:
    """Loads the model, runs each request, writes all outputs by name."""
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    sys.modules.update(dict.fromkeys(_FORBIDDEN))  # None there is how Python is told that there is no such module
    import tensorflow as tf

    tensor_file = _tensor_file()
    folder, library, *requests = arguments
    if library != "-":
        tf.load_op_library(library)
    signatures = tf.saved_model.load(folder).signatures
    for name, source, target in zip(*[iter(requests)] * 3, strict=True):
        feeds = {key: tf.constant(value) for key, value in tensor_file.read_tensors(source).items()}
        outputs = {key: value.numpy() for key, value in signatures[name](**feeds).items()}
        tensor_file.write_tensors(target, outputs)
    found = sorted(name for name, module in sys.modules.items() if module and name.split(".")[0] in _FORBIDDEN)
    if found:
        sys.stderr.write(f"modules that must not be needed were imported: {', '.join(found[:5])}\n")
    return 4 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
