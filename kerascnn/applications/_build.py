"""What every builder shares: arguments, input checks, head, pooling, stage outputs, `weights=` and the docstring.

A family calls `Family(...)` once, then declares each network in a line: `ResNet50 = _family("ResNet50", "resnet50")`.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, Preprocessing
from kerascnn.applications import _docs, _registry
from kerascnn.applications._published import as_published, load_published, published_row, twin
from kerascnn.layers.preprocessing import ImageInput, StageOutput
from kerascnn.models import AuxiliaryModel, DeepModel, deep_recursion
from kerascnn.weights import cache, catalogue, load_weights
from kerascnn.weights.names import Ordered as Ordered
from kerascnn.weights.names import Ranked as Ranked

_KERAS_ARGUMENTS = {  # the signature of keras.applications, except that weights=None is the default
    "include_top": True,
    "weights": None,
    "input_tensor": None,
    "input_shape": None,
    "pooling": None,
    "classes": 1000,
    "classifier_activation": "softmax",
    "name": None,
}
_DEEP = 700  # layers; Keras walks a graph with one Python frame per layer in depth, of which there are 1,000


def pooled_head(x: keras.KerasTensor, classes: int, activation: Any, *, dropout_rate: float = 0.0) -> keras.KerasTensor:
    """Global average pool, dropout, dense: [batch, h, w, c] -> [batch, classes], in float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    if dropout_rate:
        x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
    return dense_head(x, classes, activation)


def dense_head(x: keras.KerasTensor, classes: int, activation: Any) -> keras.KerasTensor:
    """The last dense layer, [batch, c] -> [batch, classes], called `head`; float32 under mixed precision."""
    uniform = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")  # U(±1/sqrt(c)), [fb]
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation, kernel_initializer=uniform, dtype=dtype, name="head")(x)


class Family:
    """Makes the public builders of one family module and registers their rows.

    Arguments that are said to be facts are values, or functions `spec -> value` where they follow from the row that is
    built, so that another row than the network's own (`create_model(spec=)`) has its own facts.

    Args:
        module: the family's `__name__`.
        features: `features(x, spec, *, option=default, ...) -> list of stage outputs`; its keyword-only arguments are
            the family's options, and the last output is what the head sees. Where the head sees something else, a
            class token or several maps: `-> (list of stage outputs, what the head sees)`.
        variants: registry name -> row (a frozen dataclass).
        paper: authors, title, year, arXiv number.
        preprocessing: fact: what is done to pixels before the network.
        recipe: default training recipe, a name in `kerascnn.training.recipes`.
        input_shape: fact: default (height, width, channels).
        min_size: fact: the smallest height and width.
        classes: default number of classes.
        head: `head(x, classes, activation, *, option=default, ...) -> outputs`; as for `features`, its keyword-only
            arguments are options. It may take the row as `spec` after `activation`. `pooled_head` by default.
        fixed_size: the head flattens the map, so that the input size must be known; else it may be None.
        known_size: the size must be known without the head too, as where positions have weights.
        size_multiple: fact: height and width must be multiples of it, as where an image is cut into patches.
        task: "classification", outputs [batch, classes]; or "segmentation", [batch, height, width, classes].
        weight_decay: the L2 coefficient of the published training; None: that of the recipe.
        auxiliary: `auxiliary(output_of, classes, activation, spec) -> outputs` of the auxiliary heads, where
            `output_of("name")` is the output of a layer, `output_of("image")` the input; gives the builders the option
            `auxiliary_heads`.
        auxiliary_weights: factors of their losses, one each.
        names: library ("torchvision", "timm", "keras") -> what its layers are called here, see
            `kerascnn.weights.translate`, or a function of the network's row that returns it.
    """

    def __init__(
        self,
        module: str,
        *,
        features: Callable,
        variants: Mapping[str, Any],
        paper: str,
        preprocessing: Preprocessing | Callable[[Any], Preprocessing],
        recipe: str = "imagenet",
        input_shape: tuple[int, int, int] | Callable[[Any], tuple[int, int, int]] = (224, 224, 3),
        min_size: int | Callable[[Any], int] = 32,
        classes: int = 1000,
        head: Callable = pooled_head,
        fixed_size: bool = False,
        known_size: bool = False,
        size_multiple: int | Callable[[Any], int] = 1,
        task: str = "classification",
        weight_decay: float | None = None,
        auxiliary: Callable | None = None,
        auxiliary_weights: tuple[float, ...] = (),
        names: Mapping[str, Any] | None = None,
    ):
        self.module, self.name = module, module.rpartition(".")[2]
        self.features, self.head, self.variants = features, head, variants
        self.paper, self.recipe, self.classes, self.task = paper, recipe, classes, task
        self.fixed_size, self.known_size = fixed_size, known_size
        self.facts = {"preprocessing": preprocessing, "input_shape": input_shape, "min_size": min_size,
                      "size_multiple": size_multiple}  # fmt: skip
        self.weight_decay, self.names = weight_decay, names or {}
        self.auxiliary, self.auxiliary_weights = auxiliary, auxiliary_weights
        self.feature_options, self.head_options = _options(features), _options(head)

    def __call__(
        self,
        builder: str,
        name: str,
        *,
        reported: str = "",
        reconstructed: bool = False,
        input_shape: tuple[int, int, int] | None = None,
        classes: int | None = None,
        preprocessing: Preprocessing | None = None,
        **defaults: Any,
    ) -> Callable[..., keras.Model]:
        """Makes and registers one builder.

        Args:
            builder: its CamelCase name.
            name: its registry name, a key of `variants`.
            reported: the published error, as text with its conditions.
            reconstructed: the source leaves a detail open which was filled in.
            input_shape, classes, preprocessing: those of this network, where they are not the family's.
            **defaults: defaults of the family's options that differ for this network.

        Returns:
            The builder, a function with the signature of `keras.applications` followed by the family's options.
        """
        spec = self.variants[name]
        options = {**self.feature_options, **self.head_options}
        if self.auxiliary:
            options["auxiliary_heads"] = False
        if not defaults.keys() <= options.keys():
            raise InputError(f"The options of {self.name} are {sorted(options)}. Received: {sorted(defaults)}")
        classes = self.classes if classes is None else classes
        arguments = {**_KERAS_ARGUMENTS, "classes": classes, "name": name, **options, **defaults}
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        signature = inspect.Signature(
            [
                inspect.Parameter(key, positional if key in _KERAS_ARGUMENTS else inspect.Parameter.KEYWORD_ONLY,
                                  default=value)
                for key, value in arguments.items()
            ]
        )  # fmt: skip
        own = {"preprocessing": preprocessing, "input_shape": input_shape}
        facts = {**self.facts, **{key: value for key, value in own.items() if value is not None}}

        def facts_of(row):
            return {key: fact(row) if callable(fact) else fact for key, fact in facts.items()}

        info = _registry.ModelInfo(
            name=name,
            builder=builder,
            family=self.name,
            paper=self.paper,
            params=None,
            macs=None,
            known_size=self.known_size,
            task=self.task,
            classes=classes,
            recipe=self.recipe,
            weight_decay=self.weight_decay,
            weights=catalogue.tags(name),
            reported=reported,
            reconstructed=reconstructed,
            spec=spec,
            **facts_of(spec),
        )

        def info_of(row):
            if type(row) is not type(spec):
                raise InputError(f"The spec of {name} must be a {type(spec).__qualname__}. Received: {row!r}")
            return dataclasses.replace(info, spec=row, **facts_of(row))

        def build(*args, **kwargs):
            return from_spec(spec, *args, **kwargs)

        def from_spec(row, *args, **kwargs):
            own = info_of(row)
            unknown = sorted(kwargs.keys() - arguments.keys())
            if unknown:
                raise InputError(f"The arguments of {builder} are {', '.join(arguments)}. Received: {unknown[0]}")
            if len(args) > len(_KERAS_ARGUMENTS):
                raise InputError(
                    f"{builder} takes at most {len(_KERAS_ARGUMENTS)} arguments by position, "
                    f"{', '.join(_KERAS_ARGUMENTS)}. Received: {len(args)}"
                )
            bound = signature.bind(*args, **kwargs)
            published = published_row(own, bound.arguments.get("weights"))
            if published is not None and published.network != name:
                return twin(published, spec, row)(**{**bound.arguments, "weights": published.tag})
            if published is not None:
                own = as_published(own, published)
                bound.arguments.setdefault("classes", published.classes or classes)
            bound.apply_defaults()
            with deep_recursion():
                return self._build(own, published, **bound.arguments)

        build.info_of = info_of
        build.from_spec = from_spec
        build.names = self.names
        build.features = functools.partial(self.features, spec=spec)
        build.__name__ = build.__qualname__ = builder
        build.__module__ = self.module
        build.__signature__ = signature
        build.__doc__ = _docs.builder_docstring(info, list(options), self.fixed_size)
        _registry.register(info, build)
        return build

    def _build(
        self,
        info: _registry.ModelInfo,
        published: catalogue.Weights | None,
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
        name,
        **options,
    ) -> keras.Model:
        if not isinstance(classes, int) or isinstance(classes, bool) or classes < 0:
            raise InputError(f"classes must be a whole number, 0 for the stage outputs. Received: {classes!r}")
        if pooling not in (None, "avg", "max"):
            raise InputError(f'pooling must be None, "avg" or "max". Received: {pooling!r}')
        _check_options(options)
        with_head = include_top and classes > 0
        if options.get("auxiliary_heads") and not with_head:
            raise InputError(
                "auxiliary_heads=True needs the head. Received: "
                f"include_top={include_top}, classes={classes}, auxiliary_heads=True"
            )
        path = weights if published is None else cache.obtain(published)  # before the network, which takes longer
        x = self._input(info, input_tensor, input_shape, with_head)
        made = self.features(x, info.spec, **{key: options[key] for key in self.feature_options})
        stages, seen = made if isinstance(made, tuple) else (made, None)
        # Stage outputs are called stage1, stage2, ... in every network, whatever layer they come from.
        stages = [StageOutput(info.preprocessing, name=f"stage{i}")(stage) for i, stage in enumerate(stages, 1)]
        inputs = keras.utils.get_source_inputs(x if input_tensor is None else input_tensor)
        inputs = inputs[0] if len(inputs) == 1 else inputs
        if classes == 0:
            outputs = stages
        elif with_head:
            seen = stages[-1] if seen is None else _marked(seen, x, info)
            outputs = self._head(seen, classes, classifier_activation, info.spec, options)
        else:
            pool = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}.get(pooling)
            outputs = pool(name=f"{pooling}_pool")(stages[-1]) if pool else stages[-1]
        if with_head and options.get("auxiliary_heads"):
            trunk = keras.Model(inputs, stages)

            def output_of(layer):
                return x if layer == "image" else trunk.get_layer(layer).output

            more = self.auxiliary(output_of, classes, classifier_activation, info.spec)
            factors = self.auxiliary_weights
            model = AuxiliaryModel(inputs, [outputs, *more], name=name or info.name, auxiliary_weights=factors)
        else:
            model = keras.Model(inputs, outputs, name=name or info.name)
            if len(model.layers) > _DEEP:
                model = DeepModel(inputs, outputs, name=name or info.name)
        if classes == 0:
            model.feature_strides = feature_strides(model)
        if path is not None:
            names = {key: rules(info.spec) if callable(rules) else rules for key, rules in self.names.items()}
            if published is None:
                load_weights(model, path, names, alike=_registry.alike(info))
            else:
                load_published(model, published, path, names)
        return model

    def _head(self, x, classes, activation, spec, options):
        options = {key: options[key] for key in self.head_options}
        if "spec" in inspect.signature(self.head).parameters:
            return self.head(x, classes, activation, spec, **options)
        return self.head(x, classes, activation, **options)

    def _input(self, info, input_tensor, input_shape, with_head):
        """Checks size and channels; returns the input as a KerasTensor [batch, height, width, channels]."""
        fixed = self.known_size or (self.fixed_size and with_head)
        if input_tensor is not None:
            is_symbolic = isinstance(input_tensor, keras.KerasTensor)
            tensor = input_tensor if is_symbolic else keras.Input(tensor=input_tensor)
            if len(tensor.shape) != 4:
                raise InputError(f"input_tensor must be [batch, height, width, channels]. Received: {tensor.shape}")
            _check_shape(tuple(tensor.shape[1:]), info, fixed)
            return tensor
        if input_shape is None:
            input_shape = info.input_shape if with_head or fixed else (None, None, info.input_shape[2])
        shape = _check_shape(input_shape, info, fixed)
        return ImageInput(shape, preprocessing=info.preprocessing, name="image").output


# A family of networks for 32x32 images of ten classes.
CIFARFamily = functools.partial(Family, preprocessing=CIFAR, recipe="cifar", input_shape=(32, 32, 3), classes=10)


def _marked(seen, image, info: _registry.ModelInfo):
    """What the head sees where it is no stage output: its tensors carry the preprocessing as stage outputs do."""
    count = 0

    def mark(x):
        nonlocal count
        if not isinstance(x, keras.KerasTensor) or x is image:
            return x
        count += 1
        return StageOutput(info.preprocessing, name=f"head_input{count}")(x)

    return keras.tree.map_structure(mark, seen)


def _options(function: Callable) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _check_shape(shape, info: _registry.ModelInfo, fixed: bool) -> tuple:
    min_size, multiple = info.min_size, info.size_multiple
    try:
        height, width, channels = shape
    except (TypeError, ValueError):
        raise InputError(f"input_shape must be (height, width, channels). Received: {shape!r}") from None
    if not isinstance(channels, int) or channels < 1:
        raise InputError(f"input_shape must be (height, width, channels), channels last. Received: {shape!r}")
    for size in (height, width):
        if size is None and fixed:
            what = "network" if info.known_size else "network's head"
            raise InputError(f"This {what} needs an input of a known size. Received: {shape!r}")
        if size is not None and (not isinstance(size, int) or size < min_size):
            raise InputError(
                f"The input must be at least {min_size} by {min_size}, as (height, width, channels). "
                f"Received: {shape!r}"
            )
        if size is not None and size % multiple:
            raise InputError(
                f"{info.name} takes images whose height and width are multiples of {multiple}, as (height, width, "
                f"channels). Received: {shape!r}"
            )
    return height, width, channels


def _check_options(options: Mapping[str, Any]) -> None:
    for key in ("drop_path_rate", "dropout_rate"):
        if key in options and not 0 <= options[key] < 1:
            raise InputError(f"{key} must be at least 0 and less than 1. Received: {options[key]!r}")
    if "alpha" in options:
        _check.real("alpha", options["alpha"], 0, above=True)
    if "depth_multiplier" in options:
        _check.whole("depth_multiplier", options["depth_multiplier"], 1)
    if options.get("output_stride", 32) not in (8, 16, 32):
        raise InputError(f"output_stride must be 8, 16 or 32. Received: {options['output_stride']!r}")


def feature_strides(model: keras.Model) -> list[int]:
    """Input size divided by output size for each output of a model made with `features_only=True`.

    A power of two, but where an image of the only size that the model takes is cut into patches, say of 14 pixels.
    Builders record the list as `model.feature_strides`; this derives it again for a model read from a file.

    Args:
        model: one input [batch, height, width, channels], outputs [batch, h, w, c].

    Returns:
        One number per output.
    """
    size = 4096  # so large that the rounding of odd sizes and of unpadded windows does not matter
    fixed, model.input_spec = model.input_spec, None  # else a model of known size refuses another
    try:
        exact = False
        shapes = model.compute_output_shape((1, size, size, model.input_shape[3]))
    except ValueError:  # a layer, such as a position embedding, takes one size only
        exact, size, shapes = True, model.input_shape[1], model.output_shape
    finally:
        model.input_spec = fixed
    shapes = shapes if isinstance(shapes, list) else [shapes]
    ratios = [size / shape[1] for shape in shapes]
    return [round(ratio) if exact else 1 << round(math.log2(ratio)) for ratio in ratios]
