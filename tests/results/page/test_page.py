"""The page of every kind of study: whole, small, safe, and its charts valid."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly import graph_objects

from hpsearch.outcome import Outcome
from hpsearch.results.page import page
from hpsearch.results.page.charts import tick_step
from hpsearch.results.page.curves import curves
from hpsearch.results.page.trials import rows
from tests.results.page.studies import (
    HOSTILE,
    SPACE,
    STUDIES,
    branched,
    confirmed,
    cooled,
    evaluation,
    exported,
    falling,
    mixed,
    study,
    trial,
)

VOID = {"meta", "link", "input", "br", "img"}


class Html(HTMLParser):
    """Elements of a page; refuses ends that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def read(html: str) -> Html:
    parser = Html()
    parser.feed(html)
    assert parser.open == []
    return parser


def visible(html: str) -> str:
    return " ".join(" ".join(read(html).texts).split())


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'id="data">([^<]*)<', html)
    assert found is not None
    value: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return value


@pytest.mark.parametrize("kind", STUDIES)
def test_every_study_has_a_page_with_valid_charts(kind: str, tmp_path: Path) -> None:
    html = page(STUDIES[kind](), tmp_path)
    parsed = read(html)
    ids = [attributes["id"] for _, attributes in parsed.seen if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in parsed.seen if tag == "a"}
    assert {link[1:] for link in links if link} <= set(ids)
    for figure in data_of(html)["charts"].values():
        graph_objects.Figure(figure)  # raises for what plotly does not know
    assert "nan" not in visible(html).lower().replace("is nan at every evaluation", "").split()
    assert len(html) < 3_000_000


def test_what_was_found_is_said_in_words(tmp_path: Path) -> None:
    said = visible(page(STUDIES["confirmed"](), tmp_path))
    assert "24 configs of 5 hyperparameters were tried: learning_rate, batch_size" in said
    assert "The data: pairs (translation, 1,234 training tokens)." in said
    # of 2 and 2 values: sums of squares 0.005 + 0.0032 over 2 degrees of freedom, so sigma is 0.06403
    assert "Its mean over 2 seeds is 3.1500 ± 0.19 (95% interval)." in said  # t(2) is 4.303
    assert "It cannot be told from trial 0: their means differ by less than the noise between seeds." not in said
    assert "It cannot be told from trial 8" in said
    assert "git commit abc123 with uncommitted changes" in said


def test_one_fresh_seed_each_names_equal_means_and_how_noise_is_measured(tmp_path: Path) -> None:
    found = [trial(n, "completed", falling(20), label="default" * (n == 0)) for n in range(3)]
    said = visible(page(confirmed(study(found), {0: [2.9], 1: [2.9], 2: [3.1]}), tmp_path))
    assert "It cannot be told from trial 1: their means are equal." in said
    assert "With one fresh seed each, the noise between seeds is not measured: hpsearch confirm" in said
    assert "--seeds 2 measures it." in said
    assert "trial 0, in a tie with trial 1: with fresh seeds no other trial is better" in said


def test_an_unconfirmed_winner_is_said_to_be_flattered(tmp_path: Path) -> None:
    said = visible(page(mixed(24), tmp_path))
    assert "This value is of one seed, and the best of" in said
    assert "hpsearch confirm trials" in said


def test_a_cool_down_is_said_and_drawn(tmp_path: Path) -> None:
    html = page(cooled(mixed(8)), tmp_path)
    assert "The best config is trial 1: val/loss 2.5000 at epoch 1.8, at the end of its cool-down." in visible(html)
    (branch,) = [one for t in data_of(html)["curves"]["trials"] for one in t.get("branches", ())]
    assert branch["values"]["val/loss"][1] == 2.5
    assert data_of(html)["curves"]["trials"][1]["peak"]["values"] == {"val/loss": 2.5}
    low, high = data_of(html)["curves"]["ranges"]["val/loss"]
    assert low < 2.5 < high


def test_what_branches_set_is_read_without_their_labels(tmp_path: Path) -> None:
    """Neither the text nor a chart has `n_layers=2..4, width=32` or `epochs.2`; trial 1 cooled down, and won."""
    html = page(branched(cooled(mixed(24))), tmp_path)
    everything = visible(html) + json.dumps(data_of(html))
    assert not re.findall(r"\b(?:n_layers|epochs|width|weight_decay)=|\bepochs\.\d|\.\.\d", everything)
    said = visible(html)
    assert "24 configs of 7 hyperparameters were tried" in said
    assert re.search(r"n_layers [2-4] .*?1 to 4", said)  # the winner's, and the range over all branches
    assert re.search(r"width 32 .*?32, 64", said)
    assert re.search(r"epochs [\d.]+ -> 2 .*?1 to 12, log", said)
    charts = data_of(html)["charts"]
    names = [one["layout"]["xaxis"]["title"]["text"] for name, one in charts.items() if name.startswith("slice-")]
    assert names == ["learning_rate", "batch_size", "schedule", "n_layers", "width", "epochs"]


def test_what_did_not_happen_is_not_said(tmp_path: Path) -> None:
    """Two trials, the default config and another one; none was stopped, no other one is as good."""
    found = study([trial(0, "completed", falling(20), label="default"), trial(1, "completed", falling(20, to=4.0))])
    found.origin.experiment["search"] = {"sampler": "tpe", "pruner": {"name": "successive_halving"}}  # type: ignore[index]
    html = page(found, tmp_path)
    assert "The sampler tpe chose 1 config. The search took" in visible(html)
    assert "stopped" not in visible(html).split("How sure that is")[0]
    assert "lead over the default" not in html
    assert "it is the default config" in html
    assert "good values</th>" not in html
    axis = data_of(html)["charts"]["history"]["layout"]["xaxis"]
    assert (axis["tick0"], axis["dtick"]) == (0, 1)
    found.trials[1].outcome = Outcome.PRUNED
    assert "Successive halving stopped 1 early." in visible(page(found, tmp_path))


def test_a_trial_that_the_budget_cut_is_named_so(tmp_path: Path) -> None:
    found = cooled(mixed(8))
    cut = found.trials[1]
    cut.outcome, cut.reached = Outcome.COMPLETED, 0.45
    cut.evaluations = {i: one for i, one in cut.evaluations.items() if one.progress <= 0.3}  # its curve; then a branch
    said = visible(page(found, tmp_path))
    assert "trial 1: val/loss 2.5000 at epoch 1.8; it was cut by the budget at 45% of its training" in said
    assert f"{found.trials[1].params['epochs']:.3g} -> 2" in said
    assert "completed, cut" not in said
    assert "1 cut by the budget" in said.split("How sure")[0]  # the count at the top
    [row] = [one for one in rows(found, []) if one.number == 1]
    assert (row.said, row.cells[2].shown) == ("cut by the budget at 45%", "45%")  # of one definition


@pytest.mark.parametrize(
    ("last", "step"), [(0, 1), (10, 1), (11, 2), (21, 5), (50, 5), (51, 10), (199, 20), (999, 100)]
)
def test_ticks_of_trial_numbers_are_whole(last: int, step: int) -> None:
    assert tick_step(last) == step


def test_hostile_text_is_text_everywhere(tmp_path: Path) -> None:
    history = study([trial(i, "completed", falling(4)) for i in range(6)], name=HOSTILE)
    history.space = {**SPACE, HOSTILE: {"choices": ["<i>a</i>", HOSTILE]}}
    for one in history.trials.values():
        one.params[HOSTILE] = HOSTILE if one.number % 2 else "<i>a</i>"
        one.reason = HOSTILE
    samples = tmp_path / "checkpoints" / f"{history.leader().number:04d}"  # type: ignore[union-attr]
    samples.mkdir(parents=True)
    pair = {"source": HOSTILE, "reference": "<img src=x onerror=alert(1)>", "hypothesis": "a"}
    sets = {
        HOSTILE: {"task": "translation", "examples": [pair, "no example"]},
        "b": {"task": "classification", "labels": [HOSTILE, "b"], "confusion": [[1, 2], [3, 4]]},
        "c": {"task": "classification", "labels": ["a"], "confusion": [[1, 2]]},
        "d": None,
    }
    (samples / "samples.json").write_text(json.dumps(sets))
    history.baselines = [{"name": HOSTILE, "metrics": {"val/loss": 9.0}, "note": HOSTILE}]
    html = page(exported(history, tmp_path, f"a: {HOSTILE}\n"), tmp_path)
    tags = [tag for tag, _ in read(html).seen]
    assert tags.count("script") == 4
    assert not {"img", "i", "b"} & set(tags)
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "漢字 العربية" in html
    charts = json.dumps(data_of(html), ensure_ascii=False)
    assert "<script" not in charts
    assert "<i>a" not in charts


def test_secrets_are_hidden(tmp_path: Path) -> None:
    history = study([trial(0, "failed", [], reason="cannot reach https://me:hunter2@example.org")])
    assert "hunter2" not in page(history, tmp_path)


def test_a_study_of_200_trials_is_below_3_mb_and_one_of_1000_hardly_above(tmp_path: Path) -> None:
    assert len(page(mixed(200), tmp_path)) < 2_500_000
    html = page(mixed(1000), tmp_path)
    assert len(html) < 3_100_000
    assert sum(len(one["progress"]) for one in data_of(html)["curves"]["trials"]) <= 31_000


def test_a_metric_that_was_not_measured_draws_no_dip() -> None:
    one = trial(0, "completed", falling(4))
    one.evaluations[2] = evaluation(2, 4.0, **{"val/bleu": 12.0})
    one.evaluations[4] = evaluation(4, 3.5, **{"val/bleu": float("nan")})
    (found,) = curves(study([one], metric="val/bleu", direction="maximize"))["trials"]
    assert found["values"]["val/bleu"] == [None, 12.0, None, False]


def test_best_yaml_is_shown_if_it_is_the_winners(tmp_path: Path) -> None:
    history = exported(mixed(8), tmp_path, "model: {width: 64}  # the winner's\n")
    assert "model: {width: 64}" in visible(page(history, tmp_path))
    history.trials[0].value = 1.0
    history.trials[0].best = None
    assert "model: {width: 64}" not in visible(page(history, tmp_path))


def test_it_is_refreshed_only_while_the_study_runs(tmp_path: Path) -> None:
    history = mixed(8)
    running = read(page(history, tmp_path, running=True, refresh=30))
    assert ("meta", {"http-equiv": "refresh", "content": "30"}) in running.seen
    assert not [1 for _, found in read(page(history, tmp_path, refresh=30)).seen if found.get("http-equiv")]


def test_commands_name_the_home(tmp_path: Path) -> None:
    assert "hpsearch export trials --home /a/b -o best.yaml" in page(mixed(8), tmp_path, option=" --home /a/b")
