"""Trains language models: batches, model, optimizer, loop, checkpoints. It knows nothing of the search."""
