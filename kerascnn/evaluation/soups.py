"""Means of weights that are fit to be used: batch statistics estimated anew, and only members that help."""

from collections.abc import Callable, Sequence

from kerascnn import _check, data
from kerascnn._errors import InputError
from kerascnn.evaluation.batches import batches
from kerascnn.evaluation.measuring import evaluate
from kerascnn.evaluation.report import Report
from kerascnn.inference.predictor import Predictor
from kerascnn.inference.soups import average_weights, check_same
from kerascnn.inference.statistics import estimate_statistics


def soup(
    predictors: Sequence[Predictor], source: data.Source, *, images: int = 10_000, batch_size: int = 128
) -> Predictor:
    """The mean of the weights of several networks, its batch statistics estimated on training images.

    Args:
        predictors: classifiers of one architecture; see `inference.average_weights` for which have a useful mean.
        source: the data that they were trained on.
        images: how many training images the statistics are estimated on, at most; chosen by the seed 0, without
            augmentation.
        batch_size: how many at a time.

    Returns:
        The network.

    Raises:
        InputError: the networks are not of one architecture, or one is not for classification.

    Example:

        network = evaluation.soup([inference.checkpoint.load(run) for run in ("runs/a", "runs/b")], data.load("digits"))
    """
    _check_arguments(predictors, images, batch_size)
    mean = average_weights(predictors)
    size = min(batch_size, images)
    mixed, _ = data.train_pipeline(
        source, image_shape=mean.input_shape, preprocessing=mean.preprocessing, batch_size=size
    )
    estimate_statistics(mean.model, (pixels for pixels, _ in mixed.take(images // size)))
    return mean


def greedy_soup(
    predictors: Sequence[Predictor],
    source: data.Source,
    *,
    images: int = 10_000,
    batch_size: int = 128,
    tell: Callable[[str], object] | None = None,
) -> tuple[Predictor, list[int]]:
    """A soup of those networks that make it better on the validation part: tried once each, the best alone first.

    Args:
        predictors, source, images, batch_size: see `soup`.
        tell: is told in words what was tried.

    Returns:
        The network, and which members it is the mean of; where no mean is as good as the best member alone, that one
        with its own statistics.

    Raises:
        InputError: as for `soup`.

    Source:
        Wortsman et al.: Model soups, 2022, arXiv:2203.05482, recipe 1; of equal accuracies the lower loss counts.

    Example:

        network, members = evaluation.greedy_soup(predictors, data.load("digits"))
    """
    networks = list(predictors)
    _check_arguments(networks, images, batch_size)
    if not networks:
        raise InputError("There must be networks to be averaged. Received: none")
    for predictor in networks:
        check_same(networks[0], predictor)

    def measured(predictor) -> Report:
        return evaluate(predictor, batches(predictor, source, "validation", batch_size=batch_size))

    alone = [_score(measured(predictor)) for predictor in networks]
    order = sorted(range(len(networks)), key=lambda i: alone[i], reverse=True)
    members, best, found = order[:1], alone[order[0]], networks[order[0]]
    for i in order[1:]:
        tried = soup([networks[j] for j in (*members, i)], source, images=images, batch_size=batch_size)
        score = _score(measured(tried))
        kept = score >= best
        if tell:
            tell(f"soup of {len(members) + 1}: validation accuracy {score[0]:.2%}, {'kept' if kept else 'left'}")
        if kept:
            members, best, found = [*members, i], score, tried
    return found, members


def _check_arguments(predictors, images, batch_size) -> None:
    for predictor in predictors:
        if predictor.task != "classification":
            raise InputError(f"Soups are of classifiers. Received: a network for {predictor.task}{predictor.origin}")
    _check.whole("images", images, 1)
    _check.whole("batch_size", batch_size, 1)


def _score(report: Report) -> tuple[float, float]:
    return report.top1, -report.loss
