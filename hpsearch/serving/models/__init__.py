"""Models put to use: predictions and metrics of a model directory, written by hpsearch or by others."""
