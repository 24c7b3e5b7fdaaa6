"""The imitation of CUDA on the CPU: barriers and shuffles are exact, and mistakes are reported."""

import numpy as np
import pytest
from buffers import Buffer, CudaArray

cuda = pytest.importorskip("kerascnn._cuda_on_cpu", exc_type=ImportError)


@pytest.mark.parametrize("blocks, threads", [(1, 32), (3, 256), (2, 1024)])
def test_barriers_shuffles_and_votes(blocks, threads):
    n = blocks * threads
    # Every block adds its sum once; lane 31 of a warp sees lane 25 of the group of eight that begins at 24.
    assert cuda.right_probe(blocks, threads) == ("", n * (n + 1) / 2, threads - 7, 0xAAAAAAAA)


@pytest.mark.parametrize(
    "name, words",
    [
        ("missed barrier", "threads end while others wait at a barrier"),
        ("missed shuffle", "lanes of a shuffle's mask do not take part in it"),
        ("outside mask", "a shuffle reads a lane outside its mask"),
        ("not in mask", "a lane is missing from its own mask"),
        ("unaligned", "a vector is read from an unaligned address"),
        ("odd block", "a multiple of 32. Received: 33"),
        ("shared", "NaN"),
    ],
)
def test_mistakes_are_reported(name, words):
    assert words in cuda.probe(name)
    assert cuda.right_probe(2, 64)[0] == ""  # and the next kernel runs
    assert cuda.probe("no blocks") == ""


def test_cuda_array_interface():
    x, out = np.random.default_rng(0).normal(size=(2, 3, 8)), np.zeros((3, 8))
    wanted = Buffer(out, "float64")
    cuda.lrn_forward(Buffer(x[0], "float64"), out=wanted)
    cuda.lrn_forward(CudaArray(x[0], read_only=True), out=CudaArray(out, strides=(64, 8)))
    np.testing.assert_array_equal(out, wanted.array)


@pytest.mark.parametrize(
    "x, out, words",
    [
        (np.zeros((2, 4), "int32"), np.zeros((2, 4)), "x must hold float32, float64, bfloat16 or float16"),
        (CudaArray(np.zeros((2, 4), "int64")), np.zeros((2, 4)), "by DLPack.. Received: typestr <i8"),
        (np.zeros((2, 4)), np.zeros((2, 4), "float32"), "out must have the element type of the other arrays"),
        (np.zeros((2, 4)), np.zeros((4, 2)), r"out must have the shape \(2, 4\). Received: \(4, 2\)"),
        (np.zeros((2, 4)), np.zeros((4, 2)).T, "out must be contiguous, the last axis fastest"),
        (np.zeros((2, 4)), CudaArray(np.zeros((2, 4)), strides=(8, 16)), "out must be contiguous"),
        (np.zeros((2, 4)), CudaArray(np.zeros((2, 4)), read_only=True), "out must be writable"),
        (Buffer(np.zeros((2, 4)), "float32", device_type=10), np.zeros((2, 4)), "on the CPU or on a CUDA device"),
        (np.zeros(4), np.zeros(4), "x must have at least 2 dimensions. Received: 1"),
    ],
)
def test_buffers_that_do_not_fit(x, out, words):
    with pytest.raises(ValueError, match=words):
        cuda.lrn_forward(x, out=out)


def test_objects_without_a_protocol():
    with pytest.raises(TypeError, match="x must offer __dlpack__ or __cuda_array_interface__"):
        cuda.lrn_forward([[1.0, 2.0]], out=np.zeros((1, 2)))
