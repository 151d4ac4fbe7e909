"""Verifiable instructions of IFEval (arXiv 2311.07911): one small check per instruction."""

from moco_jax.tasks.instructions.registry import INSTRUCTIONS, Instruction, instruction

__all__ = ["INSTRUCTIONS", "Instruction", "instruction"]
