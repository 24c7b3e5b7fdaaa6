"""Tokens that nothing reads are not computed.

A network that ends with its class token computes the rest of its last block for all tokens and then throws them away.
What is cut off behind a step that changes each pixel by itself, such as a dense layer, a norm or a sum, is cut off
before it instead, as far up as there are such steps: in a ViT up to the last attention.
"""

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerascnn.inference.program_builder import Node

_WHOLE = ((0, 0), (0, 0))  # no columns, no channels


def cut_early(nodes: "list[Node]", output: "Node") -> "list[Node]":
    """The instructions of a program with its crops of rows moved up; they make the same numbers.

    Args:
        nodes: in their order; they may be changed.
        output: the one whose value is the result.

    Returns:
        The nodes, in an order in which each comes after what it reads.
    """
    nodes = list(nodes)
    while True:
        reads = Counter(id(read) for node in nodes for read in node.reads())
        reads[id(output)] += 1
        for crop in nodes:
            source = _source_by_pixel(crop)
            if source is not None and reads[id(source)] == 1:
                _move(nodes, crop, source)
                break
        else:
            return nodes


def _source_by_pixel(crop: "Node") -> "Node | None":
    """The source of a crop of rows, where each of its rows depends on that row alone of what it reads."""
    if crop.kind != "crop" or crop.x is None or crop.cut[1:] != _WHOLE:
        return None
    alone = crop.x.kind in ("pass", "norm") or (crop.x.kind == "conv" and _plain(crop.x))
    return crop.x if alone else None


def _plain(conv: "Node") -> bool:
    outside = conv.padding not in (((0, 0), (0, 0)), ((-1, -1), (-1, -1)))
    return conv.filter is not None and conv.filter.shape[:2] == (1, 1) and conv.strides == (1, 1) and not outside


def _move(nodes: "list[Node]", crop: "Node", source: "Node") -> None:
    """The crop's source takes its place and reads crops."""
    at = nodes.index(source)
    nodes.remove(source)

    def cropped(value):
        nonlocal at
        if value is None:
            return None
        made = next((n for n in nodes if n.kind == "crop" and n.x is value and n.cut == crop.cut), None)
        if made is None:
            made = type(crop)("crop", value, cut=crop.cut)
        elif nodes.index(made) < at:
            return made
        else:
            nodes.remove(made)
        nodes.insert(at, made)
        at += 1
        return made

    changed = dataclasses.replace(source, x=cropped(source.x), residual=cropped(source.residual))
    for field in dataclasses.fields(changed):
        setattr(crop, field.name, getattr(changed, field.name))
