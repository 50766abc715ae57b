"""F44 to F47, F49: what people and editors write into a space file, and what they change under a study."""

import ctypes
import hashlib
import json
import os
import resource
import subprocess
import sys

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from tests import blank
from tests.cli.processes import PROGRAM, environment, hpsearch

DATA = "data: {r: {task: text, files: {train: a.txt}}}\n"  # line 1 of most files


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def tree(folder, *, without=("lock",)):
    """Every file of a folder: its mode and what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name not in without:
            held = os.readlink(path) if path.is_symlink() else None
            held = hashlib.sha256(path.read_bytes()).hexdigest() if held is None and path.is_file() else held
            found[str(path.relative_to(folder))] = (path.lstat().st_mode, held)
    return found


# ------------------------------------------------------------------------------------------------- F45: malformed files

MALFORMED = {
    "tab as indentation": (DATA + "training:\n\tepochs: 3\n", "3:1", "a tab where only spaces may stand; replace it"),
    "tab behind a key": (DATA + "seed:\t3\n", "2:6", "a tab where only spaces may stand; replace it"),
    "unclosed quote": (DATA + 'study: "toy\nseed: 3\n', "2:8", 'is not closed; add the "'),
    "unclosed bracket": (DATA + "training: {epochs: 3\n", "2:11", "this '{' is not closed; add the '}'"),
    "unclosed bracket, more": (DATA + "training: {epochs: 3\nseed: 3\n", "3:5", "from the '{' in line 2, column 11 on"),
    "wrong bracket": (DATA + "training: {epochs: 3]\n", "2:21", "a ',' or '}' is missing before this"),
    "bracket too many": (DATA + "training: {epochs: 3}}\n", "2:22", "a '}' too many; remove it"),
    "missing comma": (DATA + "training: {epochs: {low: 1 high: 3}}\n", "2:32", "a ',' or '}' is missing before this"),
    "missing colon": (DATA + "seed = 3\n", "2:1", "a line without ': '; write key: value"),
    "no space after colon": (DATA + "seed:3\n", "2:1", "with a space after the colon"),
    "less indented": (DATA + "training:\n    epochs: 3\n  warmup: 0.1\n", "4:3", "the indentation fits nothing above"),
    "more indented": (DATA + "training:\n  epochs: 3\n    warmup: 0.1\n", "4:11", "check the indentation"),
    "first line shifted": (" " + DATA + "seed: 3\n", "2:1", "no part of the mapping above; check the indentation"),
    "colon in a text": (DATA + "study: a: b\n", "2:9", "a ':' out of place; check the indentation, or quote the text"),
    "duplicate key": (DATA + "seed: 1\nseed: 2\n", "3:1", "key 'seed' is given twice (first on line 2); remove one"),
    "two documents": (DATA + "---\nseed: 2\n", "2:1", "a second document; only one is allowed"),
    "top-level list": ("- data\n- model\n", "1:1", "the file must be a mapping (study: ..., data: ..., model: ...)"),
    "empty file": ("", "1:1", "the file says nothing; a space has at least data"),
    "only comments": ("# nothing\n\n# here\n", "1:1", "the file says nothing; a space has at least data"),
    "undefined alias": (
        "data: {r: {task: text, files: {train: *.txt}}}\n",
        "1:39",
        "no anchor &.txt before it; quote it",
    ),
    "merge key": (DATA + "training: &t {epochs: 3}\nmodel:\n  <<: *t\n", "4:3", "write the keys out"),
    "tag": (DATA + "seed: !env SEED\n", "2:7", "tag !env is not allowed; write the plain value"),
    "template": (DATA + "training: {epochs: {{ epochs }}}\n", "2:21", "a key must be plain text"),
    "key is a number": (DATA + "3: 4\n", "2:1", "a key must be text; quote 3"),
    "decimal comma": (DATA + "training: {learning_rate: 0,001}\n", "2:29", "write a decimal point if a comma splits"),
    "invisible in a key": (DATA + "seed\u200b: 3\n", "2:5", "U+200B (ZERO WIDTH SPACE) in a key; retype the key"),
    "merge conflict": (
        DATA + "<<<<<<< HEAD\nseed: 1\n=======\n",
        "2:1",
        "a merge conflict is left in the file",
    ),
    "backslashes": (
        'data: {r: {task: text, files: {train: "C:\\data"}}}\n',
        "1:43",
        "a backslash that YAML does not know",
    ),
    "unquoted @": (DATA + "study: @toy\n", "2:8", "text cannot begin with '@'; put it in quotes"),
    "UTF-16": ((DATA + "seed: 3\n").encode("utf-16"), "1:1", "not UTF-8 text; save the file as UTF-8"),
    "UTF-16, no mark": (
        (DATA + "seed: 3\n").encode("utf-16-le"),
        "1:2",
        "U+0000 is not allowed in YAML; save the file",
    ),
    "Latin-1": ((DATA + "study: caf\xe9\n").encode("latin-1"), "2:11", "not UTF-8 text; save the file as UTF-8"),
    "NUL": (DATA + "seed: \0\n", "2:7", "character U+0000 is not allowed in YAML"),
    "escape sequence": (DATA + "study: \x1b[31mtoy\n", "2:8", "character U+001B is not allowed in YAML; remove it"),
    "Windows lines": ((DATA + "seed: x\n").replace("\n", "\r\n"), "2:7", "seed: must be an integer, not 'x'"),
    "misspelt key": (DATA + "trainig: {epochs: 3}\n", "2:1", "trainig: unknown key; did you mean 'training'?"),
    "misspelt deeper": (DATA + "training:\n  learning_rat: 3\n", "3:3", "did you mean 'learning_rate'?"),
    "wrong type deep down": (
        DATA + "model:\n  n_layers: {low: one, high: 3}\n",
        "3:19",
        "must be an integer, not 'one'",
    ),
    "list for a mapping": (DATA + "training:\n- epochs: 3\n", "3:1", "training: must be a mapping (key: value)"),
    "mapping for a value": (DATA + "seed: {low: 1}\n", "2:7", "a seed is no hyperparameter, so it has no range"),
    "yes for true": (DATA + "training: {compile: yes}\n", "2:21", "must be true or false, not 'yes'"),
    "line break in a value": (DATA + 'seed: "3\\n\\e[31m"\n', "2:7", r"must be an integer, not '3\n\x1b[31m'"),
}


@pytest.mark.parametrize(("content", "place", "words"), MALFORMED.values(), ids=MALFORMED)
def test_f45_a_malformed_space_is_refused_with_its_place(call, tmp_path, content, place, words):
    path = tmp_path / "space.yaml"
    write(path, content)
    code, out, err = call("run", path, "--home", tmp_path / "home")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {path}:{place}: ")
    assert words in err
    assert err.strip().isprintable()
    assert os.listdir(tmp_path) == ["space.yaml"]


IN_PROCESSES = ["tab as indentation", "unclosed quote", "UTF-16, no mark", "two documents", "misspelt deeper"]


@pytest.mark.parametrize("kind", IN_PROCESSES)
def test_f45_a_real_command_says_it_in_one_line(tmp_path, kind):
    content, place, words = MALFORMED[kind]
    write(tmp_path / "space.yaml", content)
    done = hpsearch("run", "space.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: space.yaml:{place}: ")
    assert words in done.stderr
    assert os.listdir(tmp_path) == ["space.yaml"]


@pytest.mark.parametrize("command", ["train", "show", "export", "sync", "stop", "ui"])
def test_f45_every_command_that_reads_a_file_refuses_it_alike(call, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for content, place, words in (MALFORMED["tab as indentation"], MALFORMED["misspelt deeper"]):
        write(tmp_path / "best.yaml", content)
        code, out, err = call(command, "best.yaml")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: best.yaml:{place}: ")
        assert words in err
        assert os.listdir(tmp_path) == ["best.yaml"]


def test_f45_what_editors_do_without_harm_is_read(tmp_path):
    text = DATA + "study: toy\ntraining:\n    epochs: 3   # weeks\n\n"
    for content in (
        text,
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        "---\n" + text + "...\n",
        "%YAML 1.2\n---\n" + text,
    ):
        write(tmp_path / "space.yaml", content)
        assert Experiment.load(tmp_path / "space.yaml").settings.training.epochs == 3
    as_json = {"data": {"r": {"task": "text", "files": {"train": "a.txt"}}}, "training": {"epochs": 3}}
    write(tmp_path / "space.yaml", json.dumps(as_json, indent=1))
    assert Experiment.load(tmp_path / "space.yaml").settings.training.epochs == 3


# --------------------------------------------------------------------------------------------------------- F46: attacks

BOMB = "a0: &a0 {x: 1, y: 1}\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
ATTACKS = {
    "python tag": ("a: !!python/object/apply:os.system ['touch owned']\n", "1:4: tag !!python/object/apply:os.system"),
    "alias bomb": (BOMB, "5:5: more than 10000 values"),
    "merge bomb": (BOMB.replace("[", "{<<: [").replace("]", "]}"), "2:10: merge keys (<<) are not allowed"),
    "depth, one line": (f"a: {'[' * 100_000}{']' * 100_000}\n", "1:20001: a line of more than 20000 characters"),
    "depth, lines": ("a:\n" + "".join(f"{' ' * i}-\n" for i in range(1, 1300)), "33:33: nested deeper than 32 levels"),
    "depth, brackets": ("a: " + "[\n" * 100_000, "32:1: nested deeper than 32 levels"),
    "5 MB scalar": (f"a: {'x' * 5_000_000}\n", " larger than 1 MB"),
    "self reference": ("a: &a [*a]\n", "1:8: alias *a has no anchor &a before it"),
    "101 aliases": ("a: &a 1\nb: [" + "*a, " * 101 + "]\n", "2:405: more than 100 uses of aliases"),
    "a million values": ("a:\n" + "- 1\n" * 240_000, "10000:3: more than 10000 values"),
    "a million choices": (
        f"{DATA}training:\n  batch_size:\n    choices:\n" + "".join(f"    - {i}\n" for i in range(1, 9000)),
        "5:5: training.batch_size.choices: 8999 choices; at most 1000",
    ),
    "a long tag": (f"a: !{'x' * 900_000} 1\n", "1:20001: a line of more than"),
    "a long key": (f'"{"k" * 900}": 1\n', "1:1: a key must have 1 to 200 characters"),
    "an endless grid": (
        DATA + "search: {sampler: grid}\ntraining: {warmup: {low: 0, high: 0.5, step: 1e-9}}\n",
        "3:20: training.warmup: a grid of more than 1,000,000 points",
    ),
}


def limited():
    """500 MB of addresses; plain imports take 150 of them."""
    resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))


def run_limited(*arguments, cwd, before=limited):
    """A real command within the limits; one that blocks ends the test."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=before,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(("content", "words"), ATTACKS.values(), ids=ATTACKS)
def test_f46_an_attack_is_refused_within_little_memory_and_time(zygote, tmp_path, content, words):
    """200 MB above what the imports take, and a minute of processor time."""
    cwd = tmp_path / "run"
    cwd.mkdir()
    write(cwd / "space.yaml", content)
    done = zygote.run(cwd, "run", "space.yaml", MEMORY_LIMIT="200")
    assert (done.code, done.said.count("\n")) == (2, 1), done.said[:500]
    assert done.said.startswith(f"error: space.yaml:{words}")
    assert len(done.said) < 300
    assert sorted(os.listdir(cwd)) == ["output.txt", "space.yaml"]


def test_f46_a_real_command_refuses_an_attack_within_500_mb(tmp_path):
    content, words = ATTACKS["alias bomb"]
    write(tmp_path / "space.yaml", content)
    done = run_limited("run", "space.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr[:500]
    assert done.stderr.startswith(f"error: space.yaml:{words}")


def without_root():
    """Takes from a root process, and what it starts, the right to pass over file modes."""
    limited()
    if os.geteuid() == 0:
        pr_capbset_drop = 24
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(pr_capbset_drop, capability) == 0


FILES = {
    "a folder": (lambda path: path.mkdir(), "is a folder; a YAML file is expected"),
    "a FIFO": (lambda path: os.mkfifo(path), "is no regular file; a YAML file is expected"),
    "a symlink loop": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file; a YAML file is expected"),
    "not there": (lambda path: None, "no such file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "no such file"),
}


@pytest.mark.parametrize(("make", "words"), FILES.values(), ids=FILES)
def test_f46_what_is_no_file_is_refused_and_not_waited_for(zygote, tmp_path, make, words):
    make(tmp_path / "space.yaml")
    before = os.listdir(tmp_path)
    done = zygote.run(tmp_path, "run", "space.yaml", MEMORY_LIMIT="200")
    assert (done.code, done.said.count("\n")) == (2, 1), done.said[:500]
    assert done.said.removeprefix("error: ").removeprefix("space.yaml: ").startswith(words)
    assert sorted(os.listdir(tmp_path)) == sorted(["output.txt", *before])


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_f46_a_file_that_is_not_readable_is_refused(tmp_path):
    (tmp_path / "space.yaml").write_text(DATA)
    (tmp_path / "space.yaml").chmod(0)
    done = run_limited("run", "space.yaml", cwd=tmp_path, before=without_root)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "error: Invalid value for 'SPACE': Path 'space.yaml' is not readable. (see hpsearch run --help)\n"
    )


# --------------------------------------------------------------------------------------------------------- F47: meaning

NUMBERS = [
    ("training: {learning_rate: 1e-3}", 0.001),
    ("training: {learning_rate: 1E-3}", 0.001),
    ("training: {learning_rate: .5}", 0.5),
    ("training: {epochs: 1E2}", 100.0),
    ("training: {batch_size: 1e1}", 10),
    ("training: {batch_size: 0x10}", 16),
    ("training: {batch_size: 0o17}", 15),
]


@pytest.mark.parametrize(("text", "number"), NUMBERS, ids=[text for text, _ in NUMBERS])
def test_f47_numbers_are_numbers(text, number):
    experiment = Experiment.loads(DATA + text + "\n")
    key = text.split("{")[1].split(":")[0]
    got = getattr(experiment.settings.training, key)
    assert got == number
    assert type(got) is type(number)


MEANINGS = [
    ("training: {batch_size: 010}", "2:24", '010 is ambiguous (octal or decimal?); write 10, or "010" for text'),
    ("training: {batch_size: +010}", "2:24", "ambiguous"),
    ("seed: 1:30", "2:7", "seed: must be an integer, not '1:30'"),
    ("seed: 1_000", "2:7", "seed: must be an integer, not '1_000'"),
    ("seed: 2024-01-01", "2:7", "seed: must be an integer, not '2024-01-01'"),
    ("training: {compile: no}", "2:21", "must be true or false, not 'no'"),
    ("training: {compile: on}", "2:21", "must be true or false, not 'on'"),
    ("training: {compile: y}", "2:21", "must be true or false, not 'y'"),
    ("on: 3", "2:1", "on: unknown key"),
    ("true: 3", "2:1", "a key must be text; quote true"),
    ("training: {epochs: 1, epochs: 2}", "2:23", "key 'epochs' is given twice"),
    ("training: {learning_rate: .inf}", "2:27", ".inf is not allowed; write a finite number"),
    ("training: {learning_rate: -.INF}", "2:27", "-.INF is not allowed; write a finite number"),
    ("training: {learning_rate: .nan}", "2:27", ".nan is not allowed; write a finite number"),
    ("training: {learning_rate: nan}", "2:27", "must be a number, not 'nan'"),
    ("training: {learning_rate: 1e400}", "2:27", "number 1e400 is too large"),
    ("seed: 99999999999999999999", "2:7", "is too large"),
    ("seed: 3.0", "2:7", "seed: must be an integer, not 3.0"),
    ("seed: '3'", "2:7", "seed: must be an integer, not '3'"),
    ("training: {learning_rate: {low: 0.1, high: 0.01}}", "2:27", "low 0.1 is above high 0.01"),
    ("training: {warmup: {low: 0, high: 0.1, log: true}}", "2:26", "low must be above 0 where log is true, not 0"),
    ("training: {batch_size: {low: 1, high: 8, step: 0}}", "2:48", "must be above 0, not 0"),
    ("training: {batch_size: {low: 1, high: 8, step: -1}}", "2:48", "must be above 0, not -1"),
    ("training: {batch_size: {low: 1, high: 8, logs: true}}", "2:42", "unknown key; did you mean 'log'?"),
    ("training: {lerning_rate: 0.1}", "2:12", "unknown key; did you mean 'learning_rate'?"),
    ("modle: {width: 64}", "2:1", "unknown key; did you mean 'model'?"),
    (
        "objective: {metric: val/los}",
        "2:21",
        "no metric 'val/los' (did you mean 'val/loss'?); these data sets give",
    ),
    ("objective: {direction: maximise}", "2:24", "must be one of minimize, maximize"),
]


@pytest.mark.parametrize(("text", "place", "words"), MEANINGS, ids=[text[:60] for text, _, _ in MEANINGS])
def test_f47_what_is_ambiguous_or_meaningless_is_refused(text, place, words):
    with pytest.raises(ConfigError) as caught:
        Experiment.loads(DATA + text + "\n", path="space.yaml")
    assert str(caught.value).startswith(f"space.yaml:{place}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_f47_a_file_of_another_version_of_yaml_is_refused():
    with pytest.raises(ConfigError, match=r"space.yaml:2:1: another version of YAML; it is read as 1.2"):
        Experiment.loads("%YAML 1.1\n---\n" + DATA, path="space.yaml")


# ------------------------------------------------------------------------------------- F44, F49: another space or data

STUDY = """\
study: made
seed: 1
budget: {trials: 2}
objective: {metric: val/loss}
data:
  texts: {task: text, files: {train: train.txt, valid: valid.txt}}
  moods: {task: classification, files: {train: moods.tsv}, text: sentence, label: mood}
  pairs: {task: translation, files: {train: pairs.jsonl}, source: en, target: fr}
search: {pruner: none}
model: {width: 64, dropout: {choices: [0.0, 0.1]}}
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  epochs: {low: 1, high: 6}
  schedule: {choices: [wsd, cosine]}
trainer: "python:hpsearch.testing.toy:Toy"
"""
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "small", "dog", "run", "over", "green", "hills"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished study of three data sets, made by a real command."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "space.yaml").write_text(STUDY)
    for name, n in (("train", 300), ("valid", 60)):
        (folder / f"{name}.txt").write_text(" ".join(WORDS[i * i % len(WORDS)] for i in range(n)))
    rows = [f"it is {WORDS[i % 11]} today {i}\t{('warm', 'cold')[i % 2]}" for i in range(40)]
    (folder / "moods.tsv").write_text("sentence\tmood\n" + "\n".join(rows) + "\n")
    pairs = [json.dumps({"en": f"number {i}", "fr": f"le nombre {i}"}) for i in range(40)]
    (folder / "pairs.jsonl").write_text("\n".join(pairs) + "\n")
    blank.home(folder / "home")
    done = hpsearch("run", "space.yaml", "--home", "home", "--workers", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


RATE = "{low: 0.0001, high: 0.1, log: true}"
CHANGES = {  # what is replaced in STUDY, the place of the first change, the lines of the difference
    "range": ({"high: 1e-1": "high: 1"}, "12:18", [f"training.learning_rate: {RATE} -> {RATE.replace('0.1', '1.0')}"]),
    "scale": ({", log: true": ""}, "12:18", [f"training.learning_rate: {RATE} -> {{low: 0.0001, high: 0.1}}"]),
    "type": ({"{low: 1, high: 6}": "3"}, "13:11", ["training.epochs: {low: 1.0, high: 6.0} -> 3.0"]),
    "choice added": (
        {"0.1]": "0.1, 0.2]"},
        "10:29",
        ["model.dropout: {choices: [0.0, 0.1]} -> {choices: [0.0, 0.1, 0.2]}"],
    ),
    "choice removed": (
        {"[wsd, cosine]": "[wsd]"},
        "14:13",
        ["training.schedule: {choices: [wsd, cosine]} -> {choices: [wsd]}"],
    ),
    "range added": (
        {"epochs:": "weight_decay: {low: 0.1, high: 1}\n  epochs:"},
        "13:17",
        ["training.weight_decay: 0.1 -> {low: 0.1, high: 1.0}"],
    ),
    "metric": ({"val/loss": "val/perplexity"}, "4:21", ["objective.metric: val/loss -> val/perplexity"]),
    "direction": (
        {"val/loss": "val/f1_macro"},
        "4:21",
        ["objective.metric: val/loss -> val/f1_macro", "objective.direction: minimize -> maximize"],
    ),
    "seed": ({"seed: 1": "seed: 2"}, "2:7", ["seed: 1 -> 2"]),
    "fixed value": ({"width: 64": "width: 128"}, "10:16", ["model.width: 64 -> 128"]),
    "split": (
        {"text: sentence,": "text: sentence, split: {valid: 0.3},"},
        "7:91",
        ["data.moods.split.valid: 0.1 -> 0.3"],
    ),
    "column": ({"text: sentence": "text: other"}, "7:66", ["data.moods.text: sentence -> other"]),
    "evaluations": ({"search:": "evaluation: {times: 5}\nsearch:"}, "9:21", ["evaluation.times: 20 -> 5"]),
    "a set less": (
        {"  pairs: {task: translation, files: {train: pairs.jsonl}, source: en, target: fr}\n": ""},
        "6:3",
        [
            "data.pairs: {split: {valid: 0.1, test: 0.1, seed: 0}, task: translation, source: en, target: fr}"
            " -> (not there)"
        ],
    ),
    "three at once": (
        {"seed: 1": "seed: 3", "width: 64": "width: 96", "high: 6": "high: 7"},
        "2:7",
        ["seed: 1 -> 3", "model.width: 64 -> 96", "training.epochs: {low: 1.0, high: 6.0} -> {low: 1.0, high: 7.0}"],
    ),
}
NAME = "name a new study (study: in the file; `hpsearch run --study NAME`, study= in Python)"
LEARNS = ", which learns from the trials of this one by search: {warm_start: made}"


@pytest.mark.parametrize(("edits", "place", "lines"), CHANGES.values(), ids=CHANGES)
def test_f44_a_changed_space_is_refused_with_a_line_per_change_and_touches_nothing(call, made, edits, place, lines):
    text = STUDY
    for before, now in edits.items():
        assert text.count(before) == 1
        text = text.replace(before, now)
    (made / "space.yaml").write_text(text)
    before = tree(made / "home")
    code, out, err = call("run", made / "space.yaml", "--home", made / "home", "--launcher", "inline")
    assert (code, out.strip()) == (2, "")
    first, *rest = err.splitlines()
    assert first.startswith(f"error: {made / 'space.yaml'}:{place}: study 'made' was made from another space")
    learns = LEARNS * (not any(line.startswith(("objective", "trainer")) for line in lines))
    assert first.endswith(f"{NAME}{learns}, or undo:")
    assert rest == [f"  {line}" for line in lines]
    assert tree(made / "home") == before


def test_f44_a_real_command_refuses_before_a_worker_starts_and_undoing_goes_on(call, made):
    (made / "space.yaml").write_text(STUDY.replace("seed: 1", "seed: 2"))
    before = tree(made / "home")
    done = hpsearch("run", "space.yaml", "--home", "home", cwd=made)
    assert (done.returncode, done.stdout.strip()) == (2, "")
    assert done.stderr.splitlines()[1:] == ["  seed: 1 -> 2"]
    assert tree(made / "home") == before
    (made / "space.yaml").write_text(STUDY)
    code, _, err = call("run", made / "space.yaml", "--home", made / "home", "--launcher", "inline")
    assert (code, err) == (0, "")


def test_f44_another_name_makes_another_study(call, made):
    (made / "space.yaml").write_text(STUDY.replace("seed: 1", "seed: 2"))
    before = tree(made / "home" / "made")
    options = ("--home", made / "home", "--launcher", "inline", "--trials", "1")
    code, _, err = call("run", made / "space.yaml", *options, "--study", "CON")  # no special name here
    assert (code, err) == (0, "")
    assert (made / "home" / "CON" / "best.yaml").exists()
    assert tree(made / "home" / "made") == before


DATA_CHANGES = {  # the file, how it is edited, the sets whose contents differ
    "a line more": ("train.txt", lambda text: text + " the end", ["texts"]),
    "one letter": ("moods.tsv", lambda text: text.replace("warm", "Warm", 1), ["moods"]),
    "a pair less": ("pairs.jsonl", lambda text: text.split("\n", 1)[1], ["pairs"]),
    "in the validation set": ("valid.txt", lambda text: text.replace("cat", "dog", 1), ["texts"]),
}


@pytest.mark.parametrize(("name", "edit", "sets"), DATA_CHANGES.values(), ids=DATA_CHANGES)
def test_f49_changed_data_are_refused_like_a_changed_space(call, made, name, edit, sets):
    (made / "space.yaml").write_text(STUDY)
    text = (made / name).read_text()
    before = tree(made / "home")
    try:
        (made / name).write_text(edit(text))
        code, out, err = call("run", made / "space.yaml", "--home", made / "home", "--launcher", "inline")
    finally:
        (made / name).write_text(text)
    assert (code, out.strip()) == (2, "")
    first, *rest = err.splitlines()
    assert first.startswith(f"error: {made / 'space.yaml'}:")
    assert first.endswith(f"{NAME}{LEARNS}, or undo:")
    assert [line.split(": ")[0] for line in rest] == [f"  data.{name}" for name in sets]
    assert all(": contents " in line and " -> contents " in line for line in rest)
    assert tree(made / "home") == before


def test_f49_another_path_to_other_data_is_refused_and_to_the_same_data_is_not(call, made):
    options = ("--home", made / "home", "--launcher", "inline")
    (made / "other.txt").write_text("other words")
    (made / "space.yaml").write_text(STUDY.replace("train: train.txt", "train: other.txt"))
    before = tree(made / "home")
    code, _, err = call("run", made / "space.yaml", *options)
    assert (code, err.splitlines()[1].split(": ")[0]) == (2, "  data.texts")
    assert tree(made / "home") == before
    (made / "other.txt").write_bytes((made / "train.txt").read_bytes())
    code, _, err = call("run", made / "space.yaml", *options)
    assert (code, err) == (0, "")
