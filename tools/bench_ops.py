"""Every op against TensorFlow, Keras and PyTorch/torchvision and against the machine's limits, in one run.

    python tools/bench_ops.py --out results/ops                                        # about 5 minutes
    python tools/bench_ops.py --peers-python peers/bin/python --out results/ops
    python tools/bench_ops.py --only "conv2d*" --shapes resnext50 --dtype bfloat16 --threads 1

The same as `kerascnn benchmark ops`, whose --help lists the flags, from a checkout without installing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kerascnn import cli  # noqa: E402

if __name__ == "__main__":
    sys.exit(cli.main(["benchmark", "ops", *sys.argv[1:]]))
