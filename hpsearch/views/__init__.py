"""What others read (MLflow's store, an Optuna database), written behind the journal and never in training's way.

shipping.py     reads the journal and ships it to the views, in a process of its own
mlflow.py       parent run, child runs, curves, artifacts
optuna.py       the study in a database, for optuna-dashboard and scripts
"""
