"""Metrics as libraries compute them: losses, classification, translation. scikit-learn and sacrebleu load late."""
