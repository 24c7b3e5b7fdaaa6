"""One class a pixel."""

from kerascnn._errors import InputError
from kerascnn.tasks.task import Task


class Segmentation(Task):
    """Outputs [batch, height, width, classes], masks [batch, height, width]."""

    name = "segmentation"
    titles = {"accuracy": "accuracy", "mean_iou": "mean IoU"}
    best = "mean_iou"
    drawn = ("accuracy", "mean_iou")
    recipe = "segmentation"
    losses = ("softmax",)
    samplings = ("shuffle",)  # an image with a mask has no class
    keeps_size = True
    exported = "class_map"

    def measures(self, classes):
        return ["accuracy", "mean_iou"]

    def metrics(self, classes):
        from kerascnn.tasks import metrics

        return [metrics.PixelAccuracy(name="accuracy"), metrics.MeanIoU(classes, name="mean_iou")]

    def loss(self, smoothing, from_logits, kind="softmax", threshold=0.0, class_weights=None):
        from kerascnn.tasks import losses

        if kind != "softmax":
            raise InputError(f"Segmentation is trained with loss=softmax. Received: loss={kind}")
        return losses.PixelCrossentropy(smoothing, from_logits, class_weights=class_weights)

    def output_shape(self, input_shape, classes):
        return (*input_shape[:2], classes)

    def prepare(self, image, input_shape, preprocessing):
        from kerascnn.data.letterbox import fit_whole_image

        return fit_whole_image(image, input_shape, preprocessing)

    def check_labels(self, source):
        from kerascnn.data.masks import PairArrays

        for name in source.splits:
            if isinstance(source.split(name), PairArrays):
                source.split(name).check()


TASK = Segmentation()
