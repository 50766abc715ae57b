"""The policy that uses Optuna: its samplers propose new trials, its pruners stop those that fall behind."""
