"""kerascnn finetune."""

from rich.console import Console

from kerascnn.cli import planning, workers
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.commands import train
from kerascnn.training.finetuning import DOMAINS, SIZES, SMALL


def run(values: Values, arguments: list[str], console: Console) -> int | None:
    """kerascnn finetune."""
    overrides = planning.training_flags(values)
    train.check_weights(values)

    def work(team, console):
        from kerascnn import training

        info, source = planning.training_data(values, overrides)
        names = ("size", "domain", "head_stage", "recipe", "image_size")
        chosen = training.finetuning_plan(info, source, **{name: values[name] for name in names}, **overrides)
        console.print(f"{chosen.reason}.", highlight=False, markup=False, soft_wrap=True)
        decided = {**values, "head_stage": chosen.head_stage}
        train.train(decided, info, source, chosen.plan, console, new_head=True, team=team)

    return workers.attend(values, overrides, console, work)


COMMAND = Command(
    "finetune",
    "",
    "Trains a network with published weights on another task: chooses what of it learns, and how fast.",
    "kerascnn finetune --model efficientnet_lite0 --weights imagenet --data digits --out runs/digits",
    (
        Flag(
            "size",
            "of the set",
            choices=SIZES,
            group="case",
            unless_given=f"small: fewer than {SMALL} images a class to learn from",
        ),
        Flag(
            "domain",
            "its images beside those that the weights were trained on",
            choices=DOMAINS,
            group="case",
            unless_given="different: other channels, or less than half their size",
        ),
        *train.FLAGS,
    ),
    run,
    required=("model", "weights", "data", "out"),
    note="small, similar: a linear head. small, different: a linear head on an earlier stage. large, similar: all at a "
    "tenth of the recipe's rate, which falls from the head to the input. large, different: all at a tenth of the rate. "
    "Every flag that is given wins over what the case says; with --freeze, --unfreeze, --layer_decay or --head_stage "
    "nothing is chosen but --epochs and --batch_size. --dry_run prints all of it.",
)
