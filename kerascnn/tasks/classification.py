"""One class an image."""

from kerascnn._errors import InputError
from kerascnn.tasks.task import Task


class Classification(Task):
    """Outputs [batch, classes], labels [batch] or, soft, [batch, classes]."""

    name = "classification"
    titles = {"accuracy": "accuracy", "top5": "top-5"}
    best = "accuracy"
    drawn = ("accuracy",)
    recipe = None
    losses = ("softmax", "binary")
    samplings = ("shuffle", "balanced")
    keeps_size = False
    exported = "classes"

    def measures(self, classes):
        return ["accuracy", *(["top5"] if classes > 5 else [])]

    def metrics(self, classes):
        from kerascnn.tasks import metrics

        return [metrics.Accuracy(), *([metrics.TopAccuracy(5)] if classes > 5 else [])]

    def loss(self, smoothing, from_logits, kind="softmax", threshold=0.0, class_weights=None):
        from kerascnn.tasks import losses

        if kind == "binary":
            if not from_logits:
                raise InputError("loss=binary needs a network that ends in logits. Received: one with a softmax")
            return losses.BinaryCrossentropy(smoothing, threshold, class_weights=class_weights)
        return losses.SmoothedCrossentropy(smoothing, from_logits, class_weights=class_weights)

    def output_shape(self, input_shape, classes):
        return (classes,)

    def prepare(self, image, input_shape, preprocessing):
        from kerascnn.data.preprocessing import preprocess_image

        return preprocess_image(image, input_shape, preprocessing)

    def check_labels(self, source):
        import numpy as np

        classes = len(source.class_names)
        for name in source.splits:
            labels = getattr(source.split(name), "numbers", None)
            if labels is not None and len(labels) and not 0 <= np.min(labels) <= np.max(labels) < classes:
                raise InputError(
                    f"Labels must be in [0, {classes}). Received: {np.min(labels)} to {np.max(labels)} in the {name} "
                    f"split of {source.name}"
                )


TASK = Classification()
