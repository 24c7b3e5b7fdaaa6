"""Trains a ResNet-20 by two processes that share each batch; kill one of them, and see the run end as it would have.

    python examples/two_workers.py

Time: about two minutes on two cores. Result: about 98 % accuracy on the digits held out for validation.
"""

import sys

from kerascnn.training.workers import find, join, launch

OUT, EPOCHS = "runs/two_workers", 5


def main():
    with join(find(), out=OUT, epochs=EPOCHS) as team:  # before anything uses TensorFlow
        import kerascnn
        from kerascnn import data, training

        source, info = data.load("digits"), kerascnn.model_info("resnet20")
        plan = training.plan(
            info, source, epochs=EPOCHS, batch_size=64, strategy="multiworker", batch_statistics="sync"
        )

        def build():
            return kerascnn.create_model(
                info.name, classes=len(source.class_names), input_shape=plan.shape, classifier_activation=None
            )

        result = training.train(build, source, plan, OUT, workers=team)
        if team.is_chief:
            best = result.rows[result.best]
            print(f"epoch {int(best['epoch'])} of {len(result.rows)}: {best['val_accuracy']:.2%} of the validation")


if __name__ == "__main__":
    if launch.is_launched():
        main()
    else:  # on many machines there is no launcher: each starts main() with TF_CONFIG, or by srun
        sys.exit(launch.launch(2, launch.command_line(), lambda: 0))
