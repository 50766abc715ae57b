"""What others read (MLflow's store, an Optuna database), written behind the journal and never in training's way.

shipper.py      starts, for the driver, the process in which shipping.py ships the journal to the views
follower.py     one view's place in the journal
mlflow_view.py  parent run, child runs, curves; mlflow.py is the store, mlflow_client.py its client, mlflow_ui.py its UI
schema.py       refuses databases of other MLflows; moved.py points those of a moved home to where it is now
facts.py        what the journal says as rows and tags; artifacts.py its pictures; final_run.py the final training
optuna.py       the study in a database, for optuna-dashboard and scripts
sqlite.py       their files: made, checked, set aside
postgres.py     the server that the Optuna view is on instead, where HPSEARCH_OPTUNA_URL names one
audit.py        what a store lacks of the journal, or has beside it
"""
