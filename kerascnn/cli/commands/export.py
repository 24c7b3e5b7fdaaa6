"""kerascnn export."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import networks, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow
from kerascnn.serving import formats

_PRECISIONS = ("float32", "bfloat16", "float16")
_KINDS = ("none", "int8")


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn export."""
    networks.check("export", values)
    if values["calibrated"] and values["checkpoint"] is None:
        raise InputError("calibrated is for runs, beside which a temperature is kept. Received: no checkpoint")
    _check(values)
    load_tensorflow()
    from kerascnn import inference, serving

    predictor = networks.load(values)
    if values["calibrated"]:
        predictor = inference.calibrated(predictor)
    quantized = {} if values["quantize"] == "none" else _quantized(values, predictor)
    version = serving.export(
        predictor, values["out"], format=values["format"], native=values["native"], precision=values["precision"],
        explain=values["explain"], **quantized,
    )  # fmt: skip
    for text in (f"exported and checked: {version}", str(serving.read_report(version))):
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _check(values: Values) -> None:
    """Refuses what does not go together; cheap, before TensorFlow is loaded."""
    if values["quantize"] == "none":
        given = [name for name in ("calibration", "data_dir") if values[name] is not None]
        if given:
            raise InputError(f"{given[0]} is for --quantize int8. Received: {given[0]}={values[given[0]]}")
        return
    if values["format"] == "saved_model":
        given = [name for name in ("calibration", "data_dir") if values[name] is not None]
        if given:
            raise InputError(f"A SavedModel takes its scales from the numbers as they come. Received: {given[0]}")
        if not values["native"]:
            raise InputError("--quantize int8 of a SavedModel needs --native. Received: native=False")
    elif values["calibration"] is None and values["checkpoint"] is None:
        raise InputError("A network without a run needs --calibration DATA for --quantize int8. Received: none")
    if values["precision"] != "float32":
        raise InputError(f"Give --quantize or --precision, not both. Received: int8 and {values['precision']}")


def _quantized(values: Values, predictor) -> dict:
    """What `serving.export` takes for int8; the images are those of the run unless others are named."""
    from kerascnn import data

    if values["format"] == "saved_model":
        return {"quantize": values["quantize"]}

    recorded = predictor.config.get("data", {})
    name = values["calibration"] or recorded["name"]
    data_dir = values["data_dir"] or (None if values["calibration"] else recorded.get("data_dir"))
    return {
        "quantize": values["quantize"],
        "calibration": data.load(name, data_dir, task=predictor.task),
        "calibration_images": values["calibration_images"],
        "seed": values["seed"],
    }


COMMAND = Command(
    "export",
    "",
    "Writes a SavedModel for TensorFlow Serving, or a file of another format, and checks it.",
    "kerascnn export --checkpoint runs/digits --out exported/digits",
    (
        options.CHECKPOINT,
        *options.NETWORK,
        Flag("out", "folder of the exported model; a new version is added below it"),
        Flag(
            "format", "what is written; all but saved_model need the extra of their name", default="saved_model",
            choices=formats.names(),
        ),
        Flag(
            "explain", "also write the signature explain: a map of Grad-CAM, which the page of kerascnn serve shows",
            bool, False,
        ),
        Flag(
            "precision", "of weights and arithmetic, where the format has it; see docs/serving.md", default="float32",
            choices=_PRECISIONS,
        ),
        Flag(
            "quantize",
            "int8: weights and activations of 8 bits, of litert, onnx and openvino, or of saved_model --native",
            default="none", choices=_KINDS, group="int8",
        ),
        Flag(
            "calibration", "data whose training images tell how large activations are",
            group="int8", placeholder="NAME|FOLDER", unless_given="those of the run",
        ),
        Flag("data_dir", "folder of these data, as for kerascnn train", group="int8", placeholder="FOLDER"),
        Flag("calibration_images", "how many of them", int, 200, low=1, high=2**20, group="int8"),
        Flag("seed", "chooses them", int, 0, low=0, high=2**31 - 1, group="int8"),
        Flag(
            "calibrated", "with the temperature that kerascnn evaluate RUN --calibrate keeps beside a run", bool, False
        ),
        Flag("native", "keep the custom ops, for a server that has them", bool, False),
    ),
    run,
    required=("out",),
    note="The formats, what each can hold, and what int8 costs: docs/serving.md.",
)  # fmt: skip
