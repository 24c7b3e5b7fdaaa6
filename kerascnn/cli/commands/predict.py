"""kerascnn predict."""

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import options
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn predict."""
    if (values["checkpoint"] is None) == (values["saved_model"] is None):
        raise InputError("kerascnn predict needs either --checkpoint or --saved_model. Received: both or neither")
    load_tensorflow()
    if values["saved_model"]:
        from kerascnn.inference import saved_model as saved_models

        task = saved_models.task_of(values["saved_model"])
        described: Values = {"saved_model": values["saved_model"]}
    else:
        from kerascnn.inference import checkpoint

        loaded = checkpoint.load(values["checkpoint"])
        task = loaded.task
        described = {
            "checkpoint_model": loaded.model,
            "class_names": loaded.class_names,
            "preprocessing": loaded.preprocessing,
            "input_shape": loaded.input_shape,
        }
    if (task == "segmentation") != (values["out"] is not None):
        rule = "--out is the folder for the masks of a network for segmentation, and only of one"
        raise InputError(f"{rule}. Received: out={values['out']} for {task}")
    if task == "segmentation":
        from kerascnn.inference.predict_masks import masks_to_json, masks_to_table, predict_masks

        found = predict_masks(arguments, values["out"], **described)
        shown = masks_to_json(found) if values["json"] else masks_to_table(found)
    else:
        from kerascnn.inference.predict import predict, to_json, to_table

        predictions = predict(arguments, top=values["top"], **described)
        shown = to_json(predictions) if values["json"] else to_table(predictions)
    if values["json"]:
        console.print(shown, highlight=False, markup=False, soft_wrap=True)
        return
    console.print(shown)
    if task == "segmentation":
        written = f"written: *_mask.png and *_overlay.png in {values['out']}"
        console.print(written, highlight=False, markup=False, soft_wrap=True)


COMMAND = Command(
    "predict",
    "IMAGE_OR_FOLDER...",
    "Predicts the classes of image files, or of their pixels.",
    "kerascnn predict --checkpoint runs/digits image.png",
    (
        options.CHECKPOINT,
        Flag("saved_model", "or: a folder that kerascnn export wrote"),
        Flag("top", "how many classes to show", int, 5, low=1),
        Flag("json", "print JSON instead of a table", bool, False),
        Flag("out", "segmentation: folder for the masks and the pictures with the masks drawn over the images"),
    ),
    run,
    positional=(1, None),
)
