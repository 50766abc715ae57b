"""hpsearch: hyperparameter search and experiment tracking for training language models."""

__version__ = "0.1.0"
