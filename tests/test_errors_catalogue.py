"""docs/errors.md has every message of an error that the package makes, and a test produces each of them."""

import errno
import math
import re
import shutil
import zipfile
from functools import cache
from types import SimpleNamespace

import pytest

import hpsearch
from hpsearch.api.delete import to_delete
from hpsearch.api.pause import _await
from hpsearch.cli.options import ask
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.document.yaml_errors import explain
from hpsearch.errors import HpsearchError
from hpsearch.final.reproduction import Expected
from hpsearch.home import deletion
from hpsearch.home.home import Home
from hpsearch.journal.history import History
from hpsearch.journal.study_lock import StudyLock
from hpsearch.launchers.ray.scratch import Scratch
from hpsearch.space.experiment import Experiment
from hpsearch.storage.storage import Storage
from hpsearch.trainers.function.state import decode
from hpsearch.views import sqlite
from tests.error_messages import ROOT, catalogue, pattern, raised, skeleton
from tests.faults.zygote import NoViews

# What is not written where it is made, or no person sees: "file:function", and why it is no row.
PASSED_ON = {
    "search/attempts.py:failed": "the message of a worker, as in the other rows",
    "cli/lost_output.py:check": "what the system says of the standard output",
    "data/aligned_files.py:pairs": "_unequal",
    "data/columns.py:_value": "record_values: the row 'text is expected'",
    "data/json_rows.py:_of_lines": "as in the rows of JSON",
    "data/reader.py:_check_kind": "file_formats.check_regular",
    "data/rows.py:records": "fields, as in the row of them",
    "data/rows.py:_has_second_row": "with a hint at the delimiter",
    "data/text_encoding.py:_decoded": "_undecodable",
    "data/tokenizer.py:from_file": "with the tokenizer's file before it",
    "document/document.py:extended": "the same with more words",
    "document/document.py:error": "with its place",
    "document/yaml_reader.py:read": "yaml_errors.MISTAKES",
    "document/yaml_reader.py:_key": "a row of its own",
    "document/yaml_reader.py:_error": "with its place",
    "document/ranges.py:internal": "default_config says it",
    "document/validation_errors.py:check_value": "validation_errors.message",
    "document/validation_errors.py:fault": "validation_errors.message, unknown_key",
    "search/driver.py:_storage": "with its place",
    "system/file_lock.py:locked": "shipping.BUSY",
    "api/notifications.py:url_of": "webhook.ALLOWED",
    "serving/models/file_form.py:without_keys": "as in the rows of a file, without keys",
    "serving/models/folder.py:_uses": "training/uses.py: the row 'its key'",
    "policies/checked.py:_wrong": "the rows of a policy",
    "policies/loading.py:_imported": "user_modules",
    "space/default_config.py:_accepted": "the reason of a warning",
    "space/default_config.py:_rules": "trainers/checked.py",
    "space/default_config.py:_check_value": "the row 'is not in its range'",
    "space/experiment.py:of": "with `space: ` before it",
    "space/experiment.py:override": "lacks_price, wrong_groups, wrong_gpus",
    "space/experiment.py:config": "validation_errors",
    "space/sections.py:_prior": "unknown_key",
    "space/sections.py:_known": "unknown_key",
    "space/sections.py:_only": "unknown_key, other_tools",
    "space/sections.py:_broken_rule": "training/config.py, with the values that break it",
    "space/budget.py:_money_has_a_price": "NO_PRICE",
    "space/settings.py:_without_password": "NO_PASSWORDS",
    "space/resources.py:_url_without_password": "NO_PASSWORDS",
    "space/settings.py:_webhook": "webhook.ALLOWED",
    "space/validation.py:check_document": "cannot_prepare, wrong_groups, wrong_gpus",
    "space/validation.py:_check_shift": "a row of its own",
    "space/validation.py:_check_search": "wrong_study",
    "space/validation.py:_refuse_passwords": "NO_PASSWORDS",
    "space/validation.py:_trainer": "trainers/loading.py",
    "space/validation.py:_placed_at_trainer": "trainers/checked.py",
    "space/validation.py:_refuse_unknown": "unknown_key, other_tools",
    "space/validation.py:_refuse_misplaced_ranges": "SEED, or a row of its own",
    "space/validation.py:_refuse_seeds": "SEED",
    "space/validation.py:_study": "wrong_study",
    "tasks/__init__.py:_of_its_task": "tasks/loading.py",
    "trainers/causal_lm/objective.py:objective": "_no_such_metric, or a row of its own",
    "trainers/causal_lm/preparation.py:placed": "with its place",
    "trainers/huggingface/preparation.py:_placed": "checkpoint.py, with its place",
    "trainers/evaluations.py:_points": "the reason of a failed trial, in its row of `hpsearch show`",
    "trainers/evaluations.py:_integer": "the same",
    "trainers/evaluations.py:_amount": "the same",
    "trainers/evaluations.py:_changes": "the same",
    "trainers/evaluations.py:_items": "the same",
    "trainers/evaluations.py:_name": "the same",
    "trainers/evaluations.py:_text": "the same",
    "views/postgres.py:address": "a row of its own",
    "views/shipping.py:undriven": "StudyBusy with a hint",
    "search/warm_start.py:_source": "no study, with its place",
    "final/weights.py:_exported": "a row of its own",
    # No person sees these:
    "data/json_rows.py:_refuse_constant": "caught by the reader of JSON",
    "data/record_values.py:text_of": "columns.py says it with its place",
    "data/record_values.py:label_of": "columns.py says it with its place",
    "tasks/scores/losses.py:bits_per_byte": "a caller's mistake: an empty text was refused before",
    "tasks/scores/translation.py:_check": "a caller's mistake",
    "policies/curves/encoding.py:_axis": "a caller's mistake: the sampler used outside of hpsearch",
    "policies/curves/sampler.py:_refuse_several_objectives": "the same",
    "tasks/__init__.py:register": "a programmer's mistake at import",
    "tasks/compression.py:bits_per_byte": "a note of a baseline",
    "training/generate.py:generate": "a caller's mistake",
    "views/shipping.py:view_named": "a caller's mistake",
}


def test_every_error_of_the_source_is_in_the_catalogue():
    """`python -m tests.error_messages` prints what is missing."""
    known = {skeleton(message) for message in catalogue()}
    lacking = [
        f"{one.place}:{one.line}: {one.message}"
        for one in raised()
        if one.place.removeprefix("hpsearch/") not in PASSED_ON and skeleton(one.message) not in known
    ]
    assert lacking == []


def test_what_is_passed_on_is_there():
    there = {one.place.removeprefix("hpsearch/") for one in raised()}
    assert set(PASSED_ON) - there == set()


def test_every_row_is_written_once_():
    rows = catalogue()
    assert len(rows) > 380
    assert [row for row in rows if rows.count(row) > 1] == []
    assert [
        row for row in rows if not re.search("[a-z]{3}", re.sub("<[^<>]*>", "", row)) and not row.startswith("<")
    ] == []


# ------------------------------------------------------------------------------------------------- produced by a test


@cache
def other_tests():
    """The text of each test file, with strings that span lines joined and no escapes."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name not in ("test_errors_catalogue.py", "error_messages.py"):
            text = re.sub(r"\\(.)", r"\1", path.read_text())
            found[path.relative_to(ROOT).as_posix()] = re.sub(r"\s+", " ", re.sub(r'"\s*\n\s*[fr]*"', "", text))
    return found


def elsewhere(message):
    """A test file that has a good part of the message: three words in a row, or the longest run without a gap."""
    runs = [run.split() for run in re.split(r"<[^<>]+>", message)]
    parts = [" ".join(run[i : i + n]) for run in runs for n in (6, 5, 4, 3) for i in range(len(run) - n + 1)]
    parts += [" ".join(run) for run in runs if len(" ".join(run)) >= 10]
    parts.sort(key=len, reverse=True)
    return next((file for part in parts for file, text in other_tests().items() if part in text), None)


# Rows that other tests produce without three of their words in a row.
PRODUCED = {
    "<n>, but <model> has <n> layers": (
        "tests/trainers/huggingface/test_spaces.py::test_a_mistake_is_placed_at_its_own_value"
    ),
    "is no valid config: <why>": "tests/api/test_enqueue.py::test_what_cannot_be_tried_is_refused_in_one_line",
    "<place>: search.warm_start: <no study ...>": (
        "tests/api/test_warm_start.py::test_what_cannot_be_learnt_from_is_refused_in_one_line"
    ),
    "<name>: <method>() raised <error>": "tests/space/test_shift.py::test_a_wrong_answer_is_one_line_with_its_place",
    "<policy>: <next>() raised <error>": (
        "tests/policies/test_loading.py::test_a_wrong_answer_ends_the_search_with_its_place"
    ),
    "<policy>: New: <why>": "tests/policies/test_loading.py::test_a_wrong_answer_ends_the_search_with_its_place",
    "study '<name>': <why>": "tests/api/test_enqueue.py::test_what_cannot_be_tried_is_refused_in_one_line",
    "<checkpoint: ...>; <hpsearch train makes the model anew>": (
        "tests/final/test_weights.py::test_weights_that_are_gone_damaged_or_of_other_data_are_one_line"
    ),
    "<folder>/model.safetensors: <tensor> is <shape>, config.json asks <shape>": (
        "tests/training/test_export.py::test_weights_that_do_not_fit_the_config_are_refused"
    ),
    "<standard output>: <No space left on device>": (
        "tests/cli/test_lost_output.py::test_lost_output_is_an_error_only_if_the_disk_is_full"
    ),
    "--for: <reason>": "tests/final/test_larger.py::test_mistakes_are_one_line",
    "<reason of a worker>": "tests/search/test_loop.py::test_a_mistake_of_the_user_ends_the_search_at_once",
    "<HPSEARCH_OPTUNA_URL> <has an option that PostgreSQL does not know: name>; <allowed>": (
        "tests/faults/test_postgres.py::test_a_wrong_address_is_refused_at_the_start"
    ),
}


def test_every_row_is_produced_by_a_test():
    here = {row for row in catalogue() for words in WORDS if words in row}
    lacking = [row for row in catalogue() if row not in here | PRODUCED.keys() and elsewhere(row) is None]
    assert lacking == []


@pytest.mark.parametrize("row", PRODUCED)
def test_the_tests_that_produce_rows_are_there(row):
    file, _, name = PRODUCED[row].partition("::")
    assert row in catalogue()
    assert f"def {name}" in (ROOT / file).read_text()


def row_of(words):
    """The one row with these words; of several, the one that has no other."""
    found = [row for row in catalogue() if words in row]
    return words if words in found else found[0] if len(found) == 1 else pytest.fail(f"{words}: {found}")


def is_said(message, words):
    """Whether a printed message is that of the row."""
    return re.search(rf"(?:^|: |; ){pattern(row_of(words))}$", message, re.S) is not None


# ---------------------------------------------------------------------------------------------------- the space file

DATA = "data: {a: {task: text, files: {train: a.txt}}}\n"
PAIRS = "data: {a: {task: translation, files: {train: a.tsv}}}\n"
LABELS = "data: {a: {task: classification, files: {train: a.tsv}}}\n"
LR = "training: {learning_rate: %s}\n"
TOY = 'trainer: "python:hpsearch.testing.toy:Toy"\n'

# A whole file, and words of the row.
FILES = [
    ("", "the file says nothing"),
    ("- 1\n", "the file must be a mapping"),
    ("a: " + "x" * 20_001, "a line of more than <10000> characters"),
    ("a: \x07\n", "is not allowed in YAML; <remedy>"),
    ("a: 1\n---\nb: 2\n", "a second document"),
    ("%YAML 1.1\n---\na: 1\n", "another version of YAML"),
    ("a: " + "[" * 40 + "]" * 40, "nested deeper"),
    ("a: !!int 3\n", "write the plain value, or quote the text"),
    ("!!str a: 3\n", "quote the key if it is text"),
    ("a:\n" + "  - 1\n" * 10_001, "values; too much for a search space"),
    ("a: &x 1\nb:\n" + "  - *x\n" * 101, "uses of aliases"),
    ("a: *x\n", "has no anchor"),
    ("a: 1\na: 2\n", "is given twice (first on line"),
    ("? [a]\n: 1\n", "a key must be plain text"),
    ("a: &x {b: 1}\nc: {<<: *x}\n", "merge keys"),
    ("k" * 300 + ": 1\n", "a key must have 1 to"),
    ("{low: 0, 5}\n", "a key must be text; quote"),
    ("stu\u00a0dy: 1\n", "retype the key"),
    ("a: .inf\n", "write a finite number"),
    ("a: 010\n", "is ambiguous"),
    ("a: 1e999\n", "is too large"),
    ("a:\n\tb: 1\n", "a tab where only spaces"),
    ('a: "b\n', "is not closed; add the <quote>"),
    ("a: 1\nbcd\n", "a line without ': '"),
    ("a: b: c\n", "a ':' out of place"),
    ("a: [1, 2\n", "this '<[>' is not closed"),
    ("a: {b: 1 c: 2}\n", "is missing before this; look from"),
    ("a: [1,, 2]\n", "a value is missing before this; fill it in"),
    ("a: b\n]\n", "too many; remove it, or add its partner"),
    ("a: ]\n", "a value is missing before this; quote the text"),
    ("a:\n   b: 1\n  c: 2\n", "the indentation fits nothing above"),
    ('a: "b" c\n', "more text after a value"),
    ("a: - b\n", "a '-' out of place"),
    ("a: ? b\n", "a '?' out of place"),
    ('a: "\\d"\n', "a backslash that YAML does not know"),
    ("a: @b\n", "text cannot begin with"),
    ("a: *\n", "'*' and '&' begin aliases"),
    ("% a: 1\n", "a line that begins with '%'"),
    ("a: | b\n  c\n", "after '|' or '>' the text begins"),
    ("a: !<b c\n", "'!' begins a tag"),
    ("a: 1\n<<<<<<< ours\nb: 1\n=======\nb: 2\n>>>>>>> theirs\n", "a merge conflict is left"),
    (DATA + "tracking: {uri: 'http://u:pw1234@host'}\n", "does not belong in this file"),
]

# What follows a data set of text, and words of the row.
SPACES = [
    ("trainig: {}\n", "unknown key; did you mean"),
    ("zzz: 1\n", "unknown key; allowed: <keys>"),
    ("parameters: {}\n", "unknown key; <what it is called here>"),
    ("budget: {trials: 0}\n", "must be <at least> <bound>, not <value>"),
    ("resources: {device: tpu}\n", "must be one of <names>, not <value>"),
    ("budget: {trials: many}\n", "must be an integer, not <value>"),
    ("budget: {hours: many}\n", "must be a number, not <value>"),
    ("search: {default: 1}\n", "must be true or false, not <value>"),
    ("study: 5\n", "must be text, not <value>"),
    ("budget: 5\n", "must be a mapping (key: value), not <value>"),
    ("search: {first: 5}\n", "must be a list, not <value>"),
    ("search: {policy: mine}\n", "must be optuna or python:module:factory"),
    ("search: {baselines: sometimes}\n", "must be true, false or retry"),
    ("search: {confirm: yes}\n", "must be true, false or a mapping"),
    ("resources: {trials_per_gpu: 65}\n", "must be auto or an integer from 1 to"),
    ("resources: {workers: 0}\n", "must be auto or an integer of at least 1"),
    ("evaluation: {ter: 3}\n", "must be auto, true or false"),
    ("resources: {launcher: {name: ray, num_gpus: 1.5}}\n", "must be a share (up to 1)"),
    ("resources: {launcher: {name: ray, storage: bucket}}\n", "must be a URL such as"),
    ("notify: host\n", "must be an http:// or https:// URL"),
    ('notify: "https:\\/\\/host/x"\n', "write the URL as it is"),
    ("budget: {money: 3}\n", "money needs price_per_hour"),
    ("tokenizer: {kind: file}\n", "kind: file needs file"),
    ("model: {width: 64, n_heads: 5}\n", "does not divide width"),
    ("model: {width: 60, n_heads: 4}\n", "is odd: rotary positions"),
    ("model: {n_heads: 4, n_kv_heads: 3}\n", "does not divide n_heads"),
    ("training: {warmup: 0.6, cooldown: 0.6}\n", "are more than the whole training"),
    (LR % "{low: 2, high: 1}", "low <x> is above high"),
    (LR % "{low: 1}", "is missing; a range needs low and high"),
    ("training: {schedule: {low: 1, high: 2}}\n", "only a number can have low and high"),
    ("training: {warmup: {low: 0, high: 0.5, log: true}}\n", "low must be above 0 where log"),
    (LR % "{low: 0.1, high: 1, log: true, step: 0.1}", "log and step cannot both"),
    (LR % "{low: 0.1, high: 0.2, step: 1}", "is larger than the range from"),
    (LR % "{low: 0.1, high: 0.2, step: 0}", "must be above 0, not <x>"),
    (LR % "{low: a, high: 1}", "must be a number, not <value>"),
    ("training: {batch_size: {low: 1.5, high: 3}}\n", "must be <an integer>, not <value>"),
    ("training: {batch_size: {low: 1, high: 9007199254740993000}}\n", "must be at most 2^53"),
    (LR % "{}", "an empty mapping; a range is"),
    (LR % "{choices: []}", "an empty list; at least one choice"),
    (LR % f"{{choices: [{', '.join(map(str, range(1, 1003)))}]}}", "choices; at most <1000>"),
    (LR % "{choices: [1, 1]}", "<value> is given twice"),
    ("model: {choices: [{width: 64}, {width: 64}]}\n", "this choice is given twice"),
    ("model: {choices: [{n_layers: {choices: [{n_layers: 1, width: 64}]}}]}\n", "a choice here must be a plain value"),
    ("model: {choices: [1, 2]}\n", "a choice of a section must be a mapping such as <{key: ...}>, not <value>"),
    ("model: {n_layers: {choices: [{width: 64}, {n_layers: 2}]}}\n", "must set <key> itself"),
    ("model: {choices: [{choices: [{width: 64}]}]}\n", "choices within choices"),
    (LR % "{choices: [1, 2], low: 1}", "cannot stand beside choices"),
    (
        "model: {n_layers: {low: 1, high: 2}, choices: [{n_layers: 1, width: 64}, {width: 128}]}\n",
        "it can be set in one place only",
    ),
    ("search: {sampler: grid}\n" + LR % "{low: 0.1, high: 1}", "a grid needs a step or choices here"),
    (
        "search: {sampler: grid}\n"
        + LR % "{low: 1.0e-6, high: 1, step: 1.0e-6}"
        + "model: {n_layers: {low: 1, high: 9}}\n",
        "a grid of more than",
    ),
    (LR % "{low: 0.1, high: 1, prior: 3}", "must be {center: ..., spread: ...} or off"),
    (LR % "{low: 0.1, high: 1, prior: {center: 0.2}}", "is missing; a prior needs center"),
    (LR % "{low: 0.1, high: 1, prior: {center: 3, spread: 1}}", "is not in the range from"),
    (LR % "{low: 0.1, high: 1, prior: {center: a, spread: 1}}", "must be a finite number, not <value>"),
    ("budget: {trials: {low: 1, high: 2}}\n", "a range is allowed only in"),
    ("seed: {low: 1, high: 2}\n", "a seed is no hyperparameter"),
    ("search: {first: [{lr: 1}]}\n" + LR % "{low: 0.1, high: 1}", "no range of this space"),
    ("search: {first: [{learning_rate: 3}]}\n" + LR % "{low: 0.1, high: 1}", "is not in its range"),
    ("search: {stop: true}\nobjective: {metric: val/f1_macro}\n" + LABELS, "as in {gain: 0.01}"),
    ('search: {policy: "python:a:b", first: [{}]}\n', "decides which configs come first"),
    ('search: {policy: "python:a:b", shift: true}\n', "decides at which horizons"),
    ("search: {shift: true, sampler: grid}\n", "trains every config at its whole horizon"),
    ("search: {shift: true, pruner: median}\n", "configs are promoted from horizon to horizon"),
    ("search: {warm_start: [b, b]}\n", "'<study>' is given twice"),
    ("resources: {trials_per_worker: 2}\n", "trains one trial at a time (it has no method train_many)"),
    (TOY + "resources: {trials_per_worker: 2, launcher: ray}\n", "a worker on Ray trains one trial"),
    ("resources: {gpus_per_trial: 2}\n", "trains on one GPU; allowed:"),
    ("objective: {metric: val/none}\n", "no metric <name>; <allowed or did you mean>"),
    ("objective: {metric: val/loss, direction: maximize}\n", "is better when"),
    ("tokenizer: {vocab_size: {choices: [300, 400]}}\n", "cannot be compared between vocabularies"),
    ("study: ../x\n", "is not a valid study name"),
    ("study: cache\n", "is the name of a folder of hpsearch's own"),
    ("trainer: none\n", "unknown trainer"),
    ('trainer: "python:x"\n', "names no attribute of a module"),
    ('trainer: "python:json:nothing"\n', "has no attribute <name>"),
    ('trainer: "python:json:JSONDecoder"\n', "is not a Trainer; derive"),
    ('trainer: "python:no_such_module:X"\n', "cannot be imported (<error>)"),
]

# Data sets, and words of the row.
SETS = [
    ("{}", "at least one is needed"),
    ("{a: {files: {train: a.txt}}}", "key '<task>' is missing"),
    ("{a: {task: text, files: {valid: a.txt}}}", "key '<key>' is missing"),
    ("{a: {task: text, files: {train: 5}}}", "must be a path or a list of paths"),
    ("{a: {task: text, files: {train: a.txt}, dataset: b}}", "give either files or dataset"),
    ("{a: {task: text, files: {train: a.txt}, config: b}}", "belong to a dataset of the datasets library"),
    ('{a: {task: text, dataset: "python:a:b", encoding: utf-8}}', "is about files; it does not apply"),
    ("{a: {task: translation, files: {source: a, target: b}}}", "source and target belong to a split"),
    ("{a: {task: text, files: {train: a.txt}, encoding: utf-99}}", "is not an encoding that Python knows"),
    ("{a: {task: classification, files: {train: a.csv}, delimiter: ab}}", "must be one character"),
    ("{a: {task: classification, files: {train: a.csv}, positive: [1]}}", "must be one of the labels"),
    ("{'a b': {task: text, files: {train: a.txt}}}", "a data set's name may have"),
    ('{a: {task: "python:json:JSONDecoder", files: {train: a.txt}}}', "module <module> <has no class"),
    ('{a: {task: "python:x", files: {train: a.txt}}}', "names no class of a module"),
]
WORDS = [words for cases in (FILES, SPACES, SETS) for _, words in cases]


@pytest.mark.parametrize(("text", "words"), FILES, ids=[words for _, words in FILES])
def test_a_file_that_cannot_be_read(text, words):
    with pytest.raises(HpsearchError) as caught:
        Experiment.loads(text, path="space.yaml")
    assert re.match(r"space\.yaml:\d+:\d+: ", str(caught.value))
    assert is_said(str(caught.value), words), str(caught.value)


@pytest.mark.parametrize(("text", "words"), SPACES, ids=[words for _, words in SPACES])
def test_a_wrong_key_value_or_range(text, words):
    with pytest.raises(HpsearchError) as caught:
        Experiment.loads(text if "data:" in text else DATA + text, path="space.yaml")
    assert re.match(r"space\.yaml:\d+:\d+: ", str(caught.value))
    assert is_said(str(caught.value), words), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("data", "words"), SETS, ids=[words for _, words in SETS])
def test_a_wrong_data_set(data, words):
    with pytest.raises(HpsearchError) as caught:
        Experiment.loads(f"data: {data}\n", path="space.yaml")
    assert is_said(str(caught.value), words), str(caught.value)


# ----------------------------------------------------------------------------------------------------------- the data

TABLE = "sentence\tlabel\ngood film\t1\nbad film\t0\n" * 3
ONE_LABEL = b"sentence\tlabel\n" + b"".join(b"good film %d\t1\n" % n for n in range(40))
FILE_CASES = {  # file, its content, its data set, words of the row
    "empty": ("a.txt", b"", "text", "the file is empty"),
    "blank": ("a.txt", b" \n \n", "text", "the file holds no text"),
    "latin": ("a.txt", "caf\xe9 au lait\n".encode("latin-1") * 3, "text", "of the line is not <UTF-8>"),
    "nul": ("a.txt", b"a\0b\n", "text", "a NUL byte"),
    "a table called .txt": ("a.txt", TABLE.encode(), "classification", "wants a table of examples"),
    "fields": ("a.tsv", b"sentence\tlabel\ngood\t1\nbad\n", "classification", "fields, <the header> has"),
    "no column": ("a.tsv", b"text\tlabel\ngood\t1\n", "classification", "no column <name> for <key>"),
    "twice": ("a.tsv", b"sentence\tsentence\tlabel\na\tb\t1\n", "classification", "is in the header twice"),
    "an empty text": ("a.tsv", b"sentence\tlabel\n \t1\ngood\t0\n", "classification", "the <text> is empty"),
    "a NUL in JSON": ("a.jsonl", b'{"sentence": "a\\u0000b", "label": "1"}\n', "classification", "has a NUL character"),
    "no JSON": ("a.jsonl", b"{a}\n", "classification", "<file>:<line>: not JSON"),
    "a list": ("a.jsonl", b"[1]\n", "classification", "a JSON <list>"),
    "a chat": ("a.jsonl", b'{"messages": [{"role": "user", "content": "hi"}]}\n', "text", "a chat (messages in <key>)"),
    "a header alone": ("a.tsv", b"sentence\tlabel\n", "classification", "no examples (a header alone"),
    "one label": ("a.tsv", ONE_LABEL, "classification", "train has one label only"),
    "an ending": ("a.xls", b"abc", "classification", "unknown ending"),
    "parquet": ("a.parquet", b"abc", "classification", "not a parquet file"),
    "half a gzip": ("a.tsv.gz", b"\x1f\x8b\x08\x00abc", "classification", "not a whole <gzip> file"),
    "an array in utf-16": ("a.json", b'[{"sentence": "\xff", "label": 1}]', "classification", "<file>: not <utf-8>"),
}
FUNCTIONS = {  # the body of a data function, words of the row
    "def data(): raise KeyError('x')": "data.<set>: <origin>: raised <error>",
    "def data(): return {'training': ['a']}": "returned <parts>, allowed",
    "def data(): return 'a text'": "one text, a list of examples is expected",
    "def data(): return [('a', 'b')]": "or a dict is expected",
    "import sys; sys.exit(3)": "called sys.exit",
    "x = 1": "<python:module:function>: module <module> has no function",
}
WORDS += [words for *_, words in FILE_CASES.values()] + list(FUNCTIONS.values())


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """The message of a run whose data are as given."""
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", pytest.fail)  # it must not come so far

    def message(data, **more):
        space = {"study": "s", "trainer": "python:hpsearch.testing.toy:Toy", "data": {"a": data}, **more}
        with pytest.raises(HpsearchError) as caught:
            hpsearch.run(space, base=tmp_path, home=tmp_path / "home", launcher="inline", progress=False)
        return str(caught.value)

    return message


COLUMNS = {"text": {}, "classification": {"text": "sentence", "label": "label"}}


@pytest.mark.parametrize("case", FILE_CASES)
def test_a_file_of_data_that_cannot_be_used(case, refused, tmp_path):
    name, content, task, words = FILE_CASES[case]
    (tmp_path / name).write_bytes(content)
    said = refused({"task": task, "files": {"train": name}, **COLUMNS[task]})
    assert is_said(said, words), said


@pytest.mark.parametrize("body", FUNCTIONS)
def test_a_function_of_data_that_cannot_be_used(body, refused, tmp_path):
    name = f"rows_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body + "\n")
    said = refused({"task": "text", "dataset": f"python:{name}:data"})
    assert is_said(said, FUNCTIONS[body]), said


OTHER_DATA = [
    ({"dataset": "python:x"}, "python:package.module:function is expected"),
    ({"dataset": "./none/at all"}, "no such folder, and not a valid name on the hub"),
    ({"files": {"train": "none.txt"}}, "<file>: no such file<hint>"),
    ({"files": {"train": "*.none"}}, "no file has a name like this"),
    ({"files": {"train": "$HPSEARCH_NO_SUCH/a.txt"}}, "the environment variable <NAME> is not set"),
    ({"dataset": "parts"}, "no file's name begins with train"),
    ({"files": {"train": "a.txt"}, "split": {"valid": 0.6, "test": 0.6}}, "leave nothing to train on"),
    ({"files": {"train": "few.zip"}}, "the archive is empty"),
]
WORDS += [words for _, words in OTHER_DATA] + ["split is empty<why>"]


@pytest.mark.parametrize(("given", "words"), OTHER_DATA, ids=[words for _, words in OTHER_DATA])
def test_data_that_are_not_there(given, words, refused, tmp_path):
    (tmp_path / "a.txt").write_text("some words\n\n" * 30)
    (tmp_path / "parts").mkdir()
    for name in ("valid", "test"):
        (tmp_path / "parts" / f"{name}.txt").write_text("some words\n")
    zipfile.ZipFile(tmp_path / "few.zip", "w").close()
    said = refused({"task": "text", **given})
    assert is_said(said, words), said


def test_a_split_without_examples(refused, tmp_path):
    (tmp_path / "a.txt").write_text("some words\n")
    (tmp_path / "b.tsv").write_text("source\ttarget\na\tb\n")
    said = refused({"task": "translation", "files": {"train": "b.tsv"}})
    assert is_said(said, "are too few to cut") or is_said(said, "split is empty<why>"), said


# ----------------------------------------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A home with two studies of a trial each."""
    here = tmp_path_factory.mktemp("studies")
    for name in ("train", "valid"):
        (here / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    data = {"text": {"task": "text", "files": {"train": "train.txt", "valid": "valid.txt"}}}
    space = {"trainer": "python:hpsearch.testing.toy:Toy", "data": data, "budget": {"trials": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.search.driver.shipper.start", NoViews)
        for name in ("one", "two"):
            hpsearch.run({**space, "study": name}, base=here, home=here / "mlruns", launcher="inline", progress=False)
    return here / "mlruns"


COMMANDS = [
    (("serch",), "No such command '<name>'"),
    (("run", "s.yaml", "--trails", "3"), "No such option"),
    (("run",), "Missing argument"),
    (("run", "s.yaml", "--workers", "0"), "is neither auto nor a whole number"),
    (("run", "s.yaml", "--hours", "nan"), "must be a finite number above 0"),
    (("run", "none.yaml"), "<path>: no such file<hint>"),
    (("run", "s.yaml", "--study", "../x"), "--study: <reason>"),
    (("show", "none"), "no study '<name>' in <home>; <there are: names>"),
    (("show", "a b"), "neither a space file (.yaml) nor the name of a study"),
    (("export", "none", "--cheapest", "--trial", "3"), "--cheapest and --trial"),
    (("enqueue", "none", "epochs"), "is not NAME=VALUE"),
    (("enqueue", "none", "epochs=3", "epochs=4"), "<NAME> is given twice"),
    (("enqueue", "none", "epochs=3"), "(run it first, or name the config in search.first)"),
    (("repair", "none", "--all"), "--all and a study"),
    (("repair", "--home", "empty"), "contains no study"),
    (("ui", "--home", "empty"), "holds no mlflow.db yet"),
    (("verify", "s.yaml"), "has no provenance, so it names no value"),
    (("train", "range.yaml"), "is a range; a training needs one value"),
    (("new", "a.tsv", "-o", "s.yaml"), "exists; --force replaces it"),
    (("new", "none*.txt", "-o", "new.yaml"), "no file matches this pattern"),
    (("new", "blob.bin", "-o", "new.yaml"), "a binary file, text is expected"),
    (("new", "a.en", "-o", "new.yaml"), "one side of a translation?"),
    (("new", "a.en", "b.fr", "--source", "de", "-o", "new.yaml"), "the files are of <languages>"),
    (("new", "ids.tsv", "-o", "new.yaml"), "so they are no classes"),
    (("new", "gaps.tsv", "-o", "new.yaml"), "has no value in <n> of the first <n> rows"),
    (("new", "texts.tsv", "--task", "classification", "-o", "new.yaml"), "no column has labels"),
    (("new", "texts.tsv", "--task", "translation", "-o", "new.yaml"), "a translation needs two columns"),
    (("show", "one", "--format", "parquet"), "--format parquet needs a file"),
    (("show", "one", "--json", "--sort", "trial"), "JSON has all trials by number"),
    (("run", "s.yaml", "--quiet", "--json"), "--quiet and --json exclude"),
    (("compare", "one", "one"), "is named twice; a comparison"),
    (("compare", "one", "two", "--trials", "1,2"), "trials: they are of one study"),
    (("rename", "one", "one"), "study '<name>' has that name"),
    (("rename", "one", "two"), "is taken: <path> exists"),
    (("report", "none"), "no study '<name>' in <home>; <there are: names>"),
]
WORDS += [words for _, words in COMMANDS] + ["Invalid value for"]


@pytest.mark.parametrize(("arguments", "words"), COMMANDS, ids=[" ".join(one) for one, _ in COMMANDS])
def test_a_wrong_command(arguments, words, call, studies, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "s.yaml").write_text(DATA)
    (tmp_path / "range.yaml").write_text(DATA + LR % "{low: 0.1, high: 0.2}")
    sentences = [f"this is the long sentence of number {n} in a file of many words" for n in range(200)]
    (tmp_path / "a.tsv").write_text("sentence\tlabel\n" + "".join(f"{s}\t{n % 2}\n" for n, s in enumerate(sentences)))
    gaps = "".join(f"{s}\t{n % 2 if n % 20 else ''}\n" for n, s in enumerate(sentences))
    (tmp_path / "blob.bin").write_bytes(bytes(range(1, 256)) * 9)
    (tmp_path / "gaps.tsv").write_text("sentence\tlabel\n" + gaps)
    (tmp_path / "ids.tsv").write_text("sentence\tlabel\n" + "".join(f"{s}\tk{n}\n" for n, s in enumerate(sentences)))
    (tmp_path / "texts.tsv").write_text("sentence\n" + "".join(f"{s}\n" for s in sentences))
    for name in ("a.en", "b.fr"):
        (tmp_path / name).write_text("\n".join(sentences))
    shutil.copytree(studies, tmp_path / "mlruns")
    code, _, err = call(*arguments)
    assert code in (1, 2)
    assert len(err.splitlines()) == 1
    said = err.strip().removeprefix("error: ")
    assert is_said(said, words) or is_said(said.rpartition(" (see ")[0], words), err


# ------------------------------------------------------------------------------------------------------------ the rest


def test_a_mapping_from_python_that_is_no_space():
    for value, words in (({"study": "s", 5: 1}, "the key <key> is not text"), ({"data": {}}, "give the study a name")):
        with pytest.raises(HpsearchError) as caught:
            Experiment.of(value)
        assert is_said(str(caught.value), words)
    with pytest.raises(HpsearchError) as caught:
        Experiment.loads(DATA).override(study="../x")
    assert is_said(str(caught.value), "study: <reason>")


def test_a_large_file(tmp_path):
    (tmp_path / "a.yaml").write_text("# " + "x" * 1_000_001)
    with pytest.raises(HpsearchError) as caught:
        Experiment.load(tmp_path / "a.yaml")
    assert is_said(str(caught.value), "larger than <1> MB")


def test_too_many_combinations():
    shares = ", ".join(str(n / 1000) for n in range(1, 151))
    text = f"training: {{warmup: {{choices: [{shares}]}}, cooldown: {{choices: [{shares}]}}}}"
    with pytest.raises(HpsearchError) as caught:
        Experiment.loads(f"{DATA}{text}\n{TOY}")
    assert is_said(str(caught.value), "combinations of <keys>")


def test_a_config_that_the_rules_refuse():
    """The message of a trial's config, and of one that is enqueued."""
    experiment = Experiment.loads(DATA + LR % "{low: 0.1, high: 0.2}")
    with pytest.raises(HpsearchError) as caught:
        experiment.config({"learning_rate": -1.0})
    assert is_said(str(caught.value), "must be <at least> <bound>, not <value>")


def test_a_file_system_that_cannot_lock(tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("hpsearch.journal.study_lock.fcntl.flock", refuses)
    with pytest.raises(HpsearchError) as caught:
        StudyLock(tmp_path / "lock", what="study 's'")
    assert is_said(str(caught.value), "this file system cannot lock")


def test_a_storage_that_refuses(tmp_path):
    with pytest.raises(HpsearchError) as caught:
        Storage("nosuch://bucket")
    assert is_said(str(caught.value), "storage <url>: <reason>")
    storage = Storage(f"file://{tmp_path}")
    with pytest.raises(HpsearchError) as caught:
        storage.put(tmp_path / "none", "name")
    assert is_said(str(caught.value), "storage <url>: <path>: <reason>")


def test_a_node_without_a_scratch_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HPSEARCH_SCRATCH", str(tmp_path / "file"))
    with pytest.raises(HpsearchError) as caught:
        Scratch()
    assert is_said(str(caught.value), "set HPSEARCH_SCRATCH on the node")


def test_two_special_tokens_of_one_spelling():
    with pytest.raises(HpsearchError) as caught:
        Tokenizer(None, ["<a>", "<a>"])
    assert is_said(str(caught.value), "two special tokens are spelt alike")


def test_a_verification_without_a_finite_value():
    said = "no evaluation of val/loss was finite: there is nothing to compare"
    assert is_said(said, "there is nothing to compare")
    expected = Expected("trial 3", metric="val/loss", value=1.0, sigma=0.1, assumed=False, differences=())
    with pytest.raises(HpsearchError) as caught:
        expected.verdict([math.nan])
    assert str(caught.value) == said


def test_a_mistake_of_yaml_of_no_known_kind():
    error = SimpleNamespace(context=None, context_mark=None, problem="something new", problem_mark=None)
    line, column, words = explain(error, ["a: 1"])
    assert is_said(f"space.yaml:{line}:{column}: {words}", "not valid YAML (<what>)")


SHORT = """
from hpsearch.testing.toy import Toy

class Short(Toy):
    def shortened(self, config, horizon, searched):
        return {}
"""


def test_a_trainer_that_cannot_shorten_its_trainings(tmp_path):
    (tmp_path / "short_trainer.py").write_text(SHORT)
    (tmp_path / "space.yaml").write_text(DATA + "search: {shift: true}\ntrainer: 'python:short_trainer:Short'\n")
    with pytest.raises(HpsearchError) as caught:
        Experiment.load(tmp_path / "space.yaml")
    assert is_said(str(caught.value), "cannot shorten its trainings"), caught.value


def test_studies_that_cannot_be_repaired_or_shipped(call, tmp_path, monkeypatch):
    (tmp_path / "home" / "broken").mkdir(parents=True)
    (tmp_path / "home" / "broken" / "journal.jsonl").write_text("no journal\n")
    code, _, err = call("repair", "--home", tmp_path / "home")
    assert code == 1
    assert is_said(err.strip(), "not intact: <names>")
    monkeypatch.setattr("hpsearch.home.home.history_of", lambda *_, **__: History(study="broken"))
    monkeypatch.setattr("hpsearch.views.shipping.sync", lambda *_, **__: {"mlflow": 3})
    code, _, err = call("sync", "broken", "--home", tmp_path / "home")
    assert code == 1
    assert is_said(err.strip(), "not everything could be written")


def test_a_home_that_no_address_can_name(tmp_path, monkeypatch):
    """As SQLAlchemy 2.0 reads it."""
    monkeypatch.setattr("sqlalchemy.engine.make_url", lambda url: SimpleNamespace(database=str(tmp_path)))
    with pytest.raises(HpsearchError) as caught:
        sqlite.url(tmp_path / "a?b")
    assert is_said(str(caught.value), "no database URL can express this path")


def test_a_question_that_is_answered_with_no(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    with pytest.raises(HpsearchError) as caught:
        ask("Delete?", yes=False, doing="deletes")
    assert is_said(str(caught.value), "nothing was changed")


def test_nothing_is_deleted_without_a_name(tmp_path):
    with pytest.raises(HpsearchError) as caught:
        to_delete((), tmp_path)
    assert is_said(str(caught.value), "name the studies to delete")


MISSING = "no_such_module_here"
DEEP = "train: mine.py:train\nconfig: " + "{a: " * 24 + "1" + "}" * 24
FUNCTIONS_OF_OWN = [
    ("def train(config, trial:\n", "train: mine.py:train\n", "is no Python: <reason>"),
    ("", f"train: {MISSING}:train\n", "<place>: train: <why>"),
    ("", "command: ''\n", "an empty command"),
    (
        "def train(config, trial): pass\n",
        DEEP,
        "in one another",
    ),
]


@pytest.mark.parametrize(("code", "space", "words"), FUNCTIONS_OF_OWN, ids=[words for *_, words in FUNCTIONS_OF_OWN])
def test_a_function_or_program_of_ones_own(code, space, words, tmp_path):
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "space.yaml").write_text(space + "\nobjective: {metric: loss, direction: minimize}\n")
    with pytest.raises(HpsearchError) as caught:
        loaded_and_checked(tmp_path / "space.yaml")
    assert is_said(str(caught.value), words), caught.value


def loaded_and_checked(path):
    """Loads a file and checks its function or program, as a run does."""
    experiment = Experiment.load(path)
    experiment.trainer.check(experiment.space_file)


@pytest.mark.parametrize(("goes_on", "words"), [(False, "runs no more: <why>"), (True, "has taken this back")])
def test_a_pause_that_is_not_obeyed(goes_on, words):
    follower = SimpleNamespace(new=list, state=lambda: SimpleNamespace(goes_on=goes_on), history=None)
    with pytest.raises(HpsearchError) as caught:
        _await(follower, lambda _: False, name="s", wanted=lambda: False)
    assert is_said(str(caught.value), words)


def test_a_deletion_of_which_a_store_refuses_a_part(studies, tmp_path, monkeypatch):
    def refuses(*_):
        raise HpsearchError("the server does not answer")

    monkeypatch.setattr("hpsearch.home.deletion._delete_rows", refuses)
    shutil.copytree(studies, tmp_path / "home")
    with pytest.raises(HpsearchError) as caught:
        deletion.delete(Home(tmp_path / "home"), "one", keep_mlflow=True)
    assert is_said(str(caught.value), "is deleted, but for"), caught.value


def test_a_state_that_is_none():
    with pytest.raises(ValueError, match="no state") as caught:
        decode(b"x")
    assert is_said(str(caught.value), "no state: <why>")


WORDS += [words for *_, words in FUNCTIONS_OF_OWN]
WORDS += [
    "runs no more: <why>",
    "has taken this back",
    "is deleted, but for",
    "no state: <why>",
    "nothing was changed",
    "name the studies to delete",
    "not valid YAML (<what>)",
    "cannot shorten its trainings",
    "not intact: <names>",
    "not everything could be written",
    "no database URL can express this path",
    "<path>: <what is not allowed>",
    "must be <at least> <bound>, not <value>",
    "the key <key> is not text",
    "study: <reason>",
    "larger than <1> MB",
    "combinations of <keys>",
    "this file system cannot lock",
    "storage <url>: <reason>",
    "storage <url>: <path>: <reason>",
    "set HPSEARCH_SCRATCH on the node",
    "two special tokens are spelt alike",
    "there is nothing to compare",
]
