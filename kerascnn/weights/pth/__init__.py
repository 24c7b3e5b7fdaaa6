"""Files of PyTorch's `torch.save`, read without PyTorch. Nothing in them is executed, imported or made an object of."""

import mmap
import os

import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, budget, one_line, regular_file, shown
from kerascnn.weights.pth.archive import Archive
from kerascnn.weights.pth.legacy import Legacy
from kerascnn.weights.pth.pickles import Refused
from kerascnn.weights.pth.states import state_of
from kerascnn.weights.pth.tensors import check_types, to_arrays

__all__ = ["ENDINGS", "read_pth"]

ENDINGS = (".pth", ".pt", ".pth.tar", ".bin", ".ckpt")
_KNOWN = (
    (b"\x89HDF\r\n\x1a\n", "HDF5; name it .weights.h5 if Keras has written it"),
    (b"\x1f\x8b", "a gzip archive, which must be unpacked"),
    (b"<", "a web page or XML, as a failed download leaves it"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
)


def read_pth(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the state dict in a file that PyTorch has saved, in the zip form or the one before PyTorch 1.6.

    Tensors, ordered dictionaries, numbers and texts are read, and what checkpoints hold besides (settings, devices,
    NumPy scalars) is passed over; anything else that the file names is refused by its name. Of a checkpoint that holds
    more than the weights the state dict is taken which is under `state_dict_ema`, `model_ema`, `ema_state_dict`,
    `ema_model`, `ema`, `state_dict`, `model_state_dict`, `model_state`, `model`, `module`, `network`, `net`, `weights`
    or `params`, the first of them that is there; the log says so.

    The file is mapped into memory, not read: the arrays are read-only views of it, and keep it open.

    Args:
        path: a `.pth`, `.pt`, `.pth.tar`, `.bin` or `.ckpt` file.

    Returns:
        Name -> array; bfloat16 as float32.

    Raises:
        InputError: no such file, it is truncated, damaged, or of another format; it names anything but tensors and
            plain values, such as a whole model or a TorchScript program; it has no state dict; or it has tensors of
            other types (float8, complex, quantized, sparse).

    Example:
        ```python
        import kerascnn

        state = kerascnn.weights.read_pth("mobilenet_v2-b0353104.pth")
        print(state["features.0.0.weight"].shape)  # (32, 3, 3, 3)
        ```
    """
    path = regular_file(path)
    if not path.name.endswith(ENDINGS):
        raise InputError(f"The name of the file must end in {', '.join(ENDINGS)}. Received: {shown(path)}")
    with one_line(path), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ValueError("it is empty")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            found = _open(mapped)
        except Refused as refused:
            raise InputError(
                "A PyTorch file must hold tensors and plain values, nothing that names code; where its code is "
                "installed and the file is trusted, torch.save(model.state_dict(), path) makes one of it. "
                f"Received: {_clean(refused)} in {shown(path)}"
            ) from refused
        tensors = state_of(found.object, path)
        check_types(tensors, path)
        promised = sum(tensor.bytes() for tensor in tensors.values())
        if promised > budget(path):
            raise Unsafe("tensors that take far more memory than the file has bytes")
        wanted = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        return to_arrays(tensors, found.contents(wanted), found.big_endian)


def _open(mapped: mmap.mmap) -> Archive | Legacy:
    start = mapped[:64]
    if start.startswith(b"PK"):
        return Archive(memoryview(mapped))
    for signature, what in _KNOWN:
        if start.startswith(signature):
            raise ValueError(f"it is {what}")
    if not start.startswith((b"\x80", b"L")):  # the magic number as a pickle of any protocol
        raise ValueError("it is neither an archive nor a pickle of torch.save")
    return Legacy(mapped)


def _clean(refused: Refused) -> str:
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in str(refused))[:120]
