"""F51 no pickled code runs, F52 no planted link is followed, F55 all files are private, F56 nothing below its floor."""

import ast
import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from hpsearch import errors
from hpsearch.contract import Command
from hpsearch.data import sources
from hpsearch.data.corpus import Corpus
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.final import training as final
from hpsearch.system import environment
from hpsearch.trainers.causal_lm import CausalLM
from hpsearch.training import checkpoint, loop
from tests.cli.conftest import SPACE
from tests.cli.processes import hpsearch
from tests.training.tiny import TEXT, handle, opened, tiny

ROOT = Path(__file__).parents[2]
SWITCHES = {"none": {}, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}}


# ------------------------------------------------------------------------------------------------- F51: pickled code


class Touch:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def canary(tmp_path):
    """A path at which nothing may stand after the test."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code was run"
    pickle.loads(pickle.dumps(Touch(path)))
    assert path.exists(), "the canary does not sing"


def rewritten(path, change):
    """Replaces the state in a checkpoint by one that is changed, under a right header of ours."""
    header, body = path.read_bytes().split(b"\n", 1)
    state = torch.load(io.BytesIO(body), weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    facts = json.loads(header) | {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
    path.write_bytes(json.dumps(facts).encode() + b"\n" + body)


def poison(place, canary):
    """A function that puts the payload into a state."""

    def change(state):
        if place == "everything":
            state.clear()
            state["model"] = Touch(canary)
        else:
            state[place]["poison"] = Touch(canary)

    return change


@pytest.fixture(params=SWITCHES)
def switch(request, monkeypatch):
    """The environment as it is, and with torch's switch that makes unsafe loading the default."""
    for name, value in SWITCHES[request.param].items():
        monkeypatch.setenv(name, value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", ["everything", "model", "optimizer", "rng"])
def test_f51_a_checkpoint_to_go_on_from_runs_no_code(tmp_path, corpus_files, canary, switch, place):
    """last.pt and previous.pt under a right SHA-256 and config hash: refused as damaged; the training restarts."""
    config = tiny({"text": TEXT}, training={"epochs": 2})
    opened(config, tmp_path)
    undisturbed = [e.metrics["val/loss"] for e in loop.train(config, handle(tmp_path, "undisturbed"))]
    given, steps = handle(tmp_path), []
    given.command = lambda: Command.PAUSE if steps.append(1) or len(steps) > 4 else Command.CONTINUE
    list(loop.train(config, given))
    given.command = lambda: Command.CONTINUE
    for name in ("last.pt", "previous.pt"):
        if not (given.folder / name).exists():
            (given.folder / name).write_bytes((given.folder / "last.pt").read_bytes())
    for name in ("last.pt", "previous.pt"):
        rewritten(given.folder / name, poison(place, canary))
    again = loop.Training(config, given)
    assert not again.resume()
    assert [e.metrics["val/loss"] for e in loop.train(config, given)] == undisturbed


def test_f51_the_best_weights_run_no_code(tmp_path, corpus_files, canary, switch):
    """best.pt, of which `hpsearch train` makes the model: an error, nothing is written."""
    config = tiny({"text": TEXT})
    opened(config, tmp_path)
    settings = handle(tmp_path).settings
    training = final.FinalTraining(config, tmp_path / "model", settings, trainer=CausalLM())
    list(training.trainings[0].run(lambda: False))
    rewritten(training.trainings[0].folder / "best.pt", poison("model", canary))
    with pytest.raises(errors.CheckpointDamaged, match="something else than tensors"):
        training.test()
    assert [entry.name for entry in (tmp_path / "model").iterdir()] == ["checkpoints"]


@pytest.mark.parametrize("header", ["ours", "none"])
@pytest.mark.parametrize("kind", ["pickle", "zip", "old"])
def test_f51_a_file_of_somebody_elses_runs_no_code(tmp_path, canary, switch, header, kind):
    buffer = io.BytesIO()
    if kind == "pickle":
        pickle.dump({"model": Touch(canary)}, buffer, protocol=2)
    else:
        torch.save({"model": Touch(canary)}, buffer, _use_new_zipfile_serialization=kind == "zip")
    body = buffer.getvalue()
    facts = {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "config": "abc"}
    path = tmp_path / "last.pt"
    path.write_bytes((json.dumps(facts).encode() + b"\n") * (header == "ours") + body)
    with pytest.raises(errors.CheckpointDamaged):
        checkpoint.load(path, config_hash="abc")


def test_f51_both_of_torchs_switches_run_no_code(tmp_path, canary, monkeypatch):
    """torch refuses to load anything then, so nothing can be gone on from."""
    for name in ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
        monkeypatch.setenv(name, "1")
    checkpoint.save(tmp_path / "last.pt", {"place": Touch(canary)}, config_hash="abc")
    with pytest.raises((RuntimeError, errors.CheckpointDamaged)):
        checkpoint.load(tmp_path / "last.pt", config_hash="abc")


def test_f51_torchs_switch_would_run_it_where_the_argument_is_left_out(tmp_path, monkeypatch):
    """What makes the argument necessary: with the switch a bare torch.load runs the code."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"model": Touch(tmp_path / "canary")}, tmp_path / "file")
    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        torch.load(tmp_path / "file")
    assert (tmp_path / "canary").exists()


def test_f51_configs_run_no_code(tmp_path, canary):
    """best.yaml for `hpsearch train`, space.yaml for `hpsearch run`."""
    path = tmp_path / "best.yaml"
    for tag in ("!!python/object/apply:builtins.open", "!!python/object/new:os.system", "!python/name:os.system"):
        path.write_text(f"study: x\nprovenance: {tag} [{str(canary)!r}, w]\ndata: {{}}\n")
        for command in ("train", "run"):
            done = hpsearch(command, "best.yaml", "--home", "home", cwd=tmp_path)
            assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
            assert re.search(r"best\.yaml:2:13: .*tag", done.stderr)


def test_f51_a_tokenizer_a_cache_and_a_data_set_run_no_code(tmp_path, corpus_files, canary):
    payload = pickle.dumps(Touch(canary))
    (tmp_path / "tokenizer.json").write_bytes(payload)
    with pytest.raises(errors.DataError, match="not a tokenizer"):
        Tokenizer.from_file(tmp_path / "tokenizer.json", specials=[])
    config = tiny({"text": TEXT})
    cached = opened(config, tmp_path).folder
    for array in cached.rglob("*.npy"):
        np.save(array, np.array([Touch(canary)] * 9, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"Python objects|allow_pickle"):
        Corpus.map(cached)  # as a worker does
    opened(config, tmp_path)  # the driver notices the damage and prepares it again
    assert Corpus.map(cached).sets["text"].splits["train"].tokens.dtype == np.int32
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "corpus.py").write_text(f"open({str(canary)!r}, 'w')\n")  # a loading script of the datasets library
    with pytest.raises(errors.DataError):
        sources.load(
            "text", tiny({"text": {"task": "text", "dataset": "corpus"}}).data["text"], cache=None, base=tmp_path
        )


MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "jsonpickle"}
HIDING = {False: MODULES - {"pickle"}, True: MODULES | {"torch", "os", "subprocess"}}  # with "as" they cannot be seen
CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
UNSAFE = {"shell": [True], "allow_pickle": [True], "trust_remote_code": [True], "weights_only": [False, None]}
UNSAFE |= {"typ": ["unsafe", "full"]}  # of ruamel's YAML; its default is a safe one
ALLOWED = {"pickle.UnpicklingError"}


def dangers(source):
    """What a module does that could run code from data, as line: what."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in MODULES:
            yield f"{node.lineno}: from {node.module}"
        elif isinstance(node, ast.Import):
            yield from (f"{node.lineno}: import {a.name}" for a in node.names if a.name in HIDING[bool(a.asname)])
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            if ast.unparse(node) not in ALLOWED:
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call):
            yield from _calls(node)


def _calls(node):
    name = ast.unparse(node.func)
    given = {k.arg: getattr(k.value, "value", ...) for k in node.keywords}
    if name in CALLS or name.endswith(".read_pickle"):
        yield f"{node.lineno}: {name}"
    if name == "torch.load" and given.get("weights_only") is not True:
        yield f"{node.lineno}: torch.load without weights_only=True"
    for key, values in UNSAFE.items():
        if key in given and given[key] in (*values, ...):
            yield f"{node.lineno}: {key}={given[key]}"


@pytest.mark.parametrize("path", sorted((ROOT / "hpsearch").rglob("*.py")), ids=lambda path: path.stem)
def test_f51_no_module_does_what_could_run_code_from_data(path):
    assert list(dangers(path.read_text("utf-8"))) == []


BAD = """
torch.load(path)
torch.load(path, weights_only=False)
torch.load(path, weights_only=wanted)
pickle.loads(data)
from pickle import load
import yaml
import pickle as p
eval(text)
exec(text)
os.system("ls")
subprocess.run("ls", shell=True)
import marshal
numpy.load(path, allow_pickle=True)
YAML(typ="unsafe")
datasets.load_dataset(name, trust_remote_code=True)
"""


@pytest.mark.parametrize("line", BAD.strip().splitlines())
def test_f51_what_is_dangerous_is_seen(line):
    assert list(dangers(line))


# ------------------------------------------------------------------------------------------------- F52: planted links

KINDS = {
    "symlink": lambda link, victim: link.symlink_to(victim),
    "hard link": lambda link, victim: link.hardlink_to(victim),
}
NAMES = ["last.pt", ".last.pt.tmp", "previous.pt", ".previous.pt.tmp", "best.pt", ".best.pt.tmp"]


@pytest.fixture
def victim(tmp_path):
    """A file of value whose bytes must stay what they are."""
    path = tmp_path / "victim"
    path.write_text("precious")
    yield path
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_f52_a_link_at_a_checkpoints_place_is_replaced_not_followed(tmp_path, victim, kind, name):
    folder = tmp_path / "trial"
    folder.mkdir()
    KINDS[kind](folder / name, victim)
    for step in (1, 2, 3):
        checkpoint.save(folder / "last.pt", {"place": step}, config_hash="abc", previous=folder / "previous.pt")
        checkpoint.save(folder / "best.pt", {"place": step}, config_hash="abc")
    found = {name: checkpoint.load(folder / name, config_hash="abc") for name in ("last.pt", "previous.pt", "best.pt")}
    assert found == {"last.pt": {"place": 3}, "previous.pt": {"place": 2}, "best.pt": {"place": 3}}
    assert not any((folder / name).is_symlink() for name in found)


def test_f52_a_checkpoint_behind_a_symlink_is_not_read(tmp_path, victim):
    checkpoint.save(tmp_path / "elsewhere.pt", {"place": 1}, config_hash="abc")
    (tmp_path / "last.pt").symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(errors.CheckpointDamaged, match=r"last\.pt"):
        checkpoint.load(tmp_path / "last.pt", config_hash="abc")


@pytest.fixture
def folder(tmp_path):
    """A space of the toy trainer."""
    (tmp_path / "space.yaml").write_text(SPACE)
    for name in ("train", "valid"):
        (tmp_path / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_f52_a_journal_or_lock_that_is_a_link_is_refused(folder, victim, kind, name):
    """One line, an exit code, and nothing else is made; a dangling link is not a way to make a file either."""
    study = folder / "home" / "story"
    study.mkdir(parents=True)
    KINDS[kind](study / name, victim)
    done = hpsearch("run", "space.yaml", "--home", "home", "--launcher", "inline", cwd=folder, views=False)
    assert done.returncode in (1, 74), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"home/story/{name}: " in done.stderr


@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_f52_a_dangling_link_makes_no_file(folder, name):
    study = folder / "home" / "story"
    study.mkdir(parents=True)
    (study / name).symlink_to(folder / "made")
    done = hpsearch("run", "space.yaml", "--home", "home", "--launcher", "inline", cwd=folder, views=False)
    assert (done.returncode in (1, 74), len(done.stderr.splitlines())) == (True, 1)
    assert not (folder / "made").exists()


def test_f52_links_at_every_other_name_of_a_study_are_not_followed(folder, victim):
    """A whole run with links of both kinds planted at all names that it writes beside the journal."""
    study = folder / "home" / "story"
    planted = {study / "space.yaml": "symlink", study / ".space.yaml.tmp": "hard link"}
    planted |= {study / "best.yaml": "hard link", study / ".best.yaml.tmp": "symlink"}
    for kind, trial, view in (("symlink", "0000", "mlflow"), ("hard link", "0001", "optuna")):
        planted |= {study / "checkpoints" / trial / name: kind for name in NAMES}
        planted |= {study / "views" / f"{view}.{ending}": kind for ending in ("json", "tmp")}
    for link, kind in planted.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        KINDS[kind](link, victim)
    done = hpsearch("run", "space.yaml", "--home", "home", "--trials", "2", cwd=folder)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------------------------- F55: modes

TINY = """
study: tiny
budget: {trials: 1}
data: {text: {task: text, files: {train: train.txt, valid: valid.txt, test: valid.txt}}}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 32}
evaluation: {times: 2}
training: {batch_size: 4, epochs: 1, learning_rate: {low: 1e-3, high: 1e-2}}
"""


def open_to_others(folder):
    """Each file or folder of a tree that others than its owner may read, write or list, with its mode."""
    found = {path.relative_to(folder): path.lstat().st_mode & 0o777 for path in sorted(folder.rglob("*"))}
    return {str(path): oct(mode) for path, mode in found.items() if mode & 0o077}


def test_f55_all_that_is_written_is_private(folder):
    """umask 000: search with a worker, export, final training (a real one), sync; every file and folder of them."""
    (folder / "tiny.yaml").write_text(TINY)
    for path in folder.iterdir():
        path.chmod(0o600)  # these are the user's
    commands = [
        ("run", "tiny.yaml", "--home", "home", "--workers", "1"),
        ("export", "tiny.yaml", "--home", "home", "-o", "exported.yaml"),
        ("train", "exported.yaml", "--home", "home", "-o", "out/model"),
        ("sync", "tiny.yaml", "--home", "home"),
    ]
    for arguments in commands:
        done = unmasked(*arguments, cwd=folder, fresh=arguments[0] == "run")  # which makes the stores
        assert done.returncode == 0, done.stderr
    assert open_to_others(folder) == {}
    names = {path.name for path in folder.rglob("*")}
    assert {"journal.jsonl", "lock", "mlflow.db", "optuna.db", "best.pt", "best.yaml", "exported.yaml"} <= names
    assert {"model.safetensors", "config.json", "tokenizer.json", "metrics.json", "mlflow.json"} <= names


def unmasked(*arguments, cwd, fresh):
    """A command started under umask 000."""
    before = os.umask(0)
    try:
        return hpsearch(*arguments, cwd=cwd, fresh=fresh)
    finally:
        os.umask(before)


# --------------------------------------------------------------------------------------------------------- F56: floors


def test_f56_the_floors_are_those_of_the_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {name: match for item in listed for name, match in [re.match(r"([\w-]+)(?:>=([\d.]+))?", item).groups()]}
    for package, (floor, _) in environment.FLOORS.items():
        if package in declared:
            assert tuple(map(int, declared[package].split("."))) == floor
    assert {"torch", "mlflow"} <= set(declared)
    environment.refuse_old(*environment.FLOORS)  # what is installed here is not below them


def with_package(folder, name, version):
    """A folder for PYTHONPATH in which a package of a version seems to be installed."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return os.pathsep.join([str(folder), *sys.path])


OLD = [("torch", "2.9.1+cu128"), ("torch", "1.13.1"), ("mlflow", "3.10.2"), ("mlflow", "2.22.0")]
ASKED = [*(("run", *old) for old in OLD), *((command, *old) for command in ("train", "ui") for old in OLD[::2])]


@pytest.mark.parametrize(("command", "package", "version"), ASKED)
def test_f56_an_old_package_is_refused_in_one_line(tmp_path, command, package, version):
    path = with_package(tmp_path / "old", package, version)
    arguments = [command, *(["space.yaml"] if command != "ui" else []), "--home", "home"]
    done = hpsearch(*arguments, cwd=tmp_path, PYTHONPATH=path, fresh=True)
    if command == "ui" and package == "torch":
        assert "holds no mlflow.db yet" in done.stderr  # it needs no torch
        return
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    floor = {"torch": "2.10", "mlflow": "3.11"}[package]
    assert done.stderr.startswith(f"error: {package} {version} is installed; below {floor} it is not safe (CVE-2026-")
    assert done.stderr.endswith(f": pip install '{package}>={floor}'\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "old"]


@pytest.mark.parametrize("version", ["2.10.0", "2.10.0a0+git1234", "2.13.0+cpu", "3.0", "10.1"])
def test_f56_new_ones_are_not(tmp_path, version):
    path = with_package(tmp_path, "torch", version)
    code = "from hpsearch.system.environment import refuse_old; refuse_old('torch')"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, check=True)


def test_f56_ray_has_a_floor_for_who_launches_with_it(tmp_path):
    path = with_package(tmp_path, "ray", "2.58.0")
    code = "from hpsearch.system.environment import refuse_old; refuse_old('ray')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UserError: ray 2.58.0 is installed; below 2.59 it is not safe" in done.stderr


def test_f56_looking_costs_milliseconds_and_imports_nothing():
    code = (
        "import sys, time; from hpsearch.system.environment import refuse_old; began = time.perf_counter(); "
        "refuse_old('torch', 'mlflow', 'ray'); print(time.perf_counter() - began, 'torch' in sys.modules)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    seconds, imported = done.stdout.split()
    print(f"versions looked at in {1000 * float(seconds):.1f} ms")
    assert imported == "False"
    assert float(seconds) < 1.0
