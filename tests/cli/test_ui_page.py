"""The pages that `hpsearch ui` opens, in a real browser: table, charts, a run, its artifacts, optuna-dashboard."""

import os
import re

import pytest

from hpsearch.views.follower import read_state, state_file
from hpsearch.views.mlflow.store import run_ids
from tests.cli.processes import end, hpsearch, shown, started, wait_for
from tests.cli.test_ui import ask, free_port

PATIENCE = 60_000  # milliseconds
# What the console of MLflow's own pages says of any study.
KNOWN = (
    "Failed to load resource: the server responded with a status of 404 (Not Found)",  # users/current: no users here
    "ResizeObserver loop completed with undelivered notifications.",
)


@pytest.fixture(scope="module")
def served(story, tmp_path_factory):
    """`hpsearch ui story --no-browser`: what it printed, by the first word of each line."""
    yield from serving(story.cwd, "story", "--home", "home", path=plugged(tmp_path_factory.mktemp("metadata")))


def plugged(folder):
    """A path on which the entry point of pyproject.toml is found, also by an environment that was made before it."""
    metadata = folder / "plugged-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("[mlflow.app]\nhpsearch = hpsearch.views.mlflow.pages:app\n")
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def serving(cwd, *arguments, path):
    synced = hpsearch("sync", arguments[0], *arguments[1:], cwd=cwd)  # a busy machine ends a run before its views
    assert synced.returncode == 0, synced.stdout + synced.stderr
    port, dashboard = free_port(), free_port()
    ports = ("--port", port, "--dashboard-port", dashboard)
    process = started("ui", *arguments, *ports, "--no-browser", cwd=cwd, fresh=True, PYTHONPATH=path)
    try:
        links = dict(
            re.findall(r"^(MLflow|Optuna): (\S+)$", process.stdout.readline() + process.stdout.readline(), re.M)
        )
        wait_for(lambda: (ask(port) and ask(dashboard)) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield links
    finally:
        end(process)


@pytest.fixture
def opened(browser_page):
    """Opens an address; afterwards the console must have said nothing but what MLflow's own pages say."""
    page = browser_page.page
    page.set_default_timeout(PATIENCE)
    page.set_viewport_size({"width": 1600, "height": 950})

    def open_at(address):
        page.goto("about:blank")
        page.goto(address)
        return page

    yield open_at
    assert [line for line in browser_page.errors if not any(known in line for known in KNOWN)] == []


def reads(page, text):
    """Waits until a person can read the text on the page."""
    page.wait_for_function("text => document.body.innerText.includes(text)", arg=text)


def cells(page, row=0):
    """The texts of a row of the table, left and right part together."""
    parts = page.locator(f".ag-row[row-index='{row}']")
    parts.first.wait_for()
    return [line for text in parts.all_inner_texts() for line in text.split("\n") if line]


def best_of(story_cwd, study="story"):
    """The number of the study's winner, its outcome and its value, as `hpsearch show --json` says."""
    trials = shown(study, cwd=story_cwd)["trials"]
    return min((t for t in trials if t["value"] is not None), key=lambda t: (t["value"], t["number"]))


def test_the_table_opens_with_the_best_trial_first(served, story, opened):
    page = opened(served["MLflow"])
    best = best_of(story.cwd)
    name = f"trial-{best['number']:04d}"
    page.get_by_role("link", name=name, exact=True).wait_for()
    heads = page.locator("[role=columnheader]").all_inner_texts()
    assert {"Run Name", "rank", "outcome", "best/val/loss", "learning_rate", "epochs"} <= set(heads)
    found = cells(page)
    assert name in found
    assert best["outcome"] in found
    assert f"{best['value']:.7g}" in found
    assert page.locator(".ag-row[row-index='3']").count() >= 1  # four trials, without the study's own run
    assert page.locator(".ag-row[row-index='4']").count() == 0
    assert page.get_by_text("hpsearch: trials, best first").count()
    assert page.get_by_text("MLflow Assistant").count() == 0  # not unfolded over a quarter of the page


def test_the_charts_are_in_order(served, opened):
    page = opened(f"{served['MLflow']}&compareRunsMode=CHART")
    page.get_by_text("The objective").wait_for()
    page.get_by_text("Losses").wait_for()
    text = page.inner_text("body")
    assert text.index("The objective") < text.index("Parallel Coordinates") < text.index("Losses")
    page.locator("svg.main-svg").first.wait_for()  # a curve is drawn


def test_a_run_says_how_it_ended_and_has_its_files(served, story, opened):
    page = opened(served["MLflow"])
    best = best_of(story.cwd)
    page.get_by_role("link", name=f"trial-{best['number']:04d}", exact=True).click()
    reads(page, "Best val/loss:")
    assert run_ids(story.home, "story")[best["number"]] in page.url
    for_trainings(page)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("config.yaml").first.click()
    reads(page, "learning_rate")
    page.get_by_role("tab", name="System metrics").click()
    reads(page, "process_cpu_utilization_percentage")


def test_the_study_is_described_with_links_that_lead_somewhere(served, story, opened):
    page = opened(served["MLflow"])
    reads(page, "Best: trial")
    link = page.locator("a", has_text="space.yaml").first
    link.wait_for(state="attached")
    address = link.get_attribute("href")
    run = read_state(state_file(story.home / "story", "mlflow"))["state"]["parent"]
    assert address.endswith(f"/runs/{run}/artifacts/space.yaml")
    page = opened(f"{served['MLflow'].split('#')[0]}#{address.partition('#')[2]}")
    reads(page, "study: story")


def test_any_door_opens_in_the_mode_for_trainings_until_a_person_chooses_the_other(served, opened):
    root = served["MLflow"].split("#")[0]
    page = opened(root)
    page.get_by_role("link", name="Experiments").first.click()
    page.get_by_role("link", name="story", exact=True).first.click()
    for_trainings(page)
    page.get_by_text("GenAI", exact=True).click()
    page = opened(root)
    assert page.evaluate("localStorage.getItem('mlflow.workflowType_v1')") == '"genai"'


def for_trainings(page):
    """Waits for MLflow's sidebar of the mode "Model training", which has models and no sessions."""
    page.get_by_role("link", name="Models", exact=True).wait_for()
    assert page.get_by_role("link", name="Sessions").count() == 0


@pytest.mark.parametrize("key", ["nosuch", "hpsearch%20%3Cscript%3E"])
def test_a_page_that_does_not_know_the_view_is_the_plain_one(served, opened, key):
    """As one of a version that does not know ours, or after a person deleted it: the runs are there, nothing breaks."""
    page = opened(served["MLflow"].replace("viewStateShareKey=hpsearch", f"viewStateShareKey={key}"))
    page.get_by_text("story").first.wait_for()
    page = opened(served["MLflow"].replace("viewStateShareKey=hpsearch&", ""))
    page.get_by_text("matching runs").wait_for()


def test_the_dashboard_shows_the_study(served, opened):
    page = opened(served["Optuna"])
    page.get_by_text("story").first.wait_for()


FORTY = """
study: forty
seed: 1
budget: {trials: 40}
data:
  pairs: {task: translation, dataset: "python:hpsearch.samples:interface_messages"}
  chapters: {task: classification, source: "python:hpsearch.samples:stdlib_chapters"}
tokenizer: {kind: bpe, vocab_size: 1000}
model: {n_layers: {low: 1, high: 2}, width: {choices: [32, 48]}, n_heads: 4, context: 64}
training:
  learning_rate: {low: 5e-4, high: 2e-2, log: true}
  batch_size: {choices: [32, 64]}
  epochs: {low: 1, high: 3, log: true}
evaluation: {times: 10, decode_every: 5, decode_sample: 50}
"""


@pytest.mark.slow
def test_a_real_study_of_forty_trials(tmp_path, opened):
    """Translation and classification: the table with the metrics of both tasks, and charts in each section."""
    (tmp_path / "space.yaml").write_text(FORTY)
    path = plugged(tmp_path)
    done = hpsearch("run", "space.yaml", "--home", "home", cwd=tmp_path, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    for links in serving(tmp_path, "forty", "--home", "home", path=path):
        page = opened(links["MLflow"])
        page.get_by_text("40 matching runs").wait_for()
        winner = re.search(r"the winner is trial (\d+)", done.stdout)
        number = int(winner[1]) if winner else best_of(tmp_path, "forty")["number"]
        assert f"trial-{number:04d}" in cells(page)
        heads = page.locator("[role=columnheader]").all_inner_texts()
        assert {"outcome", "best/val/loss", "val_at_best/bleu", "val_at_best/f1_macro"} <= set(heads)
        page = opened(f"{links['MLflow']}&compareRunsMode=CHART")
        for section in ("The objective", "Losses", "Scores"):
            page.get_by_text(section).first.wait_for()
        page.locator("svg.main-svg").first.wait_for()
