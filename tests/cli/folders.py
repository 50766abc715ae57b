"""Folders with the files of a small study of the toy trainer."""

SPACE = """
study: {study}
seed: 2
budget: {{trials: {trials}}}
data: {{text: {{task: text, files: {{train: train.txt, valid: valid.txt}}}}}}
search: {{pruner: none, overfitting: false}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {{low: 2, high: 9}}
trainer: "python:hpsearch.testing.toy:Toy"
"""


def small(folder, study, *, trials, text="some text to {} on "):
    """Writes space.yaml and its texts into a folder; returns it. `text`: of each split, whose name is filled in."""
    (folder / "space.yaml").write_text(SPACE.format(study=study, trials=trials))
    for name in ("train", "valid"):
        (folder / f"{name}.txt").write_text(text.format(name) * 30)
    return folder
