"""Networks of cells: the two cells on their inputs, stacked.

Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, 2017, arXiv:1707.07012.
A network is stages of cells. A reduction cell begins a stage; a network for small images begins with normal cells.
"""

import functools
from collections.abc import Callable, Sequence

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.cells import operations
from kerascnn.cells.genotype import Cell, Genotype
from kerascnn.cells.operations import Value
from kerascnn.cells.style import Style


def apply_cell(
    cell: Cell,
    one: Value,
    two: Value,
    filters: int,
    stride: int,
    style: Style,
    drop: Callable | None = None,
    *,
    name: str,
) -> Value:
    """A cell.

    Args:
        cell: what it computes.
        one: output of the cell before, matched here to `filters` channels.
        two: output of the cell before that, also matched to the size of `one`, which may be half of its own.
        filters: channels of the nodes.
        stride: 1, or 2 for a reduction: of the operations on c1 and c2.
        style: conventions of the paper.
        drop: `drop(x, name=...)` for the path of each operation that is no identity; None: nothing.
        name: its layers are called `name`_c1_conv, `name`_n1a_conv1, ..., and the output `name`_out.

    Returns:
        The values of the concat, side by side.
    """
    level = one.level + (stride > 1)
    values = {"c1": _newest(one, filters, style, name=f"{name}_c1"), "c2": _older(one, two, filters, style, name=name)}
    for number, node in enumerate(cell.nodes, 1):
        terms = []
        for letter, term in zip("abcdefghijklmnopqrstuvwxyz", node, strict=False):
            if term.operation == "zero":
                continue
            value, path = values[term.source], f"{name}_n{number}{letter}"
            step = stride if term.source in ("c1", "c2") else 1
            x = operations.APPLY[term.operation](value, filters, step, style, name=path)
            if drop is not None and term.operation != "identity":
                x = drop(x, name=f"{path}_drop_path")
            terms.append(x)
        node_name = f"{name}_n{number}"
        x = keras.layers.Add(name=node_name)(terms) if len(terms) > 1 else terms[0]
        values[f"n{number}"] = Value(x, level, node_name)
    outputs = []
    for key in cell.concat:
        value = values[key]
        if value.level < level:  # an input of a reduction cell
            x = operations.factorized_reduction(value.x, filters, style, name=f"{name}_{key}_out")
        elif value.channels != filters:
            x = operations.conv_bn(value.x, filters, style, name=f"{name}_{key}_out")
        else:
            x = value.x
        outputs.append(x)
    join = keras.layers.Concatenate if len(outputs) > 1 else keras.layers.Identity
    out = join(name=f"{name}_out")(outputs if len(outputs) > 1 else outputs[0])
    return Value(out, level, f"{name}_out")


def _newest(one: Value, filters, style, *, name):
    """ReLU, 1x1, BN; called `name`_conv, `name`_bn."""
    if style.match_newest and one.channels != filters:
        one = Value(operations.conv_bn(one.relu, filters, style, name=f"{name}_match"), one.level, f"{name}_match")
    return Value(operations.conv_bn(one.relu, filters, style, name=name), one.level, name)


def _older(one: Value, two: Value, filters, style, *, name):
    """A factorized reduction where `two` is the larger map, ReLU, 1x1, BN where its channels differ."""
    name = f"{name}_c2"
    if two.level < one.level:
        return Value(operations.factorized_reduction(two.relu, filters, style, name=name), one.level, name)
    if two is not one and (style.match_always or two.channels != filters):
        return Value(operations.conv_bn(two.relu, filters, style, name=name), one.level, name)
    return two


class Stack:
    """Builds a network cell by cell.

    Args:
        image: Keras tensor of the image, which ties the schedule of drop-path to the network.
        genotype: the two cells.
        style: conventions of the paper.
        cells: number of all cells, which drop-path needs.
        drop_path_rate: probability that the last cell's paths are dropped at the end of training; it grows linearly
            with the number of the cell, unless the style says otherwise.

    A reduction cell begins a stage; the layers of a cell are called stage1_cell1_..., counted from 1.
    """

    def __init__(
        self, image: keras.KerasTensor, genotype: Genotype, style: Style, cells: int, drop_path_rate: float = 0.0
    ):
        self.genotype, self.style, self.cells, self.rate = genotype, style, cells, drop_path_rate
        self.progress = layers.Progress(name="progress")(image) if drop_path_rate else None
        self.stages, self.made, self.number = [], 0, 0

    def start(self, last: Value, before: Value | None = None, *, stage: bool = True) -> None:
        """Sets the inputs of the first cell.

        Args:
            last: read as c1.
            before: read as c2; None: there is no older value than `last`, see `Style.raw_start`.
            stage: the first cell belongs to a stage; False: it is a reduction cell and begins one.
        """
        if before is None:  # as two values the same tensor is matched twice
            before = last if self.style.raw_start else Value(last.x, last.level, f"{last.name}_again")
        self.last, self.before, self.skipped = last, before, None
        if stage:
            self.stages.append(last)

    def normal(self, filters: int) -> Value:
        """Adds a normal cell with nodes of `filters` channels; its output."""
        before, self.skipped = self.skipped or self.before, None
        return self._add(self.genotype.normal, filters, 1, before)

    def reduce(self, filters: int, *, skip: bool = False) -> Value:
        """Adds a reduction cell; its output.

        Args:
            filters: channels of the nodes.
            skip: the next normal cell reads as c2 not this cell's input, but what came before it.
        """
        self.skipped = self.before if skip else None
        self.stages.append(None)
        self.number = 0
        return self._add(self.genotype.reduce, filters, 2, self.before)

    def outputs(self, *, relu: bool = True) -> list:
        """Keras tensors, the last of each stage; `relu`: the very last ends in a ReLU called final_relu."""
        found = [value.x for value in self.stages]
        return [*found[:-1], operations.relu(found[-1], name="final_relu") if relu else found[-1]]

    def _add(self, cell, filters, stride, before):
        self.made, self.number = self.made + 1, self.number + 1
        rate = self.rate * self.made / self.cells if self.style.drop_by_depth else self.rate
        drop = functools.partial(self._drop, rate=rate) if self.rate else None
        name = f"stage{len(self.stages)}_cell{self.number}"
        made = apply_cell(cell, self.last, before, filters, stride, self.style, drop, name=name)
        self.before, self.last = self.last, made
        self.stages[-1] = made
        return made

    def _drop(self, x, *, rate, name):
        return layers.ScheduledDropPath(rate, name=name)([x, self.progress])


def stem(x: keras.KerasTensor, filters: int, style: Style, *, stride: int = 1) -> Value:
    """3x3 convolution called stem_conv, with stride 2 without padding; batch norm called stem_bn.

    Args:
        x: Keras tensor [batch, h, w, channels].
        filters: of the convolution.
        style: how the family writes its layers.
        stride: 1 or 2.

    Returns:
        The value that cells read.
    """
    options = {"use_bias": False, "kernel_initializer": style.initializer(), "name": "stem_conv"}
    x = layers.PlainConv2D(filters, 3, stride, "same" if stride == 1 else "valid", **options)(x)
    return Value(operations.batch_norm(x, style, name="stem_bn"), 0, "stem")


def small_features(
    x: keras.KerasTensor,
    genotype: Genotype,
    style: Style,
    stages: Sequence[int],
    filters: int,
    *,
    stem_filters: int,
    drop_path_rate: float = 0.0,
    relu: bool = True,
) -> list:
    """A network of cells for small images.

    Args:
        x: Keras tensor [batch, h, w, channels].
        genotype: the cells.
        style: conventions of the paper.
        stages: number of cells of each stage; the first of each but the first stage is a reduction cell.
        filters: F, channels of the first stage's nodes; twice as many in each further stage.
        stem_filters: of the 3x3 convolution before the cells.
        drop_path_rate: of scheduled drop-path.
        relu: the last stage ends in a ReLU.

    Returns:
        Stage outputs [b, h, w, c], [b, h/2, w/2, 2c], ...
    """
    stack = Stack(x, genotype, style, sum(stages), drop_path_rate)
    stack.start(stem(x, stem_filters, style))
    _add_stages(stack, stages, filters)
    return stack.outputs(relu=relu)


def large_features(
    x: keras.KerasTensor,
    genotype: Genotype,
    style: Style,
    stages: Sequence[int],
    filters: int,
    *,
    stem_filters: int,
    skip: bool = False,
    drop_path_rate: float = 0.0,
) -> list:
    """A network of cells for ImageNet: after a strided convolution two reduction cells of F/4 and F/2 filters.

    Args:
        x: Keras tensor [batch, h, w, channels].
        genotype: the cells.
        style: conventions of the paper.
        stages: number of cells of each stage after the stem; the first of each but the first is a reduction cell.
        filters: F, channels of the first of these stages' nodes; twice as many in each further one.
        stem_filters: of the 3x3/2 convolution.
        skip: see `Stack.reduce`; of the reduction cells after the stem.
        drop_path_rate: of scheduled drop-path.

    Returns:
        Stage outputs [b, h/4, w/4, c/4], [b, h/8, w/8, c], [b, h/16, w/16, 2c], ...
    """
    stack = Stack(x, genotype, style, 2 + sum(stages), drop_path_rate)
    stack.start(stem(x, stem_filters, style, stride=2), stage=False)
    stack.reduce(int(filters / 4))
    stack.reduce(int(filters / 2))
    _add_stages(stack, stages, filters, skip=skip)
    return stack.outputs()


def _add_stages(stack: Stack, stages: Sequence[int], filters: int, *, skip: bool = False) -> None:
    for stage, cells in enumerate(stages):
        for i in range(cells):
            if stage and i == 0:
                stack.reduce(filters * 2**stage, skip=skip)
            else:
                stack.normal(filters * 2**stage)


def auxiliary_head(
    x: keras.KerasTensor,
    classes: int,
    activation: str | None,
    style: Style,
    *,
    stride: int = 3,
    last_norm: bool = True,
    padding: str = "valid",
    use_bias: bool = True,
) -> keras.KerasTensor:
    """The auxiliary head of a network of cells.

    ReLU, mean 5x5, 1x1 to 128, BN, ReLU, convolution as large as the map to 768, BN, ReLU, global mean, dense
    `aux_head`.

    Args:
        x: Keras tensor [batch, h, w, channels] of known sizes of at least 5.
        classes: number of classes.
        activation: of the outputs.
        style: conventions of the paper.
        stride: of the mean.
        last_norm: with the second batch norm.
        padding: of the large convolution, "valid" or "same".
        use_bias: of the dense layer.

    Returns:
        [batch, classes], in float32 under mixed precision.

    Raises:
        InputError: the size is unknown or too small.
    """
    sizes = x.shape[1:3]
    if None in sizes or min(sizes) < 5:
        raise InputError(f"auxiliary_heads needs a map of known size, at least 5 by 5, there. Received: {x.shape}")
    x = operations.relu(x, name="aux_relu")
    x = keras.layers.AveragePooling2D(5, stride, name="aux_pool")(x)
    x = operations.conv_bn(x, 128, style, name="aux1")
    x = operations.relu(x, name="aux1_relu")
    options = {"use_bias": False, "kernel_initializer": style.initializer(), "name": "aux2_conv"}
    x = layers.PlainConv2D(768, tuple(x.shape[1:3]), padding=padding, **options)(x)
    x = operations.batch_norm(x, style, name="aux2_bn") if last_norm else x
    x = operations.relu(x, name="aux2_relu")
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="aux_global_pool")(x)
    return keras.layers.Dense(classes, activation, use_bias=use_bias, dtype=dtype, name="aux_head")(x)


def auxiliary_on(stage: str) -> Callable:
    """The auxiliary head on the output of a stage, in the style of the row that is built, for `Family(auxiliary=)`.

    Args:
        stage: name of the layer, such as "stage3"; the next stage begins with a reduction cell.

    Returns:
        `auxiliary(output_of, classes, activation, spec) -> [outputs]`; `spec.style` is the style.
    """

    def auxiliary(output_of, classes, activation, spec):
        return [auxiliary_head(output_of(stage), classes, activation, spec.style)]

    return auxiliary
