"""The main job from end to end on real images: train, evaluate, export, predict. Run by `make demo`.

A ResNeXt is trained under MirroredStrategy (on all GPUs, or on the CPU split in two), on Fashion-MNIST where it can be
found or fetched, else on the digits that kerascnn carries. Every step is a kerascnn command, printed before it runs.
"""

import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "demo"


def run(*words: str) -> None:
    """Prints a kerascnn command and runs it; its failure ends the demo."""
    command = ["kerascnn", *(str(word) for word in words)]
    print(f"\n$ {shlex.join(command)}", flush=True)
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


def choose_data() -> tuple[str, list[str]]:
    """The data set's name and the training flags that fit it into minutes on two cores."""
    import kerascnn

    try:
        kerascnn.data.load("fashion_mnist")
    except ValueError as error:
        print(f"Fashion-MNIST is not here ({error})\nTaking the digits that kerascnn carries.")
        return "digits", ["--epochs", "10", "--batch-size", "64"]
    return "fashion_mnist", ["--epochs", "3", "--limit", "12000"]


def split_cpu() -> list[str]:
    """Flags that make two devices of the CPU where there is no GPU to mirror over."""
    import tensorflow as tf

    return [] if tf.config.list_physical_devices("GPU") else ["--virtual-devices", "2"]


def save_test_images(data: str, folder: Path) -> None:
    """Writes one test image of each class as PNG, named by its true class."""
    import tensorflow as tf

    import kerascnn

    source = kerascnn.data.load(data)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(range(len(source.class_names)))
    for image, label in source.dataset("test"):
        if int(label) in wanted:
            wanted.remove(int(label))
            name = source.class_names[int(label)].replace("/", "-").replace(" ", "_")
            (folder / f"{name}.png").write_bytes(tf.io.encode_png(image).numpy())
        if not wanted:
            break


def main() -> None:
    start = time.monotonic()
    data, flags = choose_data()
    checkpoint, exported, images = (Path("demo") / name for name in ("run", "exported", "images"))
    run("train", "--model", "resnext29_8x4d_thin", "--data", data, *flags, "--strategy", "mirrored",
        *split_cpu(), "--out", checkpoint)  # fmt: skip
    run("evaluate", "--checkpoint", checkpoint)
    run("export", "--checkpoint", checkpoint, "--out", exported)
    save_test_images(data, ROOT / images)
    run("predict", "--saved-model", exported, "--top", "3", images)
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"\nDone in {minutes} min {seconds} s. Pictures:")
    for picture in sorted(OUT.rglob("*.png")):
        if picture.parent != ROOT / images:
            print(f"  {picture.relative_to(ROOT)}")
    print(f"The predicted images are in {images}; the SavedModel for TensorFlow Serving is in {exported}.")


if __name__ == "__main__":
    main()
