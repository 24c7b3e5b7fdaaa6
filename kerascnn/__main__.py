"""`python -m kerascnn` is `kerascnn`."""

import sys

from kerascnn.cli import main

sys.exit(main())
