"""Training: pure losses, one jitted step, a resumable data pipeline and checkpoints."""
