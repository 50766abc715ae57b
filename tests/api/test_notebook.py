"""A search in a real notebook: a kernel, its display, Ctrl-C, as the stop button sends it."""

import os
import textwrap
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

SPACE = """
study: toy
budget: {trials: 2}
search: {pruner: none, overfitting: false}
training: {epochs: {low: 1, high: 4}}
trainer: "python:hpsearch.testing.toy:Toy"
"""
IMPORT = """
import hpsearch, hpsearch.search.driver
from tests.faults.zygote import NoViews
hpsearch.search.driver.shipper.start = NoViews  # creating MLflow's tables takes longer than these searches

"""
SEARCH = 'study = hpsearch.run("space.yaml", home="home", workers=1)'

STOPPED = """
import os, pathlib, signal, threading, time

def press_stop():
    journal = pathlib.Path("home/slow/journal.jsonl")
    while not (journal.exists() and b'"event":"evaluation"' in journal.read_bytes()):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press_stop, daemon=True).start()
os.environ["TOY_STEP"] = "0.05"
try:
    hpsearch.run("space.yaml", home="home", study="slow", launcher="inline")
except KeyboardInterrupt as stopped:
    print("stopped:", stopped)
hpsearch.load("slow", home="home").trials[0].outcome
"""


@pytest.fixture
def notebook(tmp_path, space_file, monkeypatch):
    """Executes cells in a kernel, in a folder with a space; returns each cell's outputs."""
    space_file(SPACE)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_ALLOW_INSECURE_WRITES", "1")

    def execute(*cells):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
        client = nbclient.NotebookClient(made, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
        client.execute()
        return [cell.outputs for cell in made.cells]

    return execute


def test_a_search_draws_its_bars_the_study_is_a_table_and_the_stop_button_saves(notebook):
    """In one kernel, which stays after the stop."""
    _, drawn, table, said = notebook(IMPORT, SEARCH, "study", STOPPED)
    [display] = [output for output in drawn if output.output_type == "display_data"]
    page = display.data["text/html"]  # as it stands after all updates
    assert "toy: val/loss, minimize" in page
    assert "trial 0 finished: completed val/loss" in page
    assert "trial 1 finished: completed val/loss" in page
    assert "done; best: trial" in page
    assert [output.name for output in drawn if output.output_type == "stream"] == []
    assert "<table>" in table[0].data["text/html"]
    texts = "".join(output.get("text", "") for output in said)
    assert "stopped: study 'slow' is saved; the same call resumes it" in texts
    assert "interrupted" in said[-1].data["text/plain"]
