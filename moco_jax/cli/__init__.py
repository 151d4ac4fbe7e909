"""The `moco` command: the only place that reads flags and sets JAX's configuration."""
