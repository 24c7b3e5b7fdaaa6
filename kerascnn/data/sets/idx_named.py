"""MNIST and Fashion-MNIST: IDX files where they usually lie, else from TensorFlow Datasets.

Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", 1998; H. Xiao, K. Rasul, R. Vollgraf,
"Fashion-MNIST", 2017, arXiv:1708.07747.
"""

from pathlib import Path

from kerascnn._errors import InputError
from kerascnn.data.sets import tfds
from kerascnn.data.sets.idx import find_idx, load_idx
from kerascnn.data.sets.kind import Kind, Wanted
from kerascnn.data.source import Source

SYSTEM_FOLDER = Path("/usr/share/datasets")  # where Debian's packages put data sets
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CLASSES = {"mnist": tuple("0123456789"), "fashion_mnist": _FASHION}


def load(wanted: Wanted) -> Source:
    """The set of that name, from `wanted.data_dir` (itself or a sub-folder of that name) or the system's folder.

    Raises:
        InputError: it is nowhere, and TFDS cannot give it.
    """
    name, data_dir = wanted.name, wanted.data_dir
    sub_folders = dict.fromkeys([name, name.replace("_", "-")])
    places = [data_dir, *(data_dir / sub for sub in sub_folders)] if data_dir else []
    places += [SYSTEM_FOLDER / sub for sub in sub_folders]
    for place in places:
        if place.is_dir() and find_idx(place):
            return load_idx(place, name, _CLASSES[name])
    try:
        return tfds.load_tfds(name, data_dir)
    except InputError as error:
        looked = ", ".join(str(place) for place in places)
        package = " or install the Debian package dataset-fashion-mnist" if name == "fashion_mnist" else ""
        cure = f"put its IDX files (train-images-idx3-ubyte.gz, ...) into data_dir{package}"
        raise InputError(f"Cannot find {name}: no IDX files in {looked}; from TFDS: {error}; {cure}") from error


KIND = Kind(load, names=tuple(_CLASSES))
