"""Compares methods: `python -m experiments.compare --methods=all --tasks=... --models=...`.

The flags are those of `moco compare`.
"""

import sys

from moco_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
