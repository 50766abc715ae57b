"""Metrics: losses, classification, translation. scikit-learn and sacrebleu are imported when first needed."""
