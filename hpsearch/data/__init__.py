"""From data sources to token ids: files, columns, checks, splits, the tokenizer and the prepared corpus."""
