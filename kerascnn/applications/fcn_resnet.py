"""FCN on a dilated ResNet, as in torchvision: the baseline beside which DeepLab is measured.

Jonathan Long, Evan Shelhamer, Trevor Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,
arXiv:1411.4038; the head is that of PSPNet's auxiliary loss: Hengshuang Zhao et al.: Pyramid Scene Parsing Network,
CVPR 2017, arXiv:1612.01105. Output stride 8; the option `auxiliary_heads` adds the same head on the third stage.

Departures: the networks are torchvision's, not the paper's, which has no ResNets, no dilation and fuses finer scores:
see `fcn`.
"""

import dataclasses

from kerascnn import blocks
from kerascnn._preprocessing import SEGMENTATION
from kerascnn.applications import _registry
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_areas
from kerascnn.applications._names import TORCH_SEGMENTATION


@dataclasses.dataclass(frozen=True)
class Spec:
    """One network."""

    backbone: str  # registry name of a network with the option output_stride


VARIANTS = {
    "fcn_resnet50": Spec("resnet50"),
    "fcn_resnet101": Spec("resnet101"),
}


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 8):
    """Stage outputs of the dilated backbone, [b, h/4, w/4, c] to [b, h/8, w/8, 8c] at output stride 8."""
    options = {"drop_path_rate": drop_path_rate, "output_stride": output_stride}
    stages = _registry.backbone(spec.backbone, x, **options)
    return stages, (x, stages[-1])


def head(seen, classes, activation, *, dropout_rate: float = 0.1):
    """3x3 to a quarter of the channels, BN, ReLU, dropout, scores, enlarged to the image: [b, h, w, classes]."""
    image, x = seen
    return blocks.fcn_head(x, image, classes, activation, dropout_rate=dropout_rate, prefix="last_")


def auxiliary(output_of, classes, activation, spec):
    """The same head on the third stage."""
    image = output_of("image")
    return [blocks.fcn_head(output_of("stage3"), image, classes, activation, prefix="aux_", name="aux_head")]


_torchvision = (*TORCH_SEGMENTATION, (r"classifier\.0", "last_conv"), (r"classifier\.1", "last_bn"))
_family = Family(
    __name__,
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, 2014, arXiv:1411.4038",
    preprocessing=SEGMENTATION,
    input_shape=(520, 520, 3),
    classes=21,
    task="segmentation",
    auxiliary=auxiliary,
    auxiliary_weights=(0.5,),
    names={"torchvision": _torchvision},
)
preprocess_input, decode_predictions = pixels_and_areas(__name__)


def _network(builder, name, error):
    return _family(builder, name, reported=f"mean IoU {error} % (COCO val2017, VOC labels, torchvision)")


FCNResNet50 = _network("FCNResNet50", "fcn_resnet50", 60.5)
FCNResNet101 = _network("FCNResNet101", "fcn_resnet101", 63.7)
