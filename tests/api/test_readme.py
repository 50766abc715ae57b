"""The README's ten lines from Python, executed on a small study."""

import re
from pathlib import Path

from tests import blank

README = Path(__file__).parents[2] / "README.md"
SPACE = """
study: space
budget: {trials: 1}
objective: {metric: val/f1_macro}
data:
  reviews:
    task: classification
    files: {train: data/moods.tsv, valid: data/moods.tsv, test: data/moods.tsv}
    text: sentence
    label: mood
model: {n_layers: 1, width: 16, n_heads: 2, context: 64}
evaluation: {times: 2}
search: {baselines: false}
training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}, epochs: 1, batch_size: 16}
resources: {launcher: inline}
"""


def test_the_lines_of_the_readme_run(tmp_path, corpus_files, monkeypatch, capsys):
    (tmp_path / "space.yaml").write_text(SPACE)
    blank.home(tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"<!-- python -->\n```python\n(.*?)```", README.read_text(), re.S)
    names = {}
    exec(block.replace("trials=4", "trials=2"), names)
    assert len(names["table"]) == len(names["study"].trials) == 2
    out = capsys.readouterr().out
    assert f"{names['result'].metrics['test/f1_macro']} model\n" in out
    assert out.splitlines()[-1].startswith("Labelled(text='a film that one forgets at once', probabilities={")
    assert (tmp_path / "model" / "metrics.json").exists()
