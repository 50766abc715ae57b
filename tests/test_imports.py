"""The architecture as a test: imports go down, have no cycle, and each dependency has its doors.

The tables are here; architecture.py reads the imports and checks them.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import Package

ROOT = Path(__file__).parents[1]
PACKAGE = Package(ROOT / "hpsearch")

# Lowest first. A name stands for a file or a folder. A module imports what stands on a lower level, and modules of its
# own folder: two names of one level know nothing of each other.
LEVELS = [
    ["waiting"],
    [
        "config",
        "contract",
        "errors",
        "failpoints",
        "horizons",
        "metrics",
        "outcome",
        "output",
        "printable",
        "process",
        "redaction",
        "served_model",
        "verdict",
        "webhook",
    ],
    [
        "atomic",
        "environment",
        "error_lines",
        "evaluation_log",
        "file_lock",
        "gpus",
        "logs",
        "pending",
        "samples",
        "study_lock",
    ],
    ["journal", "sealed", "user_modules"],
    ["data", "pause_file", "pictures", "queue_file", "storage"],
    ["tasks"],
    ["evidence"],
    ["page"],
    ["document", "training", "views"],
    ["repair"],
    ["trainers"],
    ["adapters", "home", "space"],
    ["exported", "finalists", "reference"],
    ["budget"],
    ["choice", "events", "identity", "launchers", "policies"],
    ["final_seed", "live", "models"],
    ["catalogue", "displays", "draft", "final", "preparation", "provenance", "study", "warm_start"],
    ["baselines", "best", "decisions", "notifications", "planning", "reproduction", "requests", "serving", "weights"],
    ["allowance", "checking", "larger", "placement"],
    ["attempts"],
    ["search"],
    ["driver"],
    ["testing"],
    ["api"],
    ["hpsearch"],
    ["cli"],
    ["__main__"],
]

# The same within a folder. A family's members know nothing of each other.
INNER = {
    "adapters": [
        ["adapters.names"],
        ["adapters.keras", "adapters.lightning", "adapters.transformers"],
    ],
    "baselines": [
        ["baselines.process"],
        ["baselines.baselines"],
    ],
    "budget": [
        ["budget.deadline", "budget.saturation", "budget.spending"],
        ["budget.extension"],
    ],
    "catalogue": [
        ["catalogue.caches", "catalogue.listing"],
        ["catalogue.cleaning", "catalogue.comparison", "catalogue.deletion", "catalogue.renaming"],
    ],
    "checking": [
        ["checking.findings", "checking.surroundings", "checking.trainings"],
        ["checking.judgement"],
        ["checking.suite"],
    ],
    "config": [
        ["config.section"],
        ["config.data", "config.objective", "config.own_names", "config.tokenizer"],
        ["config.config"],
    ],
    "document": [
        ["document.other_tools", "document.scalars", "document.yaml_errors"],
        ["document.yaml_reader"],
        ["document.document"],
        ["document.ranges", "document.validation_errors"],
    ],
    "draft": [
        ["draft.languages", "draft.questions", "draft.table", "draft.writing"],
        ["draft.origins"],
        ["draft.guesses"],
        ["draft.sets"],
        ["draft.sizes"],
        ["draft.draft"],
    ],
    "evidence": [
        [
            "evidence.idle_gpus",
            "evidence.looks",
            "evidence.optimism",
            "evidence.pruning_audit",
            "evidence.range_scale",
            "evidence.seeds",
        ],
        ["evidence.caveats", "evidence.cliffs", "evidence.comparisons"],
        ["evidence.bands"],
        ["evidence.short_budgets"],
    ],
    "journal": [
        [
            "journal.confirmation",
            "journal.device_time",
            "journal.lines",
            "journal.origin",
            "journal.outline",
            "journal.request",
            "journal.told",
            "journal.trial_history",
        ],
        ["journal.warm"],
        ["journal.history", "journal.reader", "journal.writer"],
    ],
    "launchers": [
        [
            "launchers.devices",
            "launchers.memory",
            "launchers.messages",
            "launchers.orphans",
            "launchers.suspension",
            "launchers.usage",
        ],
        ["launchers.session"],
        ["launchers.inline", "launchers.worker_process"],
        ["launchers.local"],
        ["launchers.ray"],
        ["launchers.launch"],
    ],
    "planning": [
        ["planning.corners", "planning.outlook", "planning.shares"],
        ["planning.measuring", "planning.plan"],
        ["planning.lint"],
        ["planning.planner"],
    ],
    "policies.curves": [
        ["policies.curves.chain", "policies.curves.conditions", "policies.curves.encoding"],
        ["policies.curves.process", "policies.curves.rungs", "policies.curves.stretch"],
        ["policies.curves.curves", "policies.curves.model"],
        ["policies.curves.sampler"],
    ],
    "live": [
        ["live.following", "live.plan"],
        ["live.progress"],
        ["live.state"],
    ],
    "metrics": [
        ["metrics.classification", "metrics.losses", "metrics.ranges", "metrics.script"],
        ["metrics.translation"],
    ],
    "models": [
        ["models.folder", "models.generation", "models.inputs", "models.predictions"],
        ["models.card", "models.examples", "models.hugging_face", "models.own"],
        ["models.own_measures"],
        ["models.hugging_face_measures", "models.model"],
        ["models.measuring"],
    ],
    "placement": [
        ["placement.peaks"],
        ["placement.sharing"],
        ["placement.placement"],
    ],
    "policies": [
        ["policies.policy", "policies.curves"],
        ["policies.checked", "policies.curve_rules", "policies.promotion"],
        ["policies.audited"],
        ["policies.confirmed"],
        ["policies.optuna"],
        ["policies.by_config", "policies.enqueued", "policies.first_trials"],
        ["policies.horizons"],
        ["policies.loading"],
    ],
    "page": [
        ["page.bundle", "page.figures"],
        ["page.curves", "page.reproduce", "page.samples", "page.trials", "page.winner", "page.words"],
        ["page.charts"],
        ["page.parameters"],
        ["page.html"],
    ],
    "pictures": [
        ["pictures.marks"],
        ["pictures.drawing"],
        ["pictures.curves", "pictures.importances", "pictures.scale", "pictures.values"],
        ["pictures.parameters"],
    ],
    "reference": [
        ["reference.keys", "reference.trainers"],
        ["reference.entries", "reference.page", "reference.schema"],
    ],
    "serving": [
        ["serving.columns"],
        ["serving.pyfunc"],
    ],
    "storage": [
        ["storage.storage"],
        ["storage.snapshots"],
        ["storage.integrity"],
        ["storage.study_storage"],
        ["storage.checkpoints", "storage.disk_space"],
    ],
    "tasks": [
        ["tasks.bag_of_words", "tasks.baseline", "tasks.compression"],
        ["tasks.evaluation", "tasks.measure", "tasks.metric"],
        ["tasks.task", "tasks.trivial"],
        ["tasks.classification", "tasks.loading", "tasks.text", "tasks.translation"],
    ],
    "trainers": [
        ["trainers.costs", "trainers.output_log", "trainers.scaling", "trainers.state"],
        ["trainers.trainer"],
        ["trainers.causal_lm", "trainers.checked", "trainers.evaluations"],
        ["trainers.huggingface", "trainers.own"],
        ["trainers.function", "trainers.program"],
        ["trainers.loading"],
    ],
    "views": [
        ["views.postgres", "views.refusals", "views.sqlite"],
        ["views.follower"],
        ["views.mlflow", "views.optuna"],
        ["views.dashboard"],
        ["views.audit", "views.shipping"],
        ["views.shipper"],
    ],
}

# The places (files or folders) that may import a dependency. Each dependency is here, each door is in use.
DOORS = {
    "click": ["cli"],
    "datasets": ["data.hf_datasets"],
    "filelock": ["file_lock"],
    "fsspec": ["storage.storage"],
    "jinja2": ["page.html"],
    "markupsafe": ["page.html"],
    "matplotlib": ["pictures"],
    "mlflow": [
        "serving.pyfunc",
        "views.mlflow.client",
        "views.mlflow.final_model",
        "views.mlflow.packaged",
        "views.mlflow.pages",
        "views.mlflow.registry",
        "views.mlflow.removal",
        "views.mlflow.store",
    ],
    "numpy": [
        "data",
        "models.hugging_face_measures",
        "models.own",
        "policies.curves",
        "policies.optuna",
        "tasks.bag_of_words",
        "tasks.compression",
        "tasks.measure",
        "tasks.trivial",
        "training",
        "trainers.causal_lm.costs",
        "trainers.causal_lm.data_checks",
        "trainers.function.state",
        "trainers.huggingface",
    ],
    "greenlet": ["trainers.function.trainer"],
    "optuna_dashboard": ["views.dashboard"],
    "optuna": [
        "policies.curves.curves",
        "policies.curves.encoding",
        "policies.curves.sampler",
        "policies.optuna",
        "pictures.importances",
        "space.space",
        "views.dashboard",
        "views.optuna",
    ],
    "pandas": ["api.study", "serving.pyfunc"],
    "plotly": ["page.bundle"],
    "psycopg": ["views.postgres"],
    "pyarrow": ["data.compressed", "data.hf_datasets", "data.rows"],
    "pydantic": [
        "config",
        "document.validation_errors",
        "placement.peaks",
        "provenance",
        "reference",
        "space",
        "tasks",
        "trainers",
        "training.config",
    ],
    "pydantic_core": ["journal.lines"],
    "ray": ["launchers.ray.actor", "launchers.ray.cluster"],
    "rich": ["cli.explain", "cli.plan", "cli.study_table", "displays"],
    "ruamel": ["best", "document.document", "document.yaml_reader"],
    "sacrebleu": ["metrics.translation"],
    "safetensors": ["trainers.function.state", "training.export"],
    "scipy": [
        "evidence.seeds",
        "policies.curves.model",
        "policies.curves.process",
        "policies.curves.sampler",
        "trainers.causal_lm.costs",
    ],
    "sklearn": ["metrics.classification", "pictures.importances", "tasks.bag_of_words"],
    "sqlalchemy": ["views.mlflow.schema", "views.optuna", "views.sqlite"],
    "tokenizers": ["data.tokenizer"],
    "peft": ["trainers.huggingface.network"],
    "torch": [
        "launchers.devices",
        "models.hugging_face",
        "models.hugging_face_measures",
        "models.own",
        "trainers.huggingface",
        "training",
    ],
    "transformers": [
        "models.hugging_face",
        "trainers.huggingface.checkpoint",
        "trainers.huggingface.network",
        "trainers.huggingface.vocabulary",
    ],
}

# What the command line may load before it knows the command: none of these (each takes 0.3 to 3 s).
HEAVY = ["torch", "mlflow", "sklearn", "optuna", "datasets", "sacrebleu", "pandas", "pyarrow", "matplotlib", "plotly"]
LIGHT = [
    "api.study",
    "cli",
    "config",
    "contract",
    "errors",
    "hpsearch",
    "journal",
    "space.experiment",
    "tasks",
    "testing",
    "verdict",
]

BELOW_TRAINING = [
    "atomic",
    "config",
    "contract",
    "data",
    "errors",
    "metrics",
    "sealed",
    "tasks",
    "training",
]

# What nothing of the package imports: stand-ins for those who write tests, and the command line.
ABOVE_ALL = ["testing", "cli", "__main__"]


def test_the_reader_of_imports_sees_what_is_there() -> None:
    assert {"errors", "training.loop", "config", "hpsearch"} <= set(PACKAGE.modules)
    assert "verdict" in PACKAGE.own["testing.curves"]
    assert "pydantic" in PACKAGE.others["config.section"]


def test_every_entry_of_the_tables_names_a_module() -> None:
    levels = [place for level in [*LEVELS, *(level for inner in INNER.values() for level in inner)] for place in level]
    doors = [place for places in DOORS.values() for place in places]
    assert architecture.missing(PACKAGE, [*levels, *INNER, *doors, *LIGHT, *BELOW_TRAINING, *ABOVE_ALL]) == []


def test_every_module_has_a_level() -> None:
    assert architecture.unlevelled(PACKAGE, LEVELS) == []


def test_imports_go_down() -> None:
    assert architecture.upward(PACKAGE, LEVELS) == []


@pytest.mark.parametrize("folder", sorted(INNER))
def test_imports_go_down_in_a_folder(folder: str) -> None:
    assert architecture.unlevelled(PACKAGE, INNER[folder], inside=folder) == []
    assert architecture.upward(PACKAGE, INNER[folder]) == []


def test_imports_have_no_cycle() -> None:
    assert architecture.cycle(PACKAGE) == []


def test_training_knows_nothing_of_the_search() -> None:
    assert architecture.escaping(PACKAGE, ["training"], BELOW_TRAINING) == []


def test_nothing_imports_the_stand_ins_or_the_command_line() -> None:
    below = [module for module in PACKAGE.modules if not architecture.within(module, ABOVE_ALL)]
    assert architecture.escaping(PACKAGE, below, below) == []


def test_each_dependency_has_its_doors() -> None:
    assert architecture.trespassing(PACKAGE, DOORS) == []


def test_every_door_is_in_use() -> None:
    assert architecture.unused(PACKAGE, DOORS) == []


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    own = ("samples", "hf", "ray", "postgresql", "dashboard")
    listed = [*project["dependencies"], *(one for extra in own for one in extras[extra])]
    assert architecture.undeclared(PACKAGE, listed) == []


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    assert module in PACKAGE.modules
    assert loaded_by(f"import {module if module == 'hpsearch' else f'hpsearch.{module}'}") == []


def test_help_loads_nothing_heavy() -> None:
    code = "import hpsearch.cli\ntry: hpsearch.cli.main(['--help'])\nexcept SystemExit as end: assert not end.code"
    assert loaded_by(code) == []


def test_a_heavy_module_is_seen() -> None:
    assert "pyarrow" in loaded_by("import pyarrow")


def loaded_by(code: str) -> list[str]:
    """The heavy dependencies that a fresh interpreter has loaded after running some code."""
    code += f"\nimport sys; print('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=6000)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.rpartition("LOADED")[2].split()
