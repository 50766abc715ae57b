"""Trainers by name, and one clear line for each that cannot be used."""

import sys

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.errors import ConfigError, HpsearchError, TrainingFailed
from hpsearch.final import best
from hpsearch.final.training import FinalTraining
from hpsearch.final.weights import write_model
from hpsearch.home.home import Home
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.preflight.preparation import prepare
from hpsearch.space.experiment import Experiment
from hpsearch.trainers import Trainer, default, load
from hpsearch.trainers.causal_lm import CausalLM
from tests.searching import go

HEAD = "from hpsearch import Evaluation, Section, Trainer\nclass Fit(Section):\n    rate: float = 1.0\n"
BODY = "class T(Trainer):\n    sections = {'fit': Fit}\n    def train(self, config, handle):\n        "
SPACE = """trainer: "python:{module}:T"
budget: {{trials: 1}}
search: {{max_consecutive_failures: 1}}
fit: {{rate: {{low: 0.5, high: 1}}}}
"""


@pytest.fixture
def space(tmp_path):
    """Writes a module and a space file that names a trainer in it; module names are used once in a process."""
    made = []

    def write(code, text=SPACE):
        made.append(f"mine_{tmp_path.name}_{len(made)}".replace("-", "_"))
        (tmp_path / f"{made[-1]}.py").write_text(code)
        (tmp_path / "space.yaml").write_text(text.format(module=made[-1]))
        return tmp_path / "space.yaml", made[-1]

    yield write
    for name in made:
        sys.modules.pop(name, None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


def refused(path):
    with pytest.raises(ConfigError) as error:
        Experiment.load(path)
    return str(error.value)


def test_the_default_is_causal_lm():
    assert isinstance(default(), CausalLM)
    assert default().name == "causal_lm"


CODES = {
    "an error at its import": (
        "import sys\nx = 1 / 0\n",
        "cannot be imported (ZeroDivisionError: division by zero, {module}.py:2)",
    ),
    "a module that is missing": (
        "import no_such_module_x\n",
        "cannot be imported (ModuleNotFoundError: No module named 'no_such_module_x', {module}.py:1)",
    ),
    "a syntax error": ("def f(:\n", "cannot be imported (SyntaxError: invalid syntax ({module}.py, line 1))"),
    "no such attribute": ("y = 1\n", "module {module} has no attribute 'T'"),
    "a function": ("def T(config, handle):\n    yield\n", "is not a Trainer; derive it from hpsearch.trainers.Trainer"),
    "arguments": (
        HEAD + "class T(Trainer):\n    def __init__(self, x): pass\n",
        "cannot be created without arguments (TypeError: ",
    ),
    "a section that is no class": (
        HEAD + "class T(Trainer):\n    config = None\n    sections = {{'fit': 3}}\n",
        "sections['fit'] is not a class derived from hpsearch.trainers.Section",
    ),
    "a section that is a plain type": (
        HEAD + "class T(Trainer):\n    sections = {{'fit': int}}\n",
        "sections['fit'] is not a class derived from hpsearch.trainers.Section",
    ),
    "sizes in a list": (
        HEAD + "class T(Trainer):\n    sections = {{'fit': Fit}}\n    sizes = ['width']\n",
        "sizes must be a mapping of sections to their keys, as in {{'model': ('width',)}}",
    ),
    "sizes that are a text": (
        HEAD + "class T(Trainer):\n    sections = {{'fit': Fit}}\n    sizes = {{'fit': 'width'}}\n",
        "sizes must be a mapping of sections to their keys, as in {{'model': ('width',)}}",
    ),
    "sections in a list": (
        HEAD + "class T(Trainer):\n    sections = [Fit]\n",
        "sections must be a mapping of names to classes, not list",
    ),
    "a section that has no name": (
        HEAD + "class T(Trainer):\n    sections = {{3: Fit}}\n",
        "sections[3]: the name of a section must be text",
    ),
    "a section that hides the seed": (
        HEAD + "class T(Trainer):\n    sections = {{'fit': Fit, 'seed': Fit}}\n",
        "its section 'seed' has the name of a key of every space file; choose another",
    ),
    "a section of ours": (
        HEAD + "class T(Trainer):\n    sections = {{'search': Fit}}\n",
        "its section 'search' has the name of a key of every space file; choose another",
    ),
    "it ends the process": (
        "raise SystemExit(3)\n",
        "importing module {module} called sys.exit(3); put what a script does under: if __name__ == '__main__':",
    ),
}


@pytest.mark.parametrize("case", CODES)
def test_what_cannot_be_loaded_is_one_line_with_its_place(space, case):
    code, said = CODES[case]
    path, module = space(code.replace("{{", "{").replace("}}", "}"))
    line = refused(path)
    assert line.startswith(f"{path}:1:10: trainer: python:{module}:T: {said.format(module=module)}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "trainer: casual_lm\n",
            "1:10: trainer: unknown trainer 'casual_lm'; allowed: causal_lm, huggingface, or your own as trainer: ",
        ),
        ("trainer: python:mine\n", "1:10: trainer: 'python:mine' names no attribute of a module; write trainer: "),
        ("trainer: python:no_such.mine:T\n", "1:10: trainer: python:no_such.mine:T: cannot be imported (ModuleNotF"),
        (
            'trainer: ""\n',
            "1:10: trainer: unknown trainer ''; allowed: causal_lm, huggingface, or your own as trainer: ",
        ),
        ("trainer: 3\n", "1:10: trainer: must be text, not 3"),
        ("trainer: [a]\n", "1:10: trainer: must be text, not a list"),
    ],
)
def test_a_name_that_names_nothing_is_refused(tmp_path, text, said):
    (tmp_path / "space.yaml").write_text(text)
    assert refused(tmp_path / "space.yaml").startswith(f"{tmp_path / 'space.yaml'}:{said}")


def test_the_command_says_it_in_one_line(space, call, tmp_path):
    path, _ = space("x = 1 / 0\n")
    code, out, err = call("run", path, "--home", tmp_path / "home")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "home").exists()


MISTAKES = {
    "no Evaluation": ("yield {'val/loss': 1.0}", "TypeError: python:{module}:T yielded dict, not Evaluation"),
    "no number": (
        "yield Evaluation(index=1, step=1, progress=1.0, metrics={'val/loss': 'low'})",
        "TypeError: val/loss: 'low' is not a number",
    ),
    "another metric": (
        "yield Evaluation(index=1, step=1, progress=1.0, metrics={'val/other': 1.0, 'val/b': 2.0})",
        "val/loss is not among the metrics that the trainer measured: val/b, val/other",
    ),
    "nothing": ("return\n        yield", "no finite val/loss was measured"),
    "an exit": ("raise SystemExit(3)\n        yield", "SystemExit: 3, {module}.py:7"),
    "another's exit": ("raise GeneratorExit\n        yield", "GeneratorExit, {module}.py:7"),
    "an error without a message": (
        "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})\n        yield",
        "Odd",
    ),
    "an error": ("raise ValueError('two\\nlines')\n        yield", "ValueError: two"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_a_training_does_wrong_is_one_line_and_a_traceback_in_a_file(space, tmp_path, case):
    code, said = MISTAKES[case]
    path, module = space(HEAD + BODY + code + "\n")
    experiment = Experiment.load(path)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    with pytest.raises(TrainingFailed) as failed:
        go(experiment, tmp_path / "home", launcher=InlineLauncher(setting, trainer=experiment.trainer.name))
    assert str(failed.value).endswith(f"the last: trial 0: {said.format(module=module)}")
    error = tmp_path / "home/checkpoints/0000/error.txt"
    raised = case not in ("nothing", "another metric")
    assert error.exists() == raised
    assert not raised or error.read_text().startswith("Traceback")


def test_a_trainer_without_train_says_so(space, tmp_path):
    path, module = space(HEAD + "class T(Trainer):\n    sections = {'fit': Fit}\n")
    found = load(f"python:{module}:T", path.parent)
    with pytest.raises(NotImplementedError, match="T has no method `train`"):
        found.train(found.config(), None)


def test_an_instance_is_a_trainer_too(space):
    path, _ = space(HEAD + "class Kind(Trainer):\n    sections = {'fit': Fit}\nT = Kind()\n")
    assert isinstance(Experiment.load(path).trainer, Trainer)


def test_a_section_may_have_keys_without_a_default(space):
    code = HEAD.replace(" = 1.0", "") + "class T(Trainer):\n    sections = {'fit': Fit}\n"
    path, _ = space(code)
    found = Experiment.load(path)
    assert found.config({"rate": 0.75}).fit.rate == 0.75
    assert found.identity()["fit"] == {"rate": {"low": 0.5, "high": 1.0, "step": None, "log": False}}
    path.write_text(path.read_text().partition("fit:")[0])
    assert refused(path).endswith(": key 'fit' is missing")


def test_a_rule_between_keys_is_checked_for_every_combination(space):
    code = """from pydantic import model_validator
from hpsearch import Section, Trainer
class Fit(Section):
    rate: float = 1.0
    most: float = 1.0
    @model_validator(mode="after")
    def _fits(self):
        if self.rate > self.most:
            raise ValueError(f"rate {self.rate} is above most {self.most}")
        return self
class T(Trainer):
    sections = {"fit": Fit}
    tied = {"fit": ("rate", "most")}
"""
    path, _ = space(code, SPACE + "#")
    assert Experiment.load(path).space.size is None
    path.write_text(path.read_text().replace("high: 1}", "high: 2}"))
    assert refused(path) == f"{path}:4:13: fit.rate: rate 2.0 is above most 1.0 (with rate 2.0)"


METHODS = {
    "validate": "space",
    "objective": "space",
    "cannot_prepare": "space",
    "probes": "key, leaf",
    "phases": "config",
    "evaluations": "config",
    "shape": "config",
    "dedup_key": "config",
    "files": "config",
}


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_of_the_search_raises_is_one_line_when_the_space_is_read(space, method):
    path, module = space(HEAD + BODY + f"yield\n    def {method}(self, {METHODS[method]}):\n        return {{}}['x']\n")
    said = f"{path}:1:10: trainer: python:{module}:T: {method}() raised KeyError: 'x', {module}.py:9"
    assert refused(path) == said


@pytest.mark.parametrize(
    ("method", "answer", "allowed"),
    [
        ("phases", "(0, 1, 1)", "Phases"),
        ("evaluations", "'ten'", "int or None"),
        ("shape", "3", "Shape"),
        ("dedup_key", "{'fit': 3}", "a mapping of sections"),
        ("cannot_prepare", "None", "str"),
    ],
)
def test_an_answer_of_another_type_is_refused_when_the_space_is_read(space, method, answer, allowed):
    path, module = space(HEAD + BODY + f"yield\n    def {method}(self, config):\n        return {answer}\n")
    said = f"{path}:1:10: trainer: python:{module}:T: {method}() returned {answer}; allowed: {allowed}"
    assert refused(path) == said


def test_what_remedy_raises_is_one_line_when_the_space_is_read(space):
    code = HEAD.replace("Section,", "Section,").replace("rate: float = 1.0", "rate: float = Field(1.0, lt=0.9)")
    code = "from pydantic import Field\n" + code + BODY + "yield\n    tied = {'fit': ('rate',)}\n"
    path, module = space(
        code + "    def probes(self, key, leaf):\n        return [1.0]\n"
        "    def remedy(self, section, ruled):\n        return 1 / 0\n",
        SPACE.replace("high: 1", "high: 0.8"),
    )
    said = (
        f"{path}:1:10: trainer: python:{module}:T: remedy() raised ZeroDivisionError: division by zero, {module}.py:13"
    )
    assert refused(path) == said


@pytest.mark.parametrize(
    ("method", "parameters"), [("export_config", "config, evaluation"), ("comments", "config, exported, **about")]
)
def test_what_a_method_of_the_export_raises_is_one_line(space, tmp_path, method, parameters):
    code = HEAD + BODY + "yield Evaluation(index=1, step=1, progress=1.0, metrics={'val/loss': 1.0})\n"
    path, module = space(code + f"    def {method}(self, {parameters}):\n        return {{}}['x']\n")
    experiment = Experiment.load(path)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    study, _ = go(experiment, tmp_path / "home", launcher=InlineLauncher(setting, trainer=experiment.trainer.name))
    with pytest.raises(ConfigError) as error:
        best.write(study.history, tmp_path / "best.yaml", base=experiment.base, run_id=None)
    assert str(error.value) == f"python:{module}:T: {method}() raised KeyError: 'x', {module}.py:9"


KEPT = {
    "nothing": ("return None", "the weights of trial 0 at its best evaluation are not kept; hpsearch train makes"),
    "no folder": ("return next(iter(handle.settings.prepared.values()))", "export_kept: StopIteration"),
    "an answer of another type": ("return ['val/loss']", "export_kept: TypeError: returned list; allowed: a mapping"),
    "a metric that is no number": ("return {'val/loss': 'low'}", "export_kept: ValueError: could not convert string"),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_export_kept_does_wrong_is_one_line(space, tmp_path, case):
    body, said = KEPT[case]
    code = HEAD + BODY + "yield Evaluation(index=1, step=1, progress=1.0, metrics={'val/loss': 1.0})\n"
    path, _ = space(code + f"    def export_kept(self, config, handle, folder, *, index):\n        {body}\n")
    experiment = Experiment.load(path)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    study, _ = go(experiment, tmp_path / "home", launcher=InlineLauncher(setting, trainer=experiment.trainer.name))
    with pytest.raises(HpsearchError) as error:
        write_model(study.history, study.history.trials[0], tmp_path / "m", study=tmp_path, setting=setting)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m").exists()


def test_what_nondeterminism_raises_is_one_line(space):
    path, module = space(HEAD + BODY + "yield\n    def nondeterminism(self, config, part):\n        return 1 / 0\n")
    experiment = Experiment.load(path)
    with pytest.raises(ConfigError, match=rf"^python:{module}:T: nondeterminism\(\) raised ZeroDivisionError"):
        experiment.trainer.nondeterminism(experiment.space_file.config, "part")


CODE = "    def prepare(self, space, **options):\n        raise KeyError('x')\n"


def test_what_prepare_does_wrong_is_one_line_and_a_traceback_in_a_file(space, tmp_path):
    path, module = space(HEAD + BODY + "yield\n" + CODE)
    home = Home(tmp_path / "home").make()
    with pytest.raises(TrainingFailed) as failed:
        prepare(Experiment.load(path), home, lambda what, share: None)
    log = home.study("space") / "error.txt"
    said = f"python:{module}:T: prepare: KeyError: 'x', {module}.py:9; the traceback is in {log}"
    assert str(failed.value) == said
    assert log.read_text().startswith("Traceback")


def test_what_a_final_training_does_wrong_is_one_line_and_a_traceback_in_a_file(space, tmp_path):
    path, module = space(HEAD + BODY + "raise ValueError('two\\nlines')\n        yield\n", SPACE.partition("fit:")[0])
    experiment = Experiment.load(path)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    final = FinalTraining(experiment.train_config(), tmp_path / "model", setting, trainer=experiment.trainer)
    with pytest.raises(TrainingFailed) as failed:
        list(final.trainings[0].run(lambda: False))
    final.close()
    log = tmp_path / "model/checkpoints/error.txt"
    assert str(failed.value) == f"python:{module}:T: train: ValueError: two, {module}.py:7; the traceback is in {log}"
    assert log.read_text().startswith("Traceback")


OF_ITS_FOLDER = HEAD + "import HELPER\n" + BODY + "yield HELPER.NAME\n"


def trained(path):
    trainer = Experiment.load(path).trainer
    return next(load(trainer.name, path.parent).train(trainer.config(), None))


def test_an_edited_trainer_is_loaded_again_when_a_space_is_read(space, tmp_path):
    helper = f"helper_{tmp_path.name}".replace("-", "_")
    path, module = space(OF_ITS_FOLDER.replace("HELPER", helper))
    (tmp_path / f"{helper}.py").write_text("NAME = 'before'\n")
    assert trained(path) == "before"
    (tmp_path / f"{helper}.py").write_text("NAME = 'edited'\n")
    assert next(load(f"python:{module}:T", tmp_path).train(None, None)) == "before"  # a search is not disturbed
    assert trained(path) == "edited"
    code = (tmp_path / f"{module}.py").read_text()
    (tmp_path / f"{module}.py").write_text(code + "x = 1 / 0\n")
    assert f"cannot be imported (ZeroDivisionError: division by zero, {module}.py:9)" in refused(path)
    (tmp_path / f"{module}.py").write_text(code)
    assert trained(path) == "edited"
    sys.modules.pop(helper)


def test_a_module_of_another_folder_is_not_taken_for_the_one_beside_the_space(space, tmp_path):
    helper = f"other_{tmp_path.name}".replace("-", "_")
    path, module = space(OF_ITS_FOLDER.replace("HELPER", helper))
    (tmp_path / f"{helper}.py").write_text("NAME = 'first'\n")
    assert trained(path) == "first"
    second = tmp_path / "second"
    second.mkdir()
    for file in (path, tmp_path / f"{helper}.py", tmp_path / f"{module}.py"):
        (second / file.name).write_text(file.read_text())
    assert trained(second / path.name) == "first"  # a copy of the same files
    (second / f"{helper}.py").write_text("NAME = 'second'\n")
    (second / f"{module}.py").write_text(f"{path.with_name(module + '.py').read_text()}# edited\n")
    line = refused(second / path.name)
    assert line == (
        f"{second}/space.yaml:1:10: trainer: python:{module}:T: this process has imported another module {module!r} "
        f"({tmp_path}/{module}.py), not {second}/{module}.py; rename one of the two, or use a process for each"
    )
    (second / f"{module}.py").rename(second / f"own_{module}.py")
    (second / path.name).write_text(path.read_text().replace(module, f"own_{module}"))
    assert f"has imported another module {helper!r}" in refused(second / path.name)
    assert trained(path) == "first"
    sys.modules.pop(helper)


@pytest.mark.parametrize(("answer", "said"), [("None", "None"), ("3", "int")])
def test_a_train_that_returns_no_evaluations_says_so(space, tmp_path, answer, said):
    path, _ = space(HEAD + BODY + f"return {answer}\n", SPACE.partition("fit:")[0])
    experiment = Experiment.load(path)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    final = FinalTraining(experiment.train_config(), tmp_path / "model", setting, trainer=experiment.trainer)
    with pytest.raises(TrainingFailed, match=rf"T: train: TypeError: train\(\) returned {said}; it must yield eval"):
        list(final.trainings[0].run(lambda: False))
    final.close()


def test_a_train_many_that_returns_no_evaluations_says_so(space, tmp_path):
    path, _ = space(HEAD + BODY + "yield\n    def train_many(self, tasks):\n        return None\n")
    trainer = Experiment.load(path).trainer
    with pytest.raises(TypeError, match=r"^train_many\(\) returned None; it must yield evaluations$"):
        trainer.train_many([])
