"""The fit loop for several workers, in place of Keras' own.

`keras.Model.fit` of Keras 3 fails under `tf.distribute.MultiWorkerMirroredStrategy`: it averages the first batch, a
structure, over the workers, and each step's logs, which are scalars, along their first axis (Keras issue 20585; a test
keeps both). Everything else of Keras is right there and used: `train_step`, `test_step`, metrics, which TensorFlow sums
over all workers when they are read, and callbacks.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


def fit(
    model: keras.Model,
    batches: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    epochs: int,
    initial_epoch: int,
    steps: int,
    validation_steps: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Trains as `keras.Model.fit` does; every worker calls it at once.

    The logs of a batch are those of this worker's part of it; those of an epoch are of all workers together, and the
    same in each.

    Args:
        model: built and compiled under a strategy.
        batches: the parts of this worker's replicas, one after the other, of each step of each epoch.
        validation: the same of the validation.
        epochs: the number of the epoch after the last one.
        initial_epoch: the number of the first one.
        steps: of an epoch.
        validation_steps: of the validation.
        callbacks: as for Keras.
    """
    strategy = model.distribute_strategy
    hooks = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0)

    def compiled(step):
        # TensorFlow's distributed iterators are not needed: each worker has its own parts already.
        @tf.function(reduce_retracing=True)
        def one(iterator):
            parts = [next(iterator) for _ in range(len(strategy.extended.worker_devices))]

            def on_one_device():
                number = tf.distribute.get_replica_context().replica_id_in_sync_group
                return step(parts[int(tf.get_static_value(number)) % len(parts)])

            logs = strategy.run(on_one_device)
            return {name: tf.reduce_mean(strategy.experimental_local_results(value)) for name, value in logs.items()}

        return one

    def make_train_function(force=False):
        """What callbacks call that change which layers are trained."""
        if force or model.train_function is None:
            model.train_function = compiled(model.train_step)
        return model.train_function

    model.make_train_function = make_train_function
    make_train_function(force=True)
    measure = compiled(model.test_step)
    feed, held_out = iter(batches), iter(validation.repeat())
    logs = {}
    model.stop_training = False
    hooks.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        hooks.on_epoch_begin(epoch)
        for step in range(steps):
            hooks.on_train_batch_begin(step)
            hooks.on_train_batch_end(step, model.train_function(feed))
        logs = _results(model)
        hooks.on_test_begin()
        model.reset_metrics()
        for step in range(validation_steps):
            hooks.on_test_batch_begin(step)
            hooks.on_test_batch_end(step, measure(held_out))
        measured = _results(model)
        hooks.on_test_end(measured)
        logs |= {f"val_{name}": value for name, value in measured.items()}
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_weights)
    hooks.on_train_end(logs)


def _results(model: keras.Model) -> dict[str, float]:
    return {name: float(value) for name, value in model.get_metrics_result().items()}
