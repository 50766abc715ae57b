"""A small language-model library: data, tokenizer, model, loop. It knows nothing of the search."""
