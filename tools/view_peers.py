"""Records what torchvision makes of small images with FiveCrop and TenCrop, for the tests of test-time augmentation.

    python tools/view_peers.py

A second, into tests/golden/views.npz. Needs torch and torchvision, not TensorFlow (extra `peers`).
"""

from pathlib import Path

import numpy as np
import torch
from torchvision import transforms

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
CASES = ((12, 15, 8, 8), (11, 14, 6, 9), (9, 9, 9, 9), (13, 10, 6, 5))  # rows, columns, height and width of a crop


def main() -> None:
    """Writes the file."""
    random, arrays = np.random.RandomState(0), {}
    for rows, columns, height, width in CASES:
        image = random.randint(0, 256, (rows, columns, 3)).astype(np.uint8)
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        key = f"{rows}x{columns},{height}x{width}"
        arrays[f"image {key}"] = image
        for name, crop in (("five", transforms.FiveCrop), ("ten", transforms.TenCrop)):
            views = crop((height, width))(tensor)
            arrays[f"{name} {key}"] = np.stack([view.permute(1, 2, 0).numpy() for view in views])
    np.savez_compressed(GOLDEN / "views.npz", **arrays)


if __name__ == "__main__":
    main()
