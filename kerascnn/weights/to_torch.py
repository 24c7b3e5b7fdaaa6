"""From a model here to the state dict that its peer in PyTorch loads: the way back of `load_weights`."""

import importlib
import os
from collections.abc import Mapping

import keras
import numpy as np
from safetensors.numpy import save

from kerascnn._errors import InputError
from kerascnn._files import atomic_write
from kerascnn.surgery.adapters import merged_weights, own_variables, refuse_quantized
from kerascnn.weights.guard import as_path, shown
from kerascnn.weights.inverse_names import inverse
from kerascnn.weights.names import Rules
from kerascnn.weights.torch_layout import to_torch

_PROGRESS = "progress"  # of scheduled drop-path, which no other library has
_LISTED = 8


def save_torch(
    model: keras.Model, path: str | os.PathLike, library: str = "timm", *, names: Mapping[str, Rules] | None = None
) -> None:
    """Writes the weights of a network as the state dict of the same network in a PyTorch library.

    There, `model.load_state_dict(safetensors.torch.load_file(path), strict=True)` takes it, where that model was made
    with the same number of classes and channels, and with or without auxiliary heads as this one.

    Args:
        model: built by a builder of this package, and called after it; or loaded from a file of one.
        path: the `.safetensors` file to write; one that is there is replaced.
        library: "timm" or "torchvision", or another one whose names the family declares.
        names: library -> rules that translate its names into those of this model's layers; by default those of the
            network of the registry that the model is called after.

    Raises:
        InputError: the network has no names in that library, the name of the model is none of the registry, a layer has
            weights that the library's network does not have, or the file cannot be written.

    Example:
        ```python
        import kerascnn

        model = kerascnn.create_model("resnet18", classes=10)
        kerascnn.weights.save_torch(model, "resnet18.safetensors")
        # timm.create_model("resnet18", num_classes=10).load_state_dict(safetensors.torch.load_file(...), strict=True)
        ```
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"The model must be a built keras.Model. Received: {model!r}")
    path = as_path(path)
    if not path.name.endswith(".safetensors"):
        raise InputError(f"The name of the file must end in .safetensors. Received: {shown(path)}")
    refuse_quantized(model, "Weights are written for PyTorch")
    known = _names_of(model) if names is None else names
    known = {key: rules for key, rules in known.items() if key not in ("keras", "tensorflow")}
    if library not in known:
        raise InputError(
            f"The network must be one that the library has; names of {model.name} are known for "
            f"{', '.join(known) or 'none'}. Received: library={str(library)[:80]!r}"
        )
    state = state_dict(model, known[library], library)
    try:
        with atomic_write(path, "wb") as file:  # the library's own writing leaves files that only their owner may read
            file.write(save(state, metadata={"format": "pt"}))
    except OSError as error:
        raise InputError(f"The file cannot be written ({error.strerror or error}). Received: {shown(path)}") from error


def state_dict(model: keras.Model, rules: Rules, library: str) -> dict[str, np.ndarray]:
    """The entries of a state dict, in the order of the model's layers.

    Args:
        model: a built model.
        rules: what the library's names are called here.
        library: its name.

    Returns:
        Name -> array, contiguous.

    Raises:
        InputError: layers with weights have no name in the library.
    """
    state: dict[str, np.ndarray] = {}
    nameless = []
    for layer in model.layers:
        variables = own_variables(layer)
        if not variables or layer.name == _PROGRESS:
            continue
        module = next(iter(inverse(rules, layer.name)), None)
        if module is None:
            nameless.append(layer.name)
            continue
        values = dict(zip((variable.name for variable in variables), merged_weights(layer), strict=True))
        for entry, array in to_torch(layer, values, module, library, layer.name in getattr(rules, "layers", ())):
            state[entry] = np.array(array, order="C")
    if nameless:
        more = f" and {len(nameless) - _LISTED} more" if len(nameless) > _LISTED else ""
        raise InputError(
            f"Every layer of {model.name} with weights must have a name in {library}. "
            f"Received: {', '.join(nameless[:_LISTED])}{more}"
        )
    return state


def _names_of(model: keras.Model) -> Mapping[str, Rules]:
    """The names of the network that the model is called after.

    `applications` knows them, which is built upon this package; it is asked when it is needed.
    """
    registry = importlib.import_module("kerascnn.applications._registry")
    if model.name not in registry.builders().values():
        raise InputError(
            "The model must be called after its network, as builders do (kerascnn.list_models()), or names must be "
            f"given. Received: {model.name}"
        )
    return registry.library_names(model.name)
