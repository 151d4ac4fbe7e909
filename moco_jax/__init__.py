"""Model collaboration in JAX: several language models, one answer."""
