"""The embedded pool: small models trained by this library, and two tasks for them."""

from moco_jax.tiny.registry import DESCRIPTIONS, MEMBERS, MODEL_DESCRIPTIONS, tiny_pool_path

__all__ = ["DESCRIPTIONS", "MEMBERS", "MODEL_DESCRIPTIONS", "tiny_pool_path"]
