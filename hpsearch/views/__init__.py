"""Copies of the journal for other programs: MLflow's store and an Optuna database, written behind the training.

shipper.py     starts and restarts the process in which shipping.py copies the journal to the views
follower.py    one view's position in the journal
mlflow/        view.py: the study in MLflow; final_run.py: the final training
optuna.py      the study in an Optuna database, for optuna-dashboard and scripts
dashboard.py   optuna-dashboard on it, for this machine alone
sqlite.py      their SQLite files: created, checked, set aside
postgres.py    the server that holds the Optuna view instead if HPSEARCH_OPTUNA_URL names one
refusals.py    errors that retrying cannot fix
audit.py       how a store differs from the journal
"""
