"""kerascnn predict."""

import sys

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import networks, options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> int:
    """kerascnn predict; status 1 where some of the images could not be read."""
    networks.check("predict", values, "saved_model")
    if values["calibrated"] and values["checkpoint"] is None:
        raise InputError("calibrated is for runs, beside which a temperature is kept. Received: no checkpoint")
    load_tensorflow()
    from kerascnn import inference

    if values["saved_model"]:
        from kerascnn.serving import formats

        predictor = formats.load(values["saved_model"])
    else:
        predictor = networks.load(values)
    if values["calibrated"]:
        predictor = inference.calibrated(predictor)
    if values["tta"] is not None:
        predictor = inference.with_views(predictor, values["tta"])
    masks = predictor.task == "segmentation"
    if masks != (values["out"] is not None):
        rule = "--out is the folder for the masks of a network for segmentation, and only of one"
        raise InputError(f"{rule}. Received: out={values['out']} for {predictor.task}")
    if masks:
        from kerascnn import evaluation
        from kerascnn.inference.predict_masks import masks_to_json as to_json
        from kerascnn.inference.predict_masks import masks_to_table as to_table

        found = inference.predict_masks(arguments, predictor, values["out"], draw=evaluation.plot_overlay)
    else:
        from kerascnn.inference.predict import to_json, to_table

        found = inference.predict(arguments, predictor, top=values["top"])
    if values["json"]:
        console.print(to_json(found), highlight=False, markup=False, emoji=False, soft_wrap=True)
    else:
        console.print(to_table(found))
        if masks:
            written = f"written: *_mask.png and *_overlay.png in {values['out']}"
            console.print(written, highlight=False, markup=False, emoji=False, soft_wrap=True)
    failed = sum(prediction.error is not None for prediction in found)
    if failed:
        print(f"kerascnn: {failed} of {len(found)} images could not be read", file=sys.stderr)
    return 1 if failed else 0


COMMAND = Command(
    "predict",
    "IMAGE_OR_FOLDER...",
    "Predicts the classes of image files, or of their pixels.",
    "kerascnn predict --checkpoint runs/digits image.png",
    (
        options.CHECKPOINT,
        Flag("saved_model", "or: a folder that kerascnn export wrote, in any format"),
        *options.NETWORK,
        Flag("top", "how many classes to show", int, 5, low=1),
        Flag(
            "calibrated", "with the temperature that kerascnn evaluate RUN --calibrate keeps beside a run", bool, False
        ),
        Flag(
            "tta", "the mean over several views of each image, such as ten_crop; see kerascnn evaluate --help",
            placeholder="VIEWS",
        ),
        Flag("json", "print JSON instead of a table", bool, False),
        Flag("out", "segmentation: folder for the masks and the pictures with the masks drawn over the images"),
    ),
    run,
    positional=(1, None),
)  # fmt: skip
