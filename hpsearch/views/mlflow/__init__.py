"""A study in MLflow.

view.py         the view: passes the journal's events to study_run.py, trial_runs.py and winner.py (runs.py: their ids)
final_run.py    the run of a final training; final_model.py its model: packaged.py its files, served_model.py
                what it answers, registry.py its versions
datasets.py     the data sets as inputs of runs
store.py        the tracking store, safe to write twice; client.py: MLflow's client; rows.py: metric rows and tags
artifacts.py    pictures and samples
arrangement.py  what arranges MLflow's pages: saved_view.py (table and charts), descriptions.py, the ranks of the trials
former.py       removes what an older version wrote otherwise
schema.py       refuses databases of other MLflow versions
moved.py        updates the artifact paths of a home that was moved
ui.py           the command of the MLflow UI; pages.py has it open in the mode for trainings
"""
