"""What others read (MLflow's store, an Optuna database), written behind the journal and never in training's way.

shipping.py     reads the journal and ships it to the views, in a process of its own
follower.py     one view's place in the journal
mlflow_view.py  parent run, child runs, curves, artifacts; mlflow.py is the store, final_run.py the final training's run
optuna.py       the study in a database, for optuna-dashboard and scripts
sqlite.py       their files: made, checked, set aside
postgres.py     the server that the Optuna view is on instead, where HPSEARCH_OPTUNA_URL names one
audit.py        what a store lacks of the journal, or has beside it
"""
