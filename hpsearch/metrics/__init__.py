"""Metrics as numbers that people can compare; the doors to scikit-learn and sacrebleu, opened when first needed."""
