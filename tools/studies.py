"""Runs the studies of results/studies and writes their page.

    python tools/studies.py run [ROW...]    # in a folder with runs/fashion_mnist, see tools/fashion_mnist.py
    python tools/studies.py page

Each row is a line of `kerascnn study`; what it writes is kept in results/studies/ROW. The page says of each what it
teaches, what its source claims and whether it is so here.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from kerascnn._files import replace_with

OUT = Path(__file__).resolve().parents[1] / "results" / "studies"
_RESNET = "--model resnet20 --weights fashion_mnist"
_LENET = "--checkpoint runs/fashion_mnist/lenet5"

# Row -> heading, the line, and what it teaches.
ROWS = {
    "initialization_tanh": (
        "Where training starts: tanh",
        "initialization --set activation=tanh",
        "A layer multiplies by a random matrix: if its weights are too small, activations die out with depth; too "
        "large, and tanh saturates, so that no gradient comes back. Xavier's variance, 2 / (in + out), keeps both "
        "about level.",
    ),
    "initialization_relu": (
        "Where training starts: ReLU",
        "initialization --set activation=relu",
        "A ReLU loses half of the second moment, which He's factor of two gives back; Xavier's weights lose a "
        "factor of sqrt(2) at each layer. Orthogonal weights, LSUV and Fixup come to the same by other ways.",
    ),
    "random_features": (
        "Double descent",
        "random_features",
        "With as many random features as training points the fit is exact for the first time, and worst: the "
        "matrix is badly conditioned, and the smallest solution is huge. With still more features there are many "
        "exact fits, and the smallest of them is smooth. Ridge regression of the right strength has no peak.",
    ),
    "effective_field": (
        "What a unit sees",
        f"effective_field {_RESNET} --set layer=stage2_block1_relu --set samples=64",
        "The receptive field of a unit is the square that can change it; most of the change comes from a blob in "
        "its middle, as there are more ways through the layers there.",
    ),
    "landscape_lenet5": (
        "The loss around a trained LeNet-5",
        f"landscape {_LENET} --samples 1000 --set points=21",
        "Random directions in which each filter has its own norm make surfaces of different networks comparable: "
        "scaling a layer up and the next one down changes the network's numbers and not what it computes. The "
        "trained weights are the lowest point of the plane; far outside, where the loss is many times that of "
        "guessing, some ways fall again, hence the \"no\".",
    ),
    "landscape_resnet20": (
        "The loss around a trained ResNet-20",
        f"landscape {_RESNET} --data fashion_mnist --samples 2000 --set points=25",
        "The same for a residual network with batch norm. Near the middle it is a smooth valley, longer in one "
        "direction of the plane than in the other; far outside, where the loss is a hundred times that of guessing, "
        "some ways fall again. The source's figures are of 56 and 110 layers, and of networks without shortcuts, "
        "whose surfaces are rough; of this depth alone nothing follows for them.",
    ),
    "lesions_resnet20": (
        "Lesions of a residual network",
        f"lesions {_RESNET} --data fashion_mnist --split validation --samples 1000",
        "A chain of n residual blocks is a sum over 2^n paths, most of which do not pass a given block. In the "
        "source's network of 54 blocks the loss of one is hardly noticed, and the gradient along a path falls with "
        "its length. Here there are nine, and each counts: half of all paths go through it, the first stages have "
        "learned to rely on it, and a branch is no small correction, so that the gradient grows with the length. "
        "That blocks can be exchanged within limits, and that errors grow smoothly, is as in the source.",
    ),
    "lesions_plain20": (
        "Lesions of a plain network",
        "lesions --model plain20 --weights digits --data digits --samples 1000",
        "Without shortcuts there is one path, and it passes every layer.",
    ),
    "degradation": (
        "Why networks had to become residual",
        "degradation --data fashion_mnist --samples 2500",
        "A deeper plain network could copy a shallower one and let its other layers pass everything on, yet training "
        "does not find that: with 44 layers its training loss is 0.78 where that of 8 layers is 0.02, and only 71 % "
        "of the images that it was trained on are right, which is no overfitting. A shortcut makes passing on what a "
        "block is born with: all residual networks fit 99 % and more. Their loss is lowest with 20 layers, 0.006, "
        "and 0.04 with 44, which learn more slowly, hence the \"no\". On other images depth gains nothing here: "
        "2,000 are few.",
    ),
    "batch_norm_rates": (
        "Learning rates with and without batch norm",
        "batch_norm_rates --data fashion_mnist --samples 3000 --set held_out=0.4 --set steps=200",
        "A step that is too large makes activations grow from layer to layer, until the loss overflows or no ReLU is "
        "open any more. Batch norm sets the scale anew in each layer: here it learns at a rate of 1 where the same "
        "network without it is lost at 0.1, and ends at a loss of 0.48 instead of 0.79, each at its best rate. The "
        "source holds that the larger steps are what helps, and not the norm as such. Here both do: at 0.01, which "
        "is best without it, batch norm already has nearly half of the gain in loss and three quarters of that in "
        "held-out accuracy, hence the last line. The bars tell apart what diverged, what ran on at a high loss, and "
        "what learned.",
    ),
    "batch_norm_only": (
        "Batch norm alone",
        "batch_norm_only --data fashion_mnist --samples 3000 --set held_out=0.4 --set steps=300 --set draws=2",
        "All filters keep their random start; only the scale and the shift of each feature are learned. That is "
        "about one percent of all numbers, and what they can do is choose, mix and threshold random features. With "
        "26 layers 912 of them are right on 69 % of held-out images, as many random weights of the filters on 32 %, "
        "the classifier alone on 36 %, and everything on 83 %. Batch norm alone gains with depth, as there are more "
        "features to choose from. In the source, which trains deeper networks for longer, a third of the scales ends "
        "near zero; after these 300 steps it is 3 %. Two draws of each.",
    ),
    "covariate_shift": (
        "Internal covariate shift and smoothness",
        "covariate_shift --data fashion_mnist --samples 3000 --set steps=200 --set measures=10 --set draws=2",
        "Batch norm was made to keep the inputs of a layer from shifting while the layers before it learn. Measured by "
        "what that shift does to the layer's gradient, it is no smaller with batch norm: over all layers and steps the "
        "median cosine of the gradient before and after the others' step is 0.74 with it and 0.88 without. By layer "
        "it is mixed: gradients turn more in layers 2 to 10 and less in the last three. What does differ is the loss "
        "along the step: with batch norm it varies by 0.11 where it varies by 0.57 without, and the gradient that was "
        "measured at its start holds for longer.",
    ),
    "double_descent": (
        "Double descent of trained networks",
        "double_descent --data fashion_mnist --samples 2500 --set pool=4 --set batch_size=500",
        "A fifth of the labels of 500 images is wrong. Networks of a few hidden units cannot learn them; one that "
        "just can, here of 16, has a single way to, and bends everywhere for them: its test error is 49 %, after 42 "
        "% of four units. A large one has many ways, and training finds one that harms little beside the wrong "
        "labels: 37 % with 256 units. The source sees the same by steps, within one large network. Here its error "
        "falls to 28 %, rises to 36 % as the wrong labels are learned, and stays there: stopping early is best of "
        "all.",
    ),
    "sharpness": (
        "Sharp and wide minima",
        "sharpness --data fashion_mnist --samples 2500 --set pool=2 --set passes=3000",
        "Plain gradient steps leave a valley whose largest eigenvalue is above 2 / rate, the gray line, and the noise "
        "of small batches throws them out of narrow ones even earlier: from the smallest steps on the largest batches "
        "to the largest steps on the smallest, the eigenvalue falls from 25 to 0.7. Training ends where the mean loss "
        "of a pass is 0.03, so that curvatures can be compared; at the very ends it is between 0.014 and 0.11, as a "
        "last noisy step moves it. On other images all medians are within 2 %, and draws differ by as much: flat is "
        "not better here, and the last line orders differences that mean nothing.",
    ),
    "kernel_stacks": (
        "Small kernels in stacks",
        "kernel_stacks --data fashion_mnist --samples 5000 --set held_out=0.4 --set width=12 --set steps=400",
        "Three convolutions of 3x3 see as many pixels as one of 7x7, have 27 weights for each pair of channels instead "
        "of 49, and bend three times instead of once. The source takes such stacks everywhere for that, and found its "
        "network of 3x3 pairs better on ImageNet than one with a 5x5 in the place of each pair. Here training is short "
        "and without batch norm: training accuracies are at 75 to 79 % yet, and the stacks, which are deeper, learn "
        "more slowly. Their medians are nearly a point behind, and one draw of the deepest ends at 66 %.",
    ),
    "trajectory": (
        "The way of a training",
        "trajectory --data fashion_mnist --samples 1250 --image-size 14 --set steps=400 --set points=17",
        "In random directions a training hardly moves; the principal components of its weights are where it does. "
        "The first two have 87 % of the variance with batches of 16, and 92 % with batches of 128, which is above the "
        "range that the source tells of its networks. Alone this says little: the first two components of a random "
        "walk in many dimensions have 76 %, and its way in their plane is a smooth bow, too. By half of the steps, "
        "where the rate is divided by ten, the weights are nearly where they end; small batches' loss still falls "
        "from 0.63 to 0.43, on a way too short to be seen.",
    ),
    "paths": (
        "Ways from one minimum to another",
        "paths --data fashion_mnist --samples 1250 --image-size 14 --set blocks=1,2 --set widths=4,8",
        "Two trainings from different starts end in different places, and half way on the straight line between them "
        "the loss is that of guessing or more, 2.4 to 3. Yet there are ways around: on paths that AutoNEB finds from "
        "that line in six cycles, the loss rises to 0.29 from minima of 0.16, and with twice the width to 0.11 from "
        "0.06. The first \"no\" is of a bound of 0.12 above the minima, where two of three networks rise by 0.13 and "
        "0.16; the second of the deeper networks: without batch norm, 14 layers are trained to 0.49 only after 800 "
        "steps, and the highest point between them, 0.65, is still less than a tenth of the rise along the line "
        "above it. The source's networks are deeper, trained to the end, and hardly rise at all.",
    ),
    "shortcuts_landscape": (
        "The loss with and without shortcuts",
        "shortcuts_landscape --data fashion_mnist --samples 1250 --image-size 14 --set steps=300 --set draws=1 "
        "--set samples=250",
        "Networks that differ in nothing but their shortcuts, and the loss around where each was trained to, in two "
        "random directions of filters' norms. Rough is the share of places where the surface bends down in some "
        "direction, flat that with a loss below 1, inside the orange line. Without shortcuts the surface of 44 "
        "layers is rough in two places of three, of 8 layers in one of ten; with them it is rough in half as many. "
        "Four times the width makes both smoother, and the low region of the residual network three times as large. "
        "The plain ones of 44 layers have no such region to grow: after 300 steps their loss is above 1 in the "
        "middle, too. One draw of each.",
    ),
    "dropout_filters": (
        "Dropout and SAF-pooling: units and filters",
        "dropout_filters --data fashion_mnist --samples 2500 --set held_out=0.8 --set width=8 --set steps=500",
        "Dropout sets outputs of a layer to zero at random while training, so that no unit can rely on one other; "
        "SAF-pooling does so with what max pooling gives. Here one network learns from the same weights and the same "
        "batches with neither, with dropout, and with SAF-pooling. A unit is dead where it gives zero for every "
        "held-out image; two filters are alike where the cosine between them is near 1; the stable rank tells in how "
        "many directions the filters of a layer extend. Both kinds of noise leave more zeros behind ReLUs, and "
        "filters that are more alike and extend in half as many directions: the opposite of what is told of them. "
        "Without noise all 500 images are fitted, and the loss on others is 1.35; with it, 0.60 and 0.63. Dead units "
        "and held-out accuracies differ by less than their draws do: those lines say little.",
    ),
    "cardinality": (
        "Cardinality: groups at the same cost",
        "cardinality --data fashion_mnist --samples 4000 --set held_out=0.5 --set cardinalities=1,2,4,16 "
        "--set width=8 --set steps=300",
        "A block of C groups of d channels has C (2 F d + 9 d^2) weights: more groups have to be narrower, and the "
        "same multiply-adds are spent on more and smaller transformations. In the source the error falls with each "
        "step to more groups at the same cost, and twice the cost is better spent on groups than on layers or on "
        "width. Here the training loss does so: 0.26 with one group, 0.21 with sixteen of the same cost, 0.17 with "
        "32 at twice the cost, where one of twice the layers ends at 0.31. On held-out images medians fall from 17.6 "
        "% by half a point, and single draws of the same network differ by a point and more. The lower panels show "
        "what each network costs.",
    ),
    "constrained_cost": (
        "Depth, width and filter size at the same cost",
        "constrained_cost --data fashion_mnist --samples 4000 --set held_out=0.5",
        "A convolution costs positions times filter area times channels in times channels out: depth has to be paid "
        "for by width or by smaller filters. All networks here take the same multiply-adds. In the source depth is "
        "worth more than width and than large filters, until there is too much of it for a network without "
        "shortcuts. So it is here: two layers a stage are best, two of 3x3 are nearly a point ahead of one of 5x5, "
        "within their draws; of six layers a stage two draws of three do not learn at all, and twelve learn little. "
        "The last panel shows what the same count takes in processor time: a training step of the deepest more than "
        "twice that of the shallowest, as thin layers are slow.",
    ),
}  # fmt: skip
HEADING = """# Why networks train: the studies, run

Written by `tools/studies.py` from what `kerascnn study` has measured on a CPU; [docs/studies.md](../../docs/studies.md)
says how to run your own. A "no" is a result: the network here is not the source's, and the text says how.
"""


def run(names: list[str]) -> None:
    """Runs rows; each again from the start."""
    for name in names or ROWS:
        words = [sys.executable, "-m", "kerascnn", "study", *ROWS[name][1].split(), "--out", str(OUT / name)]
        subprocess.run(words, check=True)


def page() -> None:
    """Writes the page, of the rows that have run."""
    lines = [HEADING]
    for name, (heading, line, text) in ROWS.items():
        record = OUT / name / "study.json"
        if not record.exists():
            continue
        found = json.loads(record.read_text(encoding="utf-8"))
        lines += [f"## {heading}", "", text, "", f"![{heading}]({name}/picture.png)", ""]
        lines += ["| what the source says | here |", "| --- | --- |"]
        for claim, holds in found["claims"].items():
            bars = claim.replace("|", "\\|")
            lines.append(f"| {bars} | {'yes' if holds else 'no'} |")
        told = f"`kerascnn study {line}`, seed {found['settings'].get('seed', 0)}, {found['seconds']:.0f} s"
        lines += ["", f"{told}; [numbers]({name}/arrays.npz), [record]({name}/study.json)", ""]
    with replace_with(OUT / "README.md") as temporary:
        Path(temporary).write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], metavar="ROW", help="rows to run; none: all")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if args.what == "run":
        run(args.names)
    page()


if __name__ == "__main__":
    main()
