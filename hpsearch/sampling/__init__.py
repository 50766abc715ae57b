"""What to try next, by Optuna's samplers and pruners: a trial that no other is."""
