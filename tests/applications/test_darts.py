"""DARTS: the genotypes, where cells reduce, the two auxiliary heads, drop-path, and names of other libraries."""

import dataclasses
import functools
import math

import keras
import numpy as np
import pytest

from kerascnn import applications, layers
from kerascnn._errors import InputError
from kerascnn.applications import darts
from kerascnn.weights import translate


@functools.cache
def structure(name, *, depth=6, genotype=None, **options):
    """The network with fewer cells, and weights that have no values."""
    spec = applications.model_info(name).spec
    spec = dataclasses.replace(spec, depth=depth, genotype=genotype or spec.genotype)
    with keras.StatelessScope(initialize_variables=False):
        return applications.create_model(name, spec=spec, **options)


def count(model):
    return sum(math.prod(w.shape) for w in model.trainable_weights)


def cells_of(model):
    return [layer.name.removesuffix("_out") for layer in model.layers if layer.name.endswith("_out")]


@pytest.mark.parametrize("depth, places", [(6, (2, 4)), (14, (4, 9)), (20, (6, 13))])
def test_reductions_at_a_third_and_two_thirds(depth, places):
    first, second, third = darts.stages(darts.Spec(darts.V1, 36, depth))
    assert (first, first + second) == places and first + second + third == depth


def test_three_cells_at_least():
    with pytest.raises(InputError, match="at least 3 cells. Received: depth=2"):
        darts.Spec(darts.V1, 36, 2)


def test_cells_of_a_stage():
    made = cells_of(structure("darts_v2_imagenet"))
    assert made == [f"stage{stage}_cell{cell}" for stage in (2, 3, 4) for cell in (1, 2)]


@pytest.mark.parametrize("name, parameters", [("darts_v2", 476_426), ("darts_v2_imagenet", 1_260_776)])
def test_auxiliary_heads_have_the_published_size(name, parameters):
    """Numbers of the release (quark0/darts), whose head for ImageNet lacks a batch norm."""
    assert count(structure(name, auxiliary_heads=True)) - count(structure(name)) == parameters


def test_drop_path_is_the_same_in_all_cells():
    model = structure("darts_v1", drop_path_rate=0.2)
    paths = [layer for layer in model.layers if isinstance(layer, layers.ScheduledDropPath)]
    assert {path.rate for path in paths} == {0.2}
    operations = [term for cell in (darts.V1.normal, darts.V1.reduce) for node in cell.nodes for term in node]
    assert sum(term.operation != "identity" for term in operations[:8]) == 5  # of the normal cell
    assert len(paths) == 6 * 5  # and as many in a reduction cell
    assert not any(isinstance(layer, layers.ScheduledDropPath) for layer in structure("darts_v1").layers)


def test_a_pool_has_no_batch_norm_and_its_mean_leaves_the_border_out():
    model = structure("darts_v1")
    pool = model.get_layer("stage2_cell1_n4b_pool")
    np.testing.assert_allclose(pool(np.full((1, 6, 6, 72), 3.0, "float32")), 3.0, rtol=1e-6)
    (node,) = pool._outbound_nodes
    assert isinstance(node.operation, keras.layers.Add)


def test_another_genotype():
    assert count(structure("darts_v2", genotype=darts.V1)) == count(structure("darts_v1"))
    assert count(structure("darts_v2")) != count(structure("darts_v1"))


@pytest.mark.parametrize(
    "library, theirs, ours",
    [
        ("darts", "stem1.1", "stem3_conv"),
        ("darts", "cells.0.preprocess0.conv_2", "stage2_cell1_c2_conv2"),
        ("darts", "cells.3.preprocess1.op.2", "stage2_cell4_c1_bn"),
        ("darts", "cells.4.preprocess0.op.1", "stage3_cell1_c2_conv"),
        ("darts", "cells.13._ops.7.op.1", "stage4_cell5_n4b_depthwise1"),
        ("darts", "cells.13._ops.4.op.6", "stage4_cell5_n3a_conv2"),
        ("darts", "auxiliary_head.classifier", "aux_head"),
        ("pytorchcv", "features.stage1.unit1.preprocess_prev.conv2", "stage2_cell1_c2_conv2"),
        ("pytorchcv", "features.stage3.unit5.body.ops.7.conv.dw_conv", "stage4_cell5_n4b_depthwise1"),
        ("pytorchcv", "features.stage3.unit5.body.ops.4.conv2.bn", "stage4_cell5_n3a_bn2"),
    ],
)
def test_names_of_other_libraries(library, theirs, ours):
    names = darts._imagenet.names[library]
    rules = names(applications.model_info("darts_v2_imagenet").spec) if callable(names) else names
    assert translate(rules, theirs) == ours
    assert ours in {layer.name for layer in structure("darts_v2_imagenet", depth=14, auxiliary_heads=True).layers}


def release_modules(spec):
    """Modules with weights of the release's CIFAR network (cnn/model.py, operations.py)."""
    reductions = (spec.depth // 3, 2 * spec.depth // 3)
    yield from ("stem.0", "stem.1", "classifier")
    for i in range(spec.depth):
        halves = ("conv_1", "conv_2", "bn") if i - 1 in reductions else ("op.1", "op.2")
        yield from (f"cells.{i}.preprocess0.{part}" for part in halves)
        yield from (f"cells.{i}.preprocess1.op.{k}" for k in (1, 2))
        cell = spec.genotype.reduce if i in reductions else spec.genotype.normal
        for j, term in enumerate(term for node in cell.nodes for term in node):
            parts = {"sep_3x3": (1, 2, 3, 5, 6, 7), "dil_sep_3x3": (1, 2, 3)}.get(term.operation, ())
            yield from (f"cells.{i}._ops.{j}.op.{k}" for k in parts)


def test_names_of_the_release_are_complete():
    spec = dataclasses.replace(applications.model_info("darts_v2").spec, depth=6)
    rules = darts._cifar.names["darts"](spec)
    translated = [translate(rules, module) for module in release_modules(spec)]
    assert sorted(translated) == sorted(layer.name for layer in structure("darts_v2").layers if layer.weights)
