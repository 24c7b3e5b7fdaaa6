"""What the papers do differently with the same operations: one row a paper."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Style:
    """Conventions of the cells of a paper. The defaults are those of NASNet."""

    tensorflow: bool = True  # strided windows are padded as TensorFlow's "same"; False: on both sides, as in PyTorch
    momentum: float = 0.99  # of batch norm
    epsilon: float = 1e-3  # of batch norm
    affine: bool = True  # batch norm has factors and shifts
    repeats: int = 2  # a separable convolution is done so many times, the first with the stride
    dilated_repeats: int = 2  # the same for dilated ones
    bottleneck: bool = False  # 3x3, 1x3-3x1 and 1x7-7x1 lie between two 1x1, the first to fewer channels
    norm_between: bool = True  # batch norm and ReLU between 1x7 and 7x1
    stride_by_axis: bool = False  # 1x7 strides along its own axis, as 7x1 does; False: 1x7 strides along both
    pool_norm: bool = False  # batch norm without factors after pools
    average_zeros: bool = False  # strided averages count the zeros around the map
    maximum_zeros: bool = False  # strided maxima see zeros around the map
    pool_relu: bool = False  # ReLU before the 1x1 that follows a pool where channels differ
    factorized_identity: bool = False  # a strided identity is a factorized reduction; False: ReLU, 1x1/2, BN
    factorized_relu: bool = False  # the same has a ReLU first
    match_always: bool = False  # c2 goes through ReLU, 1x1, BN even where its channels fit
    match_newest: bool = False  # c1 goes through ReLU, 1x1, BN twice where its channels differ
    drop_by_depth: bool = True  # drop-path grows with the number of the cell; False: it is the same in all
    odd_halves: bool = True  # of an odd number of channels a factorized reduction makes all, not one less
    raw_start: bool = True  # the first cell's c2 is its unmatched c1; False: the same tensor, matched
    initial: tuple[float, str, str] = (2.0, "fan_out", "truncated_normal")  # scale, mode, distribution of kernels

    def __str__(self) -> str:
        """What differs from NASNet."""
        found = [
            f"{field.name} {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(found) or "as NASNet"

    def initializer(self, *, depthwise: bool = False) -> keras.initializers.Initializer:
        """Initial values of kernels; of depthwise ones, where Keras counts k * k * channels as fan-in, from k * k."""
        scale, mode, distribution = self.initial
        return keras.initializers.VarianceScaling(scale, "fan_out" if depthwise else mode, distribution)


NASNET = Style()  # TF-slim's nasnet.py and pnasnet.py, for ImageNet
NASNET_CIFAR = Style(momentum=0.9, epsilon=1e-5)
NASNET_KERAS = Style(average_zeros=True, maximum_zeros=True)  # keras.applications
NASNET_TIMM = Style(average_zeros=True)
AMOEBANET = Style(bottleneck=True, stride_by_axis=True, odd_halves=False)  # the authors' release for TPUs
AMOEBANET_CIFAR = dataclasses.replace(AMOEBANET, momentum=0.9, epsilon=1e-5)
ENAS = Style(
    momentum=0.9, epsilon=1e-5, factorized_identity=True, pool_relu=True, match_newest=True, raw_start=False,
    initial=(2.0, "fan_in", "truncated_normal"),
)  # fmt: skip
DARTS = Style(
    tensorflow=False, momentum=0.9, epsilon=1e-5, dilated_repeats=1, norm_between=False, stride_by_axis=True,
    factorized_identity=True, factorized_relu=True, match_always=True, raw_start=False, drop_by_depth=False,
    initial=(1 / 3, "fan_in", "uniform"),  # PyTorch's
)  # fmt: skip
NAO = Style(momentum=0.9, epsilon=1e-5, pool_relu=True, initial=(1.0, "fan_out", "truncated_normal"))
