"""Checkpoints of TensorFlow 1 as its own `Saver` writes them, in both forms."""

import os

import numpy as np
import tensorflow as tf


def save(prefix, values, version=2):
    """Writes name -> array; version 1 is the form before 2017."""
    v1 = tf.compat.v1
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        holders = {}
        variables = []
        for name, value in values.items():
            value = np.asarray(value)
            holders[v1.placeholder(value.dtype, value.shape)] = value
            variables.append(v1.Variable(list(holders)[-1], name=name, use_resource=False))
        session.run([variable.initializer for variable in variables], holders)
        names = {variable.op.name: variable for variable in variables}
        v1.train.Saver(names, write_version=version).save(
            session, str(prefix), write_meta_graph=False, write_state=False
        )
    return prefix
