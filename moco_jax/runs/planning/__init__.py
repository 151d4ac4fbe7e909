"""What a run will take, known before anything is loaded: requests, tokens, time and memory."""
