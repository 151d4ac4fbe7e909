"""Packaging of moco_jax: what it needs, what ships, and the `moco` command."""

from setuptools import find_packages, setup

REQUIRES = [
    "absl-py>=2.1",
    "datasets>=3.0",
    "evosax>=0.3.2",
    "flax>=0.12",
    "grain>=0.2.12",
    "huggingface_hub>=0.30",
    "jax>=0.10",
    "jinja2>=3.1",
    "numpy>=2.0",
    "optax>=0.2.5",
    "orbax-checkpoint>=0.11.20",
    "safetensors>=0.5",
    "tqdm>=4.66",
    "transformers>=5.0",
]

EXTRAS = {
    "cuda": ["jax[cuda13]>=0.10"],
    "tpu": ["jax[tpu]>=0.10"],
    "chem": ["rdkit>=2025.3"],
    "language": ["py3langid>=0.3"],
    "math": ["math-verify>=0.8"],
    "test": ["hypothesis>=6.100", "pytest>=8.0", "pytest-xdist>=3.6"],
    "lint": ["import-linter>=2.0", "mypy>=1.15", "ruff>=0.12"],
    "parity": ["mergekit>=0.1.5", "peft>=0.17", "torch==2.13.0"],
}

setup(
    name="moco_jax",
    version="0.1.0",
    description="Model collaboration in JAX: several language models, one answer",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["moco_jax", "moco_jax.*"]),
        *(f"moco_jax.{name}" for name in find_packages(include=["kernels", "kernels.*"])),
    ],
    package_dir={"moco_jax.kernels": "kernels"},
    package_data={
        "moco_jax": [
            "py.typed",
            "tiny/pool/**/*",
            "tiny/tasks/*.json",
            "tasks/*.tsv",
            "tasks/sandbox/inside/*.py",
            "analysis/*.html",
        ],
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["moco = moco_jax.cli.main:entry"]},
)
