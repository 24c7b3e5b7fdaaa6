"""Networks of cells in plain TensorFlow, from the papers' releases, with the weights of a model of ours."""

import re

import numpy as np
import tensorflow as tf


class ByHand:
    """What two releases have in common: kernels, batch norm, halving, pools, separable convolutions, the stack."""

    def __init__(self, model):
        self.weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}

    def conv(self, x, name, stride=1):
        return tf.nn.conv2d(x, self.weights[name][0], stride, "SAME")

    def norm(self, x, name):
        scale, shift, mean, variance = self.weights[name]
        return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift

    def conv_norm(self, x, name, number="", stride=1):
        """ReLU, convolution, batch norm."""
        return self.norm(self.conv(tf.nn.relu(x), f"{name}_conv{number}", stride), f"{name}_bn{number}")

    def halved(self, x, name):
        moved = tf.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)])[:, 1:, 1:]
        halves = [self.conv(y[:, ::2, ::2], f"{name}_conv{i}") for i, y in enumerate((x, moved), 1)]
        return self.norm(tf.concat(halves, -1), f"{name}_bn")

    def separable(self, x, name, stride):
        for i, step in ((1, stride), (2, 1)):
            kernel = self.weights[f"{name}_depthwise{i}"][0]
            x = tf.nn.depthwise_conv2d(tf.nn.relu(x), kernel, [1, step, step, 1], "SAME")
            x = self.norm(self.conv(x, f"{name}_conv{i}"), f"{name}_bn{i}")
        return x

    def older(self, two, one, filters, name):
        """What c2 is."""
        if two.shape[1] != one.shape[1]:
            return self.halved(tf.nn.relu(two), f"{name}_c2")
        return self.conv_norm(two, f"{name}_c2") if two.shape[-1] != filters else two

    def term(self, term, values, filters, stride, name):
        """An operation on a value."""
        x, (kind, size) = values[term.source], re.fullmatch(r"([a-z]+)_?(.*)", term.operation).groups()
        stride = stride if term.source in ("c1", "c2") else 1
        if kind == "sep":
            return self.separable(x, name, stride)
        if kind in ("avg", "max"):
            pool = tf.nn.avg_pool2d if kind == "avg" else tf.nn.max_pool2d
            x = pool(x, int(size[0]), stride, "SAME")
            return self.conv_norm(x, name) if x.shape[-1] != filters else x
        if kind == "conv":
            for i in range(1, 1 + size.count("_") + 1):
                x = self.conv_norm(x, name, i, stride if i == 1 else 1)
            return x
        return self.identity(x, filters, stride, name)

    def cell(self, cell, two, one, filters, stride, name):
        values = {"c2": self.older(two, one, filters, name), "c1": self.newest(one, filters, name)}
        for i, node in enumerate(cell.nodes, 1):
            terms = [
                self.term(term, values, filters, stride, f"{name}_n{i}{letter}")
                for letter, term in zip("ab", node, strict=True)
            ]
            values[f"n{i}"] = tf.add_n(terms)
        read = {term.source for node in cell.nodes for term in node}
        return tf.concat([value for key, value in values.items() if key not in read], -1)

    def stages(self, x, spec):
        """Outputs of the three stages."""
        x = two = self.norm(self.conv(x, "stem_conv"), "stem_bn")
        two, found = self.first(two), []
        for stage in range(3):
            for i in range(spec.repeats + (stage > 0)):
                reduces = stage > 0 and i == 0
                cell = spec.genotype.reduce if reduces else spec.genotype.normal
                name = f"stage{stage + 1}_cell{i + 1}"
                x, two = self.cell(cell, two, x, spec.filters * 2**stage, 1 + reduces, name), x
            found.append(x)
        return [*found[:-1], tf.nn.relu(found[-1])]


class ENASByHand(ByHand):
    """melodyguan/enas, src/cifar10/micro_child.py."""

    def first(self, stem):
        return stem

    def newest(self, one, filters, name):
        one = self.conv_norm(one, f"{name}_c1_match") if one.shape[-1] != filters else one
        return self.conv_norm(one, f"{name}_c1")

    def identity(self, x, filters, stride, name):
        return self.halved(x, name) if stride > 1 else x


class NAOByHand(ByHand):
    """renqianluo/NAO, NAO/cnn/model.py."""

    def first(self, stem):
        return None

    def older(self, two, one, filters, name):
        return one if two is None else super().older(two, one, filters, name)

    def newest(self, one, filters, name):
        return self.conv_norm(one, f"{name}_c1")

    def identity(self, x, filters, stride, name):
        return self.conv_norm(x, name, stride=stride) if stride > 1 or x.shape[-1] != filters else x
