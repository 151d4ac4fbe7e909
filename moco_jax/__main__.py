"""`python -m moco_jax` is `moco`."""

import sys

from moco_jax.cli.main import entry

sys.exit(entry())
