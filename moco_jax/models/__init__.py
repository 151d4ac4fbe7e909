"""What a language model is: config, decoder, checkpoints in and out, adapters and heads."""
