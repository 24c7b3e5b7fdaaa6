"""Cells of your own: written down, printed, drawn, kept in a file, built into a network and trained.

    python examples/own_cells.py

Time: about a minute on two cores. Result: the cells as text and in mine.png and mine.json, and mine.keras, a network of
170,000 weights that is right on about 97 % of the 360 held-out digits.
"""

import keras
from rich.console import Console

import kerascnn
from kerascnn.cells import Cell, Genotype

mine = Genotype(
    "mine",
    normal=Cell(
        [
            "sep_3x3(c1) + identity(c2)",  # c1: output of the cell before; c2: of the one before that
            "sep_5x5(c2) + max_3x3(c1)",
            "conv_3x3(n1) + identity(n2)",  # n1, n2: the sums above
        ],
        concat="c1 n1 n3",
    ),
    reduce=Cell(["max_3x3(c1) + sep_3x3(c2)", "conv_3x3(c1) + avg_3x3(n1)"]),  # n2 is put out, as no other reads it
)
Console().print(kerascnn.cells.text_graph(mine))
kerascnn.cells.plot_genotype(mine, "mine.png")
mine.save("mine.json")
assert Genotype.load("mine.json") == mine

source, epochs = kerascnn.data.load("digits"), 8  # 1,797 handwritten digits, shipped with the package
preprocessing = kerascnn.model_info("nasnet_a_6_768").preprocessing.for_channels(1)
settings = {"image_shape": (16, 16, 1), "preprocessing": preprocessing, "batch_size": 64}
train, steps = kerascnn.data.train_pipeline(source, **settings, epochs=epochs)
test = kerascnn.data.eval_pipeline(source, "test", **settings, keep=True)

keras.utils.set_random_seed(0)
model = kerascnn.cells.network(mine, cells=1, filters=16, input_shape=(16, 16, 1), classes=10, drop_path_rate=0.1)
rate = keras.optimizers.schedules.CosineDecay(0.0, epochs * steps, warmup_target=0.05, warmup_steps=steps)
model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
run = {"epochs": epochs, "steps_per_epoch": steps, "shuffle": False, "verbose": 2}
run["callbacks"] = [kerascnn.training.ScheduleDropPath(epochs, steps)]  # drops more paths from epoch to epoch
model.fit(train, validation_data=test, **run)
print(f"{model.count_params():,} parameters")
model.save("mine.keras")
