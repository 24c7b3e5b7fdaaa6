"""Random changes of training images: operations composed in a text, `parse("resized_crop + flip + mixup(0.2)")`.

A text is "none", or operations joined by "+" and done from left to right; each is NAME or NAME(VALUE, key=VALUE), a
value being a number or, where there is a choice, a word:

    operation        arguments and defaults             what it does
    crop             scale=8/7                          fits the image scale times larger, takes a random window
    pad_crop         part=0.125                         a black border of that part of the size, a random window
    resized_crop     smallest=0.08, largest=1           a window of random area and aspect ratio instead of the fit
    scale_crop       smallest=0.5, largest=2            enlarges or shrinks image and mask, takes a random window
    scale_crop_flip                                     scale_crop and flip in one
    flip             probability=0.5                    mirrors left and right
    pca_noise        std=0.1                            shifts the color along ImageNet's principal components
    autoaugment      policy=imagenet                    one of 25 learned pairs of changes: imagenet, cifar, svhn, v0
    randaugment      count=2, magnitude=9               some random changes, all of one level
    trivialaugment                                      one random change of a random level
    augmix           severity=3, width=3, depth=0       a mixture of random chains of changes
    vertical_flip    probability=0.5                    turns upside down
    color_jitter     brightness, contrast, saturation   random factors around 1, and a turn of the hue
    grayscale        probability=0.2                    turns gray
    gaussian_blur    probability=0.5                    blurs
    cutout           part=0.5, fill=mean                covers a square
    random_erasing   probability=0.25, fill=noise       covers a box of random area and aspect ratio
    mixup            alpha=0.2, per=batch               mixes the images and labels of a batch linearly
    cutmix           alpha=1, per=batch                 puts a box of one image into another, labels by area
    mixup_or_cutmix  mixup=0.8, cutmix=1, switch=0.5    one of the two, batch by batch

`crop`, `flip`, `vertical_flip`, `pca_noise`, `color_jitter`, `grayscale`, `gaussian_blur`, `scale_crop` and
`scale_crop_flip` are for semantic segmentation, where masks move with
their images; all but `scale_crop` and `scale_crop_flip` are for classification.
The four policies of changes also take interpolation=nearest (or bilinear) and fill=black (gray, mean); what further
arguments there are is told by the operations' own descriptions, and by docs/augmentation.md. They work on whole values:
what an operation before them left in fractions is rounded.
An operation that chooses the size at which it takes the image (`crop`, `resized_crop`, `scale_crop`, `scale_crop_flip`)
comes first, and there is at most one; those that mix the images of a batch come last and make the labels float32
[batch, classes]. They mix normalized pixels, which is the same as mixing pixels, because the weights add up to 1.

Names of whole compositions for classification, which may also be parts of longer ones (see `ALIASES`): "pad_crop_flip"
is "pad_crop + flip", "random_resized_crop" is "resized_crop + flip", "alexnet" is "crop + flip + pca_noise".

An operation draws from (seed, epoch, number of the example or batch, its place in the text) alone. A new operation is
one new file of this folder with `OPERATIONS`, a tuple of classes derived from `Operation`; it is found by listing.

    from kerascnn.data import augment

    augment.parse("pad_crop(0.2) + flip + cutmix")
    # (PadCrop(part=0.2), Flip(probability=0.5), CutMix(alpha=1.0))
"""

from kerascnn.data.augment.operation import Operation, Target
from kerascnn.data.augment.parse import ALIASES, check, operations, parse

__all__ = ["ALIASES", "Operation", "Target", "check", "operations", "parse"]
