"""Runs one method on one task: `python -m experiments.run --method=... --task=... --models=...`.

The flags are those of `moco run`.
"""

import sys

from moco_jax.cli.main import entry

if __name__ == "__main__":
    sys.argv.insert(1, "run")
    sys.exit(entry())
