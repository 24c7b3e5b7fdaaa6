"""Flags of the commands, on absl; - and _ are the same in a flag's name. Imports no TensorFlow."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

from absl import flags

from kerascnn._errors import InputError
from kerascnn.training.config import TrainConfig
from kerascnn.training.recipes import RECIPES

_MODULE = "kerascnn"
INITIALIZERS = ("he", "he_fan_out", "glorot", "lecun", "gaussian", "orthogonal")  # kerascnn.weights.SCHEMES


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the command line."""

    name: str
    arguments: str  # what follows the flags, for the usage line
    summary: str  # one line
    example: str  # complete and working
    flags: flags.FlagValues
    required: tuple[str, ...] = ()
    positional: tuple[int, int | None] = (0, 0)  # how many arguments at least and at most

    def parse(self, argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Reads a command line.

        Args:
            argv: what follows the command's name.

        Returns:
            The value of each flag, None where neither given nor defaulted, and the arguments that are no flags.

        Raises:
            InputError: unknown flag, bad value, or too few or too many arguments.
        """
        names = {name for name, flag in self.flags._flags().items() if name == flag.name}
        booleans = {name for name in names if self.flags[name].boolean}
        try:
            rest = self.flags([self.name, *(_normal(word, booleans) for word in _before_dashes(argv))])[1:]
        except flags.UnrecognizedFlagError as error:
            near = difflib.get_close_matches(error.flagname, names, n=1)
            hint = f"; did you mean --{near[0]}?" if near else f"; see kerascnn {self.name} --help"
            raise InputError(f"kerascnn {self.name} has no flag --{error.flagname}{hint}") from error
        except flags.Error as error:
            raise InputError(str(error)) from error
        rest += list(argv)[len(_before_dashes(argv)) + 1 :]
        values = {name: self.flags[name].value for name in names}
        missing = [f"--{name}" for name in self.required if values[name] is None]
        if missing:
            raise InputError(f"kerascnn {self.name} needs {' and '.join(missing)}. Example: {self.example}")
        low, high = self.positional
        if len(rest) < low:
            raise InputError(f"kerascnn {self.name} needs {self.arguments}. Example: {self.example}")
        if high is not None and len(rest) > high:
            raise InputError(f"kerascnn {self.name} takes {self.arguments or 'flags only'}. Received: {rest[high]}")
        return values, rest

    def help(self) -> str:
        """Usage, example, and each flag with its meaning and default."""
        lines = [f"kerascnn {self.name} {self.arguments}".rstrip(), "", f"  {self.summary}", "", "Example:"]
        lines += [f"  {self.example}", "", "Flags (- and _ are the same):"]
        for name, flag in sorted(self.flags._flags().items()):
            if name != flag.name:
                continue
            shown = f"--[no]{name}" if flag.boolean else f"--{name}"
            if flag.default is None:
                default = " (required)" if name in self.required else ""
            else:
                default = f" (default: {flag.default_as_str.strip(chr(39))})"
            lines.append(f"  {shown}: {flag.help}{default}")
        return "\n".join(lines)


def _before_dashes(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def _normal(word: str, booleans: set[str]) -> str:
    """--no-some-flag=x -> --nosome_flag=x."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name.startswith("no_") and name[3:] in booleans:
        name = "no" + name[3:]
    return f"--{name}{equals}{value}"


def _values() -> flags.FlagValues:
    values = flags.FlagValues()
    values.set_gnu_getopt(True)  # flags and arguments in any order
    return values


def _string(values, name, text, default=None):
    flags.DEFINE_string(name, default, text, flag_values=values, module_name=_MODULE)


def _data_flags(values, data_text):
    _string(values, "data", data_text)
    _string(values, "data_dir", "folder of the data: IDX files, or where TFDS keeps its sets")


def _train_flags(values):
    """Network, data, recipe, and one flag per field of TrainConfig, without default: the recipe gives it."""
    _string(values, "model", "name of a network, see kerascnn list")
    _data_flags(values, "digits, synthetic, fashion_mnist, mnist, a folder of images or IDX files, or a TFDS name; "
                "with masks: shapes, a folder of images/ and masks/, or a TFDS name")  # fmt: skip
    flags.DEFINE_enum(
        "recipe", None, list(RECIPES), "named defaults for the other flags; by default those of the network",
        flag_values=values, module_name=_MODULE,
    )  # fmt: skip
    flags.DEFINE_integer(
        "image_size", None, "height and width of the network's input; by default the data's own for a small-image "
        "network, else the network's default", flag_values=values, module_name=_MODULE,
    )  # fmt: skip
    kinds = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_boolean}
    for field in dataclasses.fields(TrainConfig):
        text, choices = field.metadata["help"], field.metadata["choices"]
        if choices:
            flags.DEFINE_enum(field.name, None, choices, text, flag_values=values, module_name=_MODULE)
        elif field.name == "milestones":
            flags.DEFINE_list(field.name, None, text, flag_values=values, module_name=_MODULE)
        else:
            kinds[field.type](field.name, None, text, flag_values=values, module_name=_MODULE)


def commands() -> dict[str, Command]:
    """All commands by name; made anew at each call, so that parsing one leaves nothing behind."""
    listing, info, train, evaluate, predict, export, benchmark, search = (_values() for _ in range(8))
    _string(listing, "family", "only this family, such as resnext")
    flags.DEFINE_boolean("table", False, "with parameters, multiply-adds, input, receptive field and published error",
                         flag_values=listing, module_name=_MODULE)  # fmt: skip
    flags.DEFINE_boolean("wide", False, "the table with the paper too", flag_values=listing, module_name=_MODULE)

    _string(info, "out", "draw the stages, their feature maps and costs: a file that ends in .png")
    flags.DEFINE_boolean("layers", False, "with a table of all layers: output, parameters, multiply-adds, activations",
                         flag_values=info, module_name=_MODULE)  # fmt: skip

    flags.DEFINE_enum("task", None, ["classification", "segmentation"], "what the network is trained for; by default "
                      "what it was made for", flag_values=train, module_name=_MODULE)  # fmt: skip
    _string(train, "out", "folder of the run; an unfinished run there goes on")
    _string(train, "weights", "start from these: a .weights.h5, .keras or .safetensors file")
    flags.DEFINE_boolean(
        "auxiliary_heads", None, "classifiers in the middle, in training alone, where the network has them",
        flag_values=train, module_name=_MODULE,
    )  # fmt: skip
    flags.DEFINE_enum(
        "initializer", None, INITIALIZERS, "draw all kernels by this rule instead of the paper's",
        flag_values=train, module_name=_MODULE,
    )  # fmt: skip
    flags.DEFINE_float("drop_path_rate", None, "stochastic depth, where the network has it", flag_values=train,
                       module_name=_MODULE)  # fmt: skip
    flags.DEFINE_integer("output_stride", None, "input size / size of the last map, where a network can dilate its "
                         "last stages instead of striding", flag_values=train, module_name=_MODULE)  # fmt: skip
    _train_flags(train)

    _string(evaluate, "checkpoint", "a run folder, or a .keras file in one")
    _data_flags(evaluate, "another data set of the same classes; by default that of the run")
    flags.DEFINE_enum("split", "test", ["train", "test"], "which part of the data", flag_values=evaluate,
                      module_name=_MODULE)  # fmt: skip
    flags.DEFINE_integer("batch_size", 128, "images at a time", flag_values=evaluate, module_name=_MODULE)
    flags.DEFINE_integer("limit", 0, "use only this many examples; 0: all", flag_values=evaluate, module_name=_MODULE)
    _string(evaluate, "out", "folder for evaluation.json and confusion.png; by default that of the run")

    _string(predict, "checkpoint", "a run folder, or a .keras file in one")
    _string(predict, "saved_model", "or: a folder that kerascnn export wrote")
    flags.DEFINE_integer("top", 5, "how many classes to show", flag_values=predict, module_name=_MODULE)
    flags.DEFINE_boolean("json", False, "print JSON instead of a table", flag_values=predict, module_name=_MODULE)
    _string(predict, "out", "segmentation: folder for the masks and the pictures with the masks drawn over the images")

    _string(export, "checkpoint", "a run folder, or a .keras file in one")
    _string(export, "out", "folder of the exported model; a new version is added below it")
    flags.DEFINE_boolean("native", False, "keep the custom ops, for a server that has them", flag_values=export,
                         module_name=_MODULE)  # fmt: skip

    _string(search, "out", "folder of the search; an unfinished search there goes on")
    for name, default, text in (
        ("phi", 1.0, "how much the candidates are scaled; 1 doubles the multiply-adds"),
        ("step", 0.1, "of the grid of factors"),
        ("tolerance", 0.1, "of alpha beta^2 gamma^2 around 2"),
    ):
        flags.DEFINE_float(name, default, text, flag_values=search, module_name=_MODULE)
    _train_flags(search)

    _string(benchmark, "only", "ops or rows that fit this pattern, or several with commas: lrn, 'conv2d*g32*'")
    _string(benchmark, "shapes", "which set of shapes: standard, resnext50, grouped or tiny", "standard")
    _string(benchmark, "dtype", "float32, float64, bfloat16 or float16", "float32")
    flags.DEFINE_integer("threads", None, "threads of every subject; by default all cores of this process",
                         flag_values=benchmark, module_name=_MODULE)  # fmt: skip
    flags.DEFINE_integer("repeat", 15, "timed calls of each subject, of which the median counts",
                         flag_values=benchmark, module_name=_MODULE)  # fmt: skip
    _string(benchmark, "peers_python", "a Python interpreter with torch and torchvision, to compare with them too")
    _string(benchmark, "out", "folder for ops.txt, ops.csv and ops.png")
    rows = [
        Command("list", "[PATTERN]", "Lists the networks.", 'kerascnn list "resnet*" --table', listing,
                positional=(0, 1)),
        Command("info", "NAME", "Tells what is known about a network, and draws it.",
                "kerascnn info resnet20 --out resnet20.png", info, positional=(1, 1)),
        Command("train", "", "Trains a network, or goes on with an unfinished run.",
                "kerascnn train --model resnet20 --data digits --epochs 2 --out runs/digits", train,
                required=("model", "data", "out")),
        Command("evaluate", "", "Measures a trained network: top-1, top-5 or mean IoU, confusion matrix.",
                "kerascnn evaluate --checkpoint runs/digits", evaluate, required=("checkpoint",)),
        Command("predict", "IMAGE_OR_FOLDER...", "Predicts the classes of image files, or of their pixels.",
                "kerascnn predict --checkpoint runs/digits image.png", predict, positional=(1, None)),
        Command("export", "", "Writes a SavedModel for TensorFlow Serving, and checks it.",
                "kerascnn export --checkpoint runs/digits --out exported/digits", export,
                required=("checkpoint", "out")),
        Command("search", "compound", "Looks for the best way to make a network deeper, wider and its images larger.",
                "kerascnn search compound --model resnet20 --data digits --out searches/digits", search,
                required=("model", "data", "out"), positional=(1, 1)),
        Command("benchmark", "ops", "Times every op beside TensorFlow's, Keras' and PyTorch's.",
                "kerascnn benchmark ops --only lrn --out runs/benchmark", benchmark, positional=(1, 1)),
    ]  # fmt: skip
    return {command.name: command for command in rows}
