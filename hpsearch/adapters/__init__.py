"""Callbacks that report to a trial from the loops of training libraries; import the one of your library.

transformers.py  transformers.Trainer    lightning.py  Lightning's Trainer
keras.py         Keras's fit             names.py      the names of their metrics, as hpsearch spells them

    from hpsearch.adapters.transformers import ReportCallback

    def train(config, trial):
        report = ReportCallback(trial)
        trainer = transformers.Trainer(..., callbacks=[report])
        trainer.train(resume_from_checkpoint=report.checkpoint)

A report raises `hpsearch.TrialStopped` inside the loop when the trial is to stop; let it pass.
"""
