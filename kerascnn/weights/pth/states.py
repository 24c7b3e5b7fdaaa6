"""Which part of a checkpoint is the weights: training code saves optimizers, settings and averages beside them."""

from absl import logging

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, shown, sound_name
from kerascnn.weights.pth.tensors import Tensor

# Keys under which training code keeps a state dict, the first that has one counts. Averages over the steps of training
# come first, as in timm: where they were kept, what was published was measured with them.
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "weights", "params")
_DEPTH = 4  # {"model": {"state_dict": ...}}
_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel: how many steps, not a weight
_LISTED = 6


def state_of(content, path) -> dict[str, Tensor]:
    """The tensors of the state dict in a checkpoint, by their names. What was unwrapped is said in the log.

    Args:
        content: what was pickled.
        path: for the log.

    Returns:
        The entries of the state dict that are tensors.

    Raises:
        InputError: there is none.
        Unsafe: a name is empty or does not print.
    """
    keys = _way(content, set(), _DEPTH)
    if keys is None:
        raise InputError(
            f"A PyTorch file must hold a state dict, alone or under {', '.join(WRAPPERS[:4])} or the like "
            f"(docs/weights.md). Received: {_what_it_has(content)} in {shown(path)}"
        )
    beside: list = []
    for key in keys:
        beside += [other for other in content if other != key]
        content = content[key]
    if keys:
        averages = ", averages over the steps of training" if keys[0] in AVERAGES else ""
        logging.warning(
            "Weights in %s are those under %s%s; beside it: %s.", path, ".".join(keys), averages, _listed(beside)
        )
    others = [key for key, value in content.items() if not isinstance(value, Tensor) or key == _COUNTER]
    if others:
        logging.warning("Entries of the state dict in %s that are no weights are left out: %s.", path, _listed(others))
    return {_text(key): value for key, value in content.items() if isinstance(value, Tensor) and key != _COUNTER}


def _way(content, seen: set[int], depth: int) -> tuple[str, ...] | None:
    """The keys that lead to the state dict; each dictionary is looked at once, however often it is repeated."""
    if not isinstance(content, dict) or id(content) in seen or not depth:
        return None
    seen.add(id(content))
    for key in AVERAGES + WRAPPERS:
        rest = _way(content.get(key), seen, depth - 1)
        if rest is not None:
            return (key, *rest)
    return () if any(isinstance(value, Tensor) for value in content.values()) else None


def _what_it_has(content) -> str:
    if isinstance(content, dict):
        return f"the entries {_listed(list(content))}"
    kinds = ((Tensor, "a tensor"), (list, "a list"), (tuple, "a tuple"), (int | float, "a number"), (str, "a text"))
    return next((name for kind, name in kinds if isinstance(content, kind)), "a value")


def _text(key) -> str:
    if not isinstance(key, str):
        raise Unsafe("a parameter whose name is no text")
    return sound_name(key)


def _listed(keys: list) -> str:
    shown = [ascii(key)[1:-1][:40] if isinstance(key, str) else type(key).__name__ for key in keys[:_LISTED]]
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return ", ".join(shown) + more if keys else "nothing"
