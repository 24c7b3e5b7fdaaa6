"""What the process is set to, checked before it can be silently wrong: Keras' backend and its formats."""

import json
import os
import sys
from typing import Any

from kerascnn._errors import InputError

_LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
_NATIVE = ("auto", "require", "off")  # kerascnn.ops' modes
_LARGEST = 2**20  # bytes; keras.json has a hundred


def check_environment(strict: bool = False) -> None:
    """Refuses a Keras that is set up for another backend or layout than ours, before or after it is imported.

    Cheap: imports nothing. What Keras holds counts once it is imported; before that KERAS_BACKEND and keras.json do.

    Args:
        strict: refuse another default type than float32, Keras' debugging limits and unknown modes of the native ops,
            too, as the command line does.

    Raises:
        InputError: the backend is not TensorFlow, images are channels_first, or keras.json cannot be used.
    """
    settings, origin = _settings()
    rules = {
        "backend": ("tensorflow",),
        "image_data_format": ("channels_last",),
        "floatx": ("float32",) if strict else ("float32", "float16", "float64"),
    }
    for name, allowed in rules.items():
        value, where = settings.get(name, allowed[0]), origin
        if name == "backend" and os.environ.get("KERAS_BACKEND") and origin != "Keras":
            value, where = os.environ["KERAS_BACKEND"], "KERAS_BACKEND"
        if value not in allowed:
            wanted = " or ".join(allowed)
            raise InputError(f"kerascnn needs Keras' {name} to be {wanted}. Received: {str(value)[:80]!r} in {where}")
    native = os.environ.get("KERASCNN_NATIVE") or _NATIVE[0]
    if strict and native not in _NATIVE:
        raise InputError(f"KERASCNN_NATIVE must be one of {', '.join(_NATIVE)}. Received: {native[:80]!r}")
    for name in _LIMITS if strict else ():
        if os.environ.get(name):
            raise InputError(f"{name} would cut the training short; unset it. Received: {os.environ[name][:80]!r}")


def _settings() -> tuple[dict[str, Any], str]:
    """Backend, layout and type, and where they stand; nothing where Keras takes its defaults."""
    config = getattr(sys.modules.get("keras"), "config", None)
    if hasattr(config, "image_data_format"):  # imported whole
        names = ("backend", "image_data_format", "floatx")
        return {name: getattr(config, name)() for name in names}, "Keras"
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    path = os.path.expanduser(os.path.join(home, "keras.json"))
    if not os.path.exists(path):
        return {}, path
    if not os.path.isfile(path):
        raise InputError(f"Keras' settings must be a file. Received: {path}")
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST)
    except OSError as error:
        raise InputError(f"Keras' settings cannot be read ({error.strerror}). Received: {path}") from error
    try:
        settings = json.loads(text)
    except ValueError:  # Keras takes its defaults then
        return {}, path
    except RecursionError as error:
        raise InputError(f"Keras' settings are damaged (nested too deep). Received: {path}") from error
    if not isinstance(settings, dict):
        raise InputError(f"Keras' settings must be a JSON object. Received: {type(settings).__name__} in {path}")
    epsilon = settings.get("epsilon", 1e-7)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise InputError(f"Keras' epsilon must be a small positive number. Received: {str(epsilon)[:80]} in {path}")
    return settings, path
