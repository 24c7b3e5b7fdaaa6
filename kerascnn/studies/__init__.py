"""Why networks train: experiments of the literature as functions, each with a result to save and a picture.

A study is one file of this folder with a function of the file's name,

    study(..., **options) -> Study

and is found by listing the folder: `STUDIES`, which the command line reads too.
"""

import importlib
import pkgutil
from collections.abc import Callable

from kerascnn.studies.batch_norm_only import batch_norm_only
from kerascnn.studies.batch_norm_rates import batch_norm_rates
from kerascnn.studies.cardinality import cardinality
from kerascnn.studies.constrained_cost import constrained_cost
from kerascnn.studies.covariate_shift import covariate_shift
from kerascnn.studies.degradation import degradation
from kerascnn.studies.double_descent import double_descent
from kerascnn.studies.dropout_filters import dropout_filters
from kerascnn.studies.effective_field import effective_field
from kerascnn.studies.initialization import initialization
from kerascnn.studies.kernel_stacks import kernel_stacks
from kerascnn.studies.landscape import landscape
from kerascnn.studies.lesions import lesions
from kerascnn.studies.paths import paths
from kerascnn.studies.random_features import random_features
from kerascnn.studies.sharpness import sharpness
from kerascnn.studies.shortcuts_landscape import shortcuts_landscape
from kerascnn.studies.study import Study
from kerascnn.studies.trajectory import trajectory


def _studies() -> dict[str, Callable[..., Study]]:
    found = {}
    for entry in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{entry.name}")
        function = vars(module).get(entry.name)
        if callable(function) and function.__module__ == module.__name__:
            found[entry.name] = function
    return found


STUDIES = _studies()  # by name, alphabetically
globals().update(STUDIES)  # a new file needs no line here; those above are for type checkers
__all__ = [
    "STUDIES",
    "Study",
    "batch_norm_only",
    "batch_norm_rates",
    "cardinality",
    "constrained_cost",
    "covariate_shift",
    "degradation",
    "double_descent",
    "dropout_filters",
    "effective_field",
    "initialization",
    "kernel_stacks",
    "landscape",
    "lesions",
    "paths",
    "random_features",
    "sharpness",
    "shortcuts_landscape",
    "trajectory",
]
