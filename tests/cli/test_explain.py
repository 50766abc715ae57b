"""`hpsearch explain` and `hpsearch schema`."""

import json

from rich.console import Console

import hpsearch
from hpsearch.cli.explain import _show
from hpsearch.preflight.reference.entries import USUAL
from hpsearch.preflight.reference.schema import text_of


def test_explain_prints_the_entry(call):
    code, out, _ = call("explain", "training.cooldown")
    assert code == 0
    assert out.startswith("training.cooldown: ")
    assert "example         training: {cooldown: {low: 0.2, high: 0.8}}\n" in out.replace("\n\n", "\n")
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_explain_without_a_key_lists_the_sections(call):
    code, out, _ = call("explain")
    assert code == 0
    assert "\n  training " in out
    assert "more of each: hpsearch explain training.epochs" in out


def test_in_a_terminal_no_line_is_wider_than_it(capsys):
    made = Console(width=80, force_terminal=True, color_system=None, highlight=False, soft_wrap=True)
    for word in (None, "training", "data", "search.pruner", "model.width", "overfit", "val/f1_macro"):
        _show(made, hpsearch.explain(word))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.isascii()


def test_a_key_may_be_given_in_words(call):
    assert call("explain", "training", "cooldown") == call("explain", "training.cooldown")


def test_explain_as_json(call):
    _, out, _ = call("explain", "overfit", "--json")
    assert json.loads(out)["name"] == "overfit"


def test_an_unknown_key_is_one_line(call):
    code, _, err = call("explain", "training.lerning_rate")
    assert code == 2
    assert "; did you mean training.learning_rate" in err
    assert err.count("\n") == 1


def test_the_name_that_other_tools_have_for_a_key_is_answered_with_ours(call):
    for word, ours in (("lr", "training.learning_rate"), ("training.lr", "training.learning_rate")):
        assert call("explain", word)[2].endswith(f"; did you mean {ours}?\n")
    for meant in USUAL.values():
        assert hpsearch.explain(meant).name == meant


def test_the_config_of_own_code_and_the_webhook_have_an_entry_with_an_example(call):
    assert "example  config: {lr: " in call("explain", "config")[1]
    assert 'example  notify: "https://' in call("explain", "notify")[1]


def test_schema_prints_and_writes_it(call, tmp_path):
    code, out, _ = call("schema")
    assert (code, out) == (0, text_of(hpsearch.schema()))
    path = tmp_path / "space.schema.json"
    code, out, _ = call("schema", "-o", str(path))
    assert code == 0
    assert "# yaml-language-server: $schema=space.schema.json" in out
    assert path.read_text("utf-8") == text_of(hpsearch.schema())


def test_an_unknown_trainer_is_one_line(call):
    code, _, err = call("schema", "--trainer", "python:nothing_here:Mine")
    assert code == 2
    assert len(err.splitlines()) == 1
