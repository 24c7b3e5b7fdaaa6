"""The docstring of a builder, from its row; options of a family are described here once."""

from kerascnn.applications._registry import ModelInfo

_OPTIONS = {
    "alpha": "factor on all widths, positive, as in `keras.applications`.",
    "auxiliary_heads": "with auxiliary heads on inner layers, which add to the loss in training and are\n"
    "            absent from inference; see `kerascnn.models.AuxiliaryModel`.",
    "depth_multiplier": "outputs of a depthwise convolution for each channel, at least 1, as in\n"
    "            `keras.applications`.",
    "drop_path_rate": "probability of skipping the last block's residual branch, per sample, in training; it grows\n"
    "            linearly from 0 at the first block (at least 0, below 1). In networks of cells, of dropping a path\n"
    "            of the last cell at the end of training; it grows with time, see `kerascnn.layers.ScheduledDropPath`.",
    "dropout_rate": "probability of dropping a unit, in training (at least 0, below 1).",
    "output_stride": "8, 16 or 32: input size / size of the last map; below 32 the last stages keep their size and\n"
    "            dilate their convolutions instead of striding.",
}

_TEMPLATE = """{builder}, registered as `{name}`; its weights are random unless `weights` says otherwise.

    Args:
        include_top: with the classifying head.
        weights: None: random; a tag of `model_info("{name}").weights`, "imagenet" for the one among them that is
            marked default; or the path of a `.weights.h5` or `.keras` file, or of a PyTorch state dict as
            `.safetensors`, `.pth`, `.pt`, `.bin` or `.ckpt`. A tag brings its own preprocessing and usual size. With
            another number of classes than the file's the head stays random; with another number of input channels the
            first convolution is adapted.
        input_tensor: a Keras tensor [batch, height, width, channels] to build upon, instead of a new input.
        input_shape: (height, width, channels), each side at least {min_size}{multiple}. By default {input_shape}{bare};
            sizes {size_rule}.
        pooling: without the head: None for the last map [batch, h, w, c], "avg" or "max" for its global pool
            [batch, c].
        classes: number of classes; 0: the outputs are the list of stage outputs.
        classifier_activation: activation of the head; None for logits, which are float32 under mixed precision.
        name: name of the model.
{options}
    Returns:
        A functional `keras.Model`: images [batch, height, width, channels], preprocessed as by
        `model_info("{name}").preprocess`, to probabilities {outputs}.

    Raises:
        InputError: an argument breaks one of the rules above, or the weights do not fit.

    Source:
        {paper}
    """


def builder_docstring(info: ModelInfo, options: list[str], fixed_size: bool = False) -> str:
    """The docstring of one builder.

    Args:
        info: its row.
        options: names of the family's options.
        fixed_size: the head needs a known input size.

    Returns:
        Text in the style of this package.
    """
    lines = [f"        {key}: {_OPTIONS[key]}\n" for key in options]
    rule = "must be known" if info.known_size else "must be known with the head" if fixed_size else "may be None"
    return _TEMPLATE.format(
        builder=info.builder,
        name=info.name,
        min_size=info.min_size,
        input_shape=info.input_shape,
        multiple=f" and a multiple of {info.size_multiple}" if info.size_multiple > 1 else "",
        bare="" if info.known_size else f" with\n            the head, (None, None, {info.input_shape[2]}) without",
        size_rule=rule,
        outputs="[batch, classes]" if info.task == "classification" else "[batch, height, width, classes]",
        options="".join(lines),
        paper=info.paper,
    )
