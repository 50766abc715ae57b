"""A study as MLflow runs."""
