"""Random calls of the raw ops: one that is valid, then a few things about it broken."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

# Where arithmetic on extents goes wrong: around zero, around 2^31 and at the ends of 64 bits.
EDGES = (0, -1, -2, -(2**31), 2**31 - 1, 2**31, 2**31 + 1, 2**33, 2**40, 2**62, 2**63 - 1, -(2**63), -(2**62))
DTYPES = ("float32", "float64", "float16", "bfloat16")


@dataclasses.dataclass
class Call:
    """Inputs and attributes of one call, by name; `tensors` may be fed as arrays of zeros of these shapes."""

    shapes: dict[str, list[int]]  # inputs of `dtype`
    numbers: dict[str, list[int]]  # whole-number inputs: shapes and seeds
    attributes: dict
    dtype: str
    extra: dict = dataclasses.field(default_factory=dict)  # inputs of other types, as they are
    whole: str = "int64"  # the type of `numbers`, at whose ends other numbers stand

    def inputs(self) -> dict:
        """The tensors; values do not matter to the checks."""
        dtype = tf.as_dtype(self.dtype).as_numpy_dtype
        tensors = {name: tf.constant(np.zeros(shape, dtype)) for name, shape in self.shapes.items()}
        ends = np.iinfo(self.whole)
        for name, values in self.numbers.items():
            tensors[name] = tf.constant(np.clip(values, ends.min, ends.max).astype(self.whole))
        return tensors | {name: tf.constant(value) for name, value in self.extra.items()}


def pick(rng, values):
    """One of `values`."""
    return values[int(rng.integers(len(values)))]


def whole(rng, low: int, high: int) -> int:
    """A whole number in [low, high]."""
    return int(rng.integers(low, high + 1))


def random_window(rng, explicit: bool = True) -> dict:
    """Attributes that the convolutions share."""
    padding = pick(rng, ("SAME", "VALID", "EXPLICIT") if explicit else ("SAME", "VALID"))
    return {
        "strides": [whole(rng, 1, 3), whole(rng, 1, 3)],
        "dilations": [whole(rng, 1, 2), whole(rng, 1, 2)],
        "padding": padding,
        "explicit_padding": [whole(rng, 0, 3) for _ in range(4)] if padding == "EXPLICIT" else [],
    }


def output_size(size: int, window: int, stride: int, dilation: int, padding: str, sides) -> int:
    """The length of one axis after a window slides over it."""
    if padding == "SAME":
        return -(-size // stride)
    return max(0, (size + sum(sides) - (window - 1) * dilation - 1) // stride + 1)


def random_convolution(rng) -> tuple[list[int], list[int], list[int], dict]:
    """Shapes of x, filters and y, and the attributes."""
    groups, depth = whole(rng, 1, 4), whole(rng, 1, 5)
    x = [whole(rng, 0, 2), whole(rng, 0, 9), whole(rng, 1, 9), groups * depth]
    filters = [whole(rng, 1, 3), whole(rng, 1, 3), depth, groups * whole(rng, 1, 3)]
    window = random_window(rng)
    sides = window["explicit_padding"] or [0] * 4
    extent = [
        output_size(x[1 + i], filters[i], window["strides"][i], window["dilations"][i], window["padding"],
                    sides[2 * i : 2 * i + 2])
        for i in (0, 1)
    ]  # fmt: skip
    return x, filters, [x[0], *extent, filters[3]], window


def break_shape(rng, shape: list[int]) -> list[int]:
    """Another rank, another extent, or one near an edge with another that is zero, so that it can be allocated."""
    shape = list(shape)
    way = whole(rng, 0, 3)
    if way == 0 and shape:
        shape.pop(whole(rng, 0, len(shape) - 1))
    elif way == 1:
        shape.insert(whole(rng, 0, len(shape)), whole(rng, 1, 2))
    elif way == 2 and shape:
        shape[whole(rng, 0, len(shape) - 1)] += pick(rng, (1, 2, 3))
    elif len(shape) > 1:
        first, second = rng.choice(len(shape), 2, replace=False)
        shape[first], shape[second] = 0, pick(rng, (2**31 - 1, 2**31, 2**31 + 1, 2**40))
    if math.prod(shape) > 2**20 or math.prod(max(1, extent) for extent in shape) > 2**55:  # broken twice
        shape = [min(extent, 2) for extent in shape]
    return shape


def break_numbers(rng, numbers: list[int]) -> list[int]:
    """An edge in one place, or another length."""
    numbers = list(numbers)
    way = whole(rng, 0, 4)
    if way == 0 and numbers:
        numbers.pop()
    elif way == 1:
        numbers.append(1)
    elif numbers:
        numbers[whole(rng, 0, len(numbers) - 1)] = pick(rng, EDGES)
    return numbers


def break_attribute(rng, value):
    """Something of the attribute's type that it may not be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return pick(rng, ("FULL", "", "same", "EXPLICIT", "VALID"))
    if isinstance(value, int):
        return pick(rng, EDGES)
    odd = (float("nan"), float("inf"), -float("inf"), -1.0, -1e30, 1e38)
    if isinstance(value, float):
        return pick(rng, odd)
    if value and isinstance(value[0], float):
        numbers = list(value)
        way = whole(rng, 0, 3)
        if way == 0:
            numbers.append(0.0)
        elif way == 1:
            numbers.pop()
        else:
            numbers[whole(rng, 0, len(numbers) - 1)] = pick(rng, odd)
        return numbers
    return break_numbers(rng, value)


def break_call(rng, call: Call) -> None:
    """Breaks one thing; which may, by chance, leave a valid call."""
    places = [(call.shapes, name) for name in call.shapes]
    places += [(call.numbers, name) for name in call.numbers]
    places += [(call.attributes, name) for name in call.attributes] * 2
    where, name = pick(rng, places)
    if where is call.shapes:
        where[name] = break_shape(rng, where[name])
    elif where is call.numbers:
        where[name] = break_numbers(rng, where[name])
    else:
        where[name] = break_attribute(rng, where[name])
