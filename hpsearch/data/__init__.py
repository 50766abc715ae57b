"""Reads data sets into token ids: files, columns, checks, splits, the tokenizer and the prepared corpus."""
