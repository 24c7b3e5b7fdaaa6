"""DeepLab, version 3: a dilated ResNet and atrous spatial pyramid pooling (ASPP).

Liang-Chieh Chen, George Papandreou, Florian Schroff, Hartwig Adam: Rethinking Atrous Convolution for Semantic Image
Segmentation, 2017, arXiv:1706.05587. On deformable networks: Jifeng Dai et al.: Deformable Convolutional Networks,
2017, arXiv:1703.06211.

`deeplabv3_resnet*` are torchvision's: output stride 8, rates 12, 24 and 36, a 3x3 convolution more before the scores,
no multi-grid, and an auxiliary FCN head on the third stage, which the option `auxiliary_heads` adds. `*_2017` are the
paper's: output stride 16, rates 6, 12 and 18, last stage dilated by 2, 4 and 8 (multi-grid 1, 2, 4). In both the rates
follow the option `output_stride`: twice as large at 8 as at 16.

Departures: the paper's networks stand on ResNets of the Torch release, whose bottlenecks stride in the 3x3, where the
authors' code has a stem of three 3x3 convolutions and strides at the end of a stage; batch norm has Torch's constants
(the paper: momentum 0.9997); they are marked as reconstructed. `deeplabv3_resnet18` is ours, for small images: a
pyramid of 128 channels whose rates are a sixth of the paper's; `*_small` have half its widths throughout, `*_thin` a
quarter, `*_slim` an eighth.
`deeplabv3_deformable_*` are torchvision's head on the networks of `deformable_resnet`; the authors of deformable
convolutions used the head of DeepLab version 2 instead.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import SEGMENTATION
from kerascnn.applications import _registry
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_areas
from kerascnn.applications._names import TORCH_SEGMENTATION


@dataclasses.dataclass(frozen=True)
class Spec:
    """One network."""

    backbone: str  # registry name of a network with the option output_stride
    rates: tuple[int, ...] = (6, 12, 18)  # dilations of the pyramid's 3x3 convolutions at output stride 16
    width: int = 256  # channels of each branch and after them
    last_conv: bool = True  # a 3x3 convolution between the pyramid and the scores
    multi_grid: tuple[int, ...] = ()  # factors of the dilations of the last stage's blocks; (): none
    backbone_width: float = 1.0  # factor on the widths of the backbone, which has a field `width` for it


VARIANTS = {
    "deeplabv3_resnet50": Spec("resnet50"),
    "deeplabv3_resnet101": Spec("resnet101"),
    "deeplabv3_resnet50_2017": Spec("resnet50", last_conv=False, multi_grid=(1, 2, 4)),
    "deeplabv3_resnet101_2017": Spec("resnet101", last_conv=False, multi_grid=(1, 2, 4)),
    "deeplabv3_resnet18": Spec("resnet18", rates=(1, 2, 3), width=128),
    "deeplabv3_resnet18_small": Spec("resnet18", rates=(1, 2, 3), width=64, backbone_width=0.5),
    "deeplabv3_resnet18_thin": Spec("resnet18", rates=(1, 2, 3), width=32, backbone_width=0.25),
    "deeplabv3_resnet18_slim": Spec("resnet18", rates=(1, 2, 3), width=16, backbone_width=0.125),
    "deeplabv3_deformable_resnet50": Spec("deformable_resnet50"),
    "deeplabv3_deformable_resnet101": Spec("deformable_resnet101"),
    "deeplabv3_deformable_resnet18": Spec("deformable_resnet18", rates=(1, 2, 3), width=128),
    "deeplabv3_deformable_resnet18_small": Spec("deformable_resnet18", rates=(1, 2, 3), width=64, backbone_width=0.5),
}


def aspp(x, rates, width, dropout_rate, *, name):
    """1x1, dilated 3x3 and the pooled image side by side, each BN, ReLU; together 1x1, BN, ReLU, dropout."""
    branches = [blocks.conv_bn(x, width, 1, name=f"{name}_conv1")]
    for i, rate in enumerate(rates, 2):
        branches.append(blocks.conv_bn(x, width, 3, dilation=rate, name=f"{name}_conv{i}"))
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = blocks.conv_bn(y, width, 1, name=f"{name}_pool_conv")
    branches.append(layers.ResizeLike(name=f"{name}_pool_resize")([y, x]))
    x = keras.layers.Concatenate(name=f"{name}_concat")(branches)
    x = blocks.conv_bn(x, width, 1, name=f"{name}_project_conv")
    return keras.layers.Dropout(dropout_rate, name=f"{name}_dropout")(x)


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 8):
    """Stage outputs of the dilated backbone, [b, h/4, w/4, c] to [b, h/8, w/8, 8c] at output stride 8."""
    row = _registry.model_info(spec.backbone).spec
    if spec.multi_grid:
        row = dataclasses.replace(row, multi_grid=spec.multi_grid)
    if spec.backbone_width != 1:
        row = dataclasses.replace(row, width=spec.backbone_width)
    options = {"drop_path_rate": drop_path_rate, "output_stride": output_stride}
    stages = _registry.backbone(spec.backbone, x, spec=row, **options)
    rates = tuple(max(1, 16 * rate // output_stride) for rate in spec.rates)
    return stages, (x, stages[-1], rates, spec)


def head(seen, classes, activation, *, dropout_rate: float = 0.5):
    """ASPP, 3x3, BN, ReLU, scores, enlarged to the image: [b, h, w, classes]."""
    image, x, rates, spec = seen
    x = aspp(x, rates, spec.width, dropout_rate, name="aspp")
    if spec.last_conv:
        x = blocks.conv_bn(x, spec.width, 3, name="last_conv")
    return blocks.pixel_scores(x, image, classes, activation)


def auxiliary(output_of, classes, activation, spec):
    """An FCN head on the third stage."""
    return [blocks.fcn_head(output_of("stage3"), output_of("image"), classes, activation, prefix="aux_",
                            name="aux_head")]  # fmt: skip


_torchvision = (
    *TORCH_SEGMENTATION,
    (r"classifier\.0\.convs\.([0-3])\.0", "aspp_conv{1+1}"),
    (r"classifier\.0\.convs\.([0-3])\.1", "aspp_bn{1+1}"),
    (r"classifier\.0\.convs\.4\.1", "aspp_pool_conv"),
    (r"classifier\.0\.convs\.4\.2", "aspp_pool_bn"),
    (r"classifier\.0\.project\.0", "aspp_project_conv"),
    (r"classifier\.0\.project\.1", "aspp_project_bn"),
    (r"classifier\.1", "last_conv"),
    (r"classifier\.2", "last_bn"),
)
_shared = {
    "features": features,
    "head": head,
    "variants": VARIANTS,
    "paper": "Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, "
    "arXiv:1706.05587",
    "preprocessing": SEGMENTATION,
    "classes": 21,
    "task": "segmentation",
    "auxiliary": auxiliary,
    "auxiliary_weights": (0.5,),
    "names": {"torchvision": _torchvision},
}
_family = Family(__name__, input_shape=(520, 520, 3), **_shared)
_paper = Family(__name__, input_shape=(513, 513, 3), **_shared)
_small = Family(__name__, input_shape=(64, 64, 3), **_shared)
preprocess_input, decode_predictions = pixels_and_areas(__name__)


def _torch(builder, name, error):
    return _family(builder, name, reported=f"mean IoU {error} % (COCO val2017, VOC labels, torchvision)")


DeepLabV3ResNet50 = _torch("DeepLabV3ResNet50", "deeplabv3_resnet50", 66.4)
DeepLabV3ResNet101 = _torch("DeepLabV3ResNet101", "deeplabv3_resnet101", 67.4)
DeepLabV3ResNet50_2017 = _paper(
    "DeepLabV3ResNet50_2017", "deeplabv3_resnet50_2017", reconstructed=True, output_stride=16, dropout_rate=0.1
)
DeepLabV3ResNet101_2017 = _paper(
    "DeepLabV3ResNet101_2017", "deeplabv3_resnet101_2017", reconstructed=True, output_stride=16, dropout_rate=0.1,
    reported="mean IoU 77.21 % (PASCAL VOC 2012 val, paper, 1 scale)",
)  # fmt: skip
DeepLabV3ResNet18 = _small("DeepLabV3ResNet18", "deeplabv3_resnet18", reconstructed=True, dropout_rate=0.1)
DeepLabV3DeformableResNet50 = _family(
    "DeepLabV3DeformableResNet50", "deeplabv3_deformable_resnet50", reconstructed=True, output_stride=16
)
DeepLabV3DeformableResNet101 = _family(
    "DeepLabV3DeformableResNet101", "deeplabv3_deformable_resnet101", reconstructed=True, output_stride=16
)
DeepLabV3DeformableResNet18 = _small(
    "DeepLabV3DeformableResNet18", "deeplabv3_deformable_resnet18", reconstructed=True, dropout_rate=0.1
)
DeepLabV3ResNet18Small = _small(
    "DeepLabV3ResNet18Small", "deeplabv3_resnet18_small", reconstructed=True, dropout_rate=0.1
)
DeepLabV3ResNet18Thin = _small("DeepLabV3ResNet18Thin", "deeplabv3_resnet18_thin", reconstructed=True, dropout_rate=0.1)
DeepLabV3ResNet18Slim = _small("DeepLabV3ResNet18Slim", "deeplabv3_resnet18_slim", reconstructed=True, dropout_rate=0.1)
DeepLabV3DeformableResNet18Small = _small(
    "DeepLabV3DeformableResNet18Small", "deeplabv3_deformable_resnet18_small", reconstructed=True, dropout_rate=0.1
)
