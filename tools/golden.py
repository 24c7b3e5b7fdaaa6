"""Records and checks what is known of every network: costs, receptive field, stage shapes and a numeric fingerprint.

    python tools/golden.py --check [NAME ...]     rebuild and compare with kerascnn/applications/facts.json
    python tools/golden.py --record [NAME ...]    write the facts (all by default; those of unknown names are dropped)
    python tools/golden.py --rows                 write kerascnn/applications/rows.json alone, without building anything

`rows.json` repeats what the families say of their networks, so that `list_models` and `model_info` import no family;
`--record` writes it, too.

Parameter counts alone miss a wrong activation or a lost stride; the fingerprint, mean and standard deviation of the
logits for weights and an image drawn by a fixed rule, does not. It uses plain TensorFlow ops.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import keras
import numpy as np

from kerascnn import analysis, applications, ops
from kerascnn._errors import InputError
from kerascnn._files import atomic_write
from kerascnn.applications import _registry

FACTS = Path(applications.__file__).with_name("facts.json")
ROWS = FACTS.with_name("rows.json")
SIZE = 64  # side of the fingerprint's image, unless the network's own input is smaller or has to be larger
TOLERANCE = 1e-4  # of the fingerprint, relative to its standard deviation


def seeded_values(index: int, shape: tuple, name: str, shallow: bool) -> np.ndarray:
    """The value of a variable, from its place in the model alone, so that no initializer matters.

    Kernels are N(0, 2 / fan-in); scales and variances are far from 1 and shifts far from 0, so that each counts.
    Kernels that move the taps of deformable convolutions are a tenth of it, or most taps would leave a small map.

    Args:
        index: place in `model.weights`.
        shape: of the variable.
        name: last part of its path.
        shallow: False shrinks the batch norms' scales, else a thousand residual branches add up to infinity.

    Returns:
        A float32 array.
    """
    rng = np.random.default_rng(index)
    if len(shape) > 1:
        deviation = math.sqrt(2 / math.prod(shape[:-1])) * (0.1 if name == "offset_kernel" else 1.0)
        return (rng.standard_normal(shape) * deviation).astype("float32")
    if name in ("bias", "beta", "moving_mean", "offset_bias"):
        return (rng.standard_normal(shape) * 0.1).astype("float32")
    scale = 0.3 if name == "gamma" and not shallow else 1.0
    return (scale * rng.uniform(0.5, 1.5, shape)).astype("float32")


def seed_weights(model: keras.Model, draw: int = 0) -> None:
    """Sets every weight of the model by `seeded_values`, anew for each `draw`."""
    moving = any(w.path.endswith("offset_kernel") for w in model.weights)  # large features would move taps far away
    shallow = sum(len(w.shape) > 1 for w in model.weights) < 200 and not moving
    for i, w in enumerate(model.weights):  # one at a time, as the largest networks fill the memory
        w.assign(seeded_values(i + 100_000 * draw, tuple(w.shape), w.path.rsplit("/", 1)[-1], shallow))


def fingerprint(model: keras.Model, input_shape: tuple[int, int, int]) -> dict:
    """Mean and standard deviation of the outputs of a model, whose weights it replaces.

    Args:
        model: images [batch, height, width, channels] to logits.
        input_shape: (height, width, channels) of the image.

    Returns:
        {"input": [height, width, channels], "mean": float, "std": float}
    """
    seed_weights(model)
    image = np.random.default_rng(0).standard_normal((1, *input_shape)).astype("float32")
    with ops.native("off"):
        logits = keras.ops.convert_to_numpy(model(image, training=False)).astype("float64")
    return {"input": list(input_shape), "mean": float(logits.mean()), "std": float(logits.std())}


def _build(name: str) -> tuple[keras.Model, bool]:
    """The network with logits, of open input size if it can be; whether it is."""
    channels = applications.model_info(name).input_shape[2]
    try:
        return applications.create_model(name, input_shape=(None, None, channels), classifier_activation=None), True
    except InputError:  # the head flattens, so that another size is another network; this one gives shapes alone
        with keras.StatelessScope(initialize_variables=False):
            return applications.create_model(name, classifier_activation=None), False


def costs(model: keras.Model, name: str, backbone: keras.Model) -> dict:
    """What `kerascnn.analysis` finds at the default input.

    Args:
        model: of the network.
        name: registry name.
        backbone: the same without its head, with the stage outputs as outputs.

    Returns:
        {"params", "params_other", "macs", "activations", "receptive_field"}, the last in pixels, of the last stage.
    """
    shape = applications.model_info(name).input_shape
    cost = analysis.count(model, shape)
    if cost.unknown:
        raise SystemExit(f"{name}: no formula for {', '.join(cost.unknown)}; add it to kerascnn/analysis/formulas.py")
    field = analysis.receptive_field(backbone, shape)
    if field.unknown:
        raise SystemExit(f"{name}: no window for {', '.join(field.unknown)}; add it to kerascnn/analysis/windows.py")
    return {
        "params": cost.params_trainable,
        "params_other": cost.params_other,
        "macs": cost.macs,
        "activations": cost.activations,
        "receptive_field": max(field.size),
    }


def record(name: str) -> dict:
    """Builds a network and measures its row.

    Args:
        name: registry name.

    Returns:
        {..., "input", "stages", "fingerprint"}: `costs`, the default input [h, w, c] and the stage outputs for it.
    """
    info = applications.model_info(name)
    *sizes, channels = info.input_shape
    size = sizes[0] if max(sizes) <= SIZE else max(SIZE, info.min_size)
    size = -(-size // info.size_multiple) * info.size_multiple
    model, any_size = _build(name)
    with keras.StatelessScope(initialize_variables=False):  # weights without values
        backbone = applications.create_model(name, features_only=True)
    stages = backbone.compute_output_shape((1, *info.input_shape))
    row = costs(model, name, backbone)
    if not any_size:
        model = applications.create_model(name, input_shape=(size, size, channels), classifier_activation=None)
    return {
        **row,
        "input": list(info.input_shape),
        "stages": [list(shape[1:]) for shape in stages],
        "fingerprint": fingerprint(model, (size, size, channels)),
    }


def read() -> dict[str, dict]:
    """The recorded rows."""
    return json.loads(FACTS.read_text(encoding="utf-8")) if FACTS.exists() else {}


def differences(recorded: dict, measured: dict) -> list[str]:
    """What differs between two rows of `record`, each as "key: recorded -> measured"."""
    old, new = ({**row, **{f"logits_{k}": v for k, v in row["fingerprint"].items()}} for row in (recorded, measured))
    slack = {key: TOLERANCE * abs(new["logits_std"]) for key in ("logits_mean", "logits_std")}
    found = []
    for key in sorted((old.keys() | new.keys()) - {"fingerprint"}):
        a, b = old.get(key), new.get(key)
        same = abs(a - b) <= slack[key] if key in slack else a == b
        if not same:
            found.append(f"{key}: {a} -> {b}")
    return found


def write(rows: dict[str, dict], path: Path = FACTS) -> None:
    """Writes the rows, one to a line, sorted."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows))
    with atomic_write(path) as file:
        file.write(f"{{\n{lines}\n}}\n")


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="compare; exit status 1 where anything differs")
    mode.add_argument("--record", action="store_true", help="write facts.json and rows.json")
    mode.add_argument("--rows", action="store_true", help="write rows.json alone")
    parser.add_argument("names", nargs="*", help="registry names; all by default")
    arguments = parser.parse_args()
    rows = _registry.rows_of_families()
    known = sorted(rows)
    if not arguments.check:
        write(rows, ROWS)
    if arguments.rows:
        return 0
    facts, wrong = read(), 0
    for name in arguments.names or known:
        row = record(name)
        keras.backend.clear_session()
        found = differences(facts[name], row) if name in facts else ["not recorded"]
        wrong += bool(found)
        print(f"{name}: {'; '.join(found) or 'as recorded'}", flush=True)
        if arguments.record:
            facts[name] = row
            write({key: value for key, value in facts.items() if key in known})
    stray = sorted(facts.keys() - set(known))
    if stray and arguments.check:
        print(f"recorded but not registered: {', '.join(stray)}")
    return int(arguments.check and bool(wrong or stray))


if __name__ == "__main__":
    sys.exit(main())
