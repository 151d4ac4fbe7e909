"""Compares methods: `python -m experiments.compare --methods=all --tasks=... --models=...`.

The flags are those of `moco compare`.
"""

import sys

from moco_jax.cli.main import entry

if __name__ == "__main__":
    sys.argv.insert(1, "compare")
    sys.exit(entry())
