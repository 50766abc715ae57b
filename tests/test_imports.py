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
    ["config", "contract", "errors", "outcome", "output", "quantiles", "verdict"],
    ["samples", "system"],
    ["data", "journal"],
    ["storage", "tasks"],
    ["document", "results", "training"],
    ["trainers", "views"],
    ["adapters", "space"],
    ["events", "policies"],
    ["displays"],
    ["home"],
    ["launchers"],
    ["preflight", "serving"],
    ["final"],
    ["search"],
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
    "config": [
        ["config.section"],
        ["config.data", "config.objective", "config.own_names", "config.tokenizer"],
        ["config.config"],
    ],
    "displays": [
        ["displays.amounts", "displays.bars", "displays.json_lines", "displays.live", "displays.logs"],
        ["displays.text"],
        ["displays.console", "displays.frame", "displays.places", "displays.trials"],
        ["displays.lines", "displays.screen"],
        ["displays.terminal", "displays.training"],
        ["displays.notebook"],
        ["displays.show"],
    ],
    "displays.live": [
        ["displays.live.following", "displays.live.plan"],
        ["displays.live.progress"],
        ["displays.live.state"],
    ],
    "document": [
        ["document.other_tools", "document.scalars", "document.yaml_errors"],
        ["document.yaml_reader"],
        ["document.document"],
        ["document.ranges", "document.validation_errors"],
    ],
    "final": [
        ["final.evaluation_log", "final.exported", "final.provenance", "final.weights"],
        ["final.best", "final.reproduction", "final.seed"],
        ["final.larger", "final.training"],
    ],
    "home": [
        ["home.home", "home.identity", "home.repair"],
        ["home.caches", "home.listing"],
        ["home.cleaning", "home.comparison", "home.deletion", "home.renaming"],
    ],
    "journal": [
        [
            "journal.branch_labels",
            "journal.confirmation",
            "journal.device_time",
            "journal.horizons",
            "journal.lines",
            "journal.origin",
            "journal.outline",
            "journal.pause_file",
            "journal.pending",
            "journal.study_lock",
            "journal.told",
        ],
        ["journal.request"],
        ["journal.queue_file", "journal.trial_history"],
        ["journal.export", "journal.warm"],
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
    "output": [
        ["output.digits", "output.printable", "output.redaction", "output.waiting", "output.webhook"],
        ["output.error_lines", "output.logs", "output.streams"],
    ],
    "policies": [
        ["policies.curves", "policies.finalists", "policies.policy"],
        ["policies.budget", "policies.choice"],
        ["policies.checked", "policies.curve_rules", "policies.promotion"],
        ["policies.audited"],
        ["policies.confirmed"],
        ["policies.optuna"],
        ["policies.by_config", "policies.enqueued", "policies.first_trials"],
        ["policies.horizons"],
        ["policies.loading"],
    ],
    "policies.budget": [
        ["policies.budget.deadline", "policies.budget.saturation", "policies.budget.spending"],
        ["policies.budget.extension"],
    ],
    "policies.curves": [
        ["policies.curves.chain", "policies.curves.conditions", "policies.curves.encoding"],
        ["policies.curves.process", "policies.curves.rungs", "policies.curves.stretch"],
        ["policies.curves.curves", "policies.curves.model"],
        ["policies.curves.sampler"],
    ],
    "preflight": [
        ["preflight.draft", "preflight.preparation", "preflight.reference"],
        ["preflight.planning"],
        ["preflight.checking"],
    ],
    "preflight.checking": [
        ["preflight.checking.findings", "preflight.checking.surroundings", "preflight.checking.trainings"],
        ["preflight.checking.crashes"],
        ["preflight.checking.judgement"],
        ["preflight.checking.suite"],
    ],
    "preflight.draft": [
        ["preflight.draft.languages", "preflight.draft.questions", "preflight.draft.table", "preflight.draft.writing"],
        ["preflight.draft.origins"],
        ["preflight.draft.guesses"],
        ["preflight.draft.sets"],
        ["preflight.draft.plan", "preflight.draft.sizes"],
        ["preflight.draft.own_model", "preflight.draft.pretrained"],
        ["preflight.draft.draft"],
    ],
    "preflight.planning": [
        ["preflight.planning.corners", "preflight.planning.outlook", "preflight.planning.shares"],
        ["preflight.planning.measuring", "preflight.planning.plan"],
        ["preflight.planning.lint"],
        ["preflight.planning.planner"],
    ],
    "preflight.reference": [
        ["preflight.reference.keys", "preflight.reference.trainers"],
        ["preflight.reference.entries", "preflight.reference.page", "preflight.reference.schema"],
        ["preflight.reference.every_trainer"],
    ],
    "results": [
        ["results.evidence", "results.pictures"],
        ["results.page"],
    ],
    "results.evidence": [
        [
            "results.evidence.idle_gpus",
            "results.evidence.looks",
            "results.evidence.margins",
            "results.evidence.optimism",
            "results.evidence.pruning_audit",
            "results.evidence.range_scale",
            "results.evidence.seeds",
        ],
        ["results.evidence.caveats", "results.evidence.cliffs"],
        ["results.evidence.bands"],
        ["results.evidence.comparisons"],
        ["results.evidence.band_lines", "results.evidence.short_budgets"],
    ],
    "results.page": [
        ["results.page.bundle", "results.page.figures"],
        [
            "results.page.curves",
            "results.page.reproduce",
            "results.page.samples",
            "results.page.trials",
            "results.page.winner",
            "results.page.words",
        ],
        ["results.page.charts"],
        ["results.page.parameters"],
        ["results.page.html"],
    ],
    "results.pictures": [
        ["results.pictures.marks"],
        ["results.pictures.drawing"],
        [
            "results.pictures.curves",
            "results.pictures.importances",
            "results.pictures.scale",
            "results.pictures.values",
        ],
        ["results.pictures.parameters"],
    ],
    "search": [
        ["search.study", "search.warm_start"],
        ["search.baselines", "search.decisions", "search.requests"],
        ["search.allowance", "search.placement"],
        ["search.attempts"],
        ["search.loop"],
        ["search.driver"],
    ],
    "search.baselines": [
        ["search.baselines.process"],
        ["search.baselines.baselines"],
    ],
    "search.placement": [
        ["search.placement.peaks"],
        ["search.placement.sharing"],
        ["search.placement.placement"],
    ],
    "serving": [
        ["serving.models"],
        ["serving.columns"],
        ["serving.pyfunc"],
    ],
    "serving.models": [
        [
            "serving.models.file_form",
            "serving.models.folder",
            "serving.models.generation",
            "serving.models.predictions",
        ],
        ["serving.models.usage"],
        ["serving.models.card", "serving.models.examples", "serving.models.hugging_face", "serving.models.own"],
        ["serving.models.inputs"],
        ["serving.models.own_measures"],
        ["serving.models.hugging_face_measures", "serving.models.model"],
        ["serving.models.measuring"],
    ],
    "space": [
        ["space.budget", "space.middle", "space.pruners", "space.random_values", "space.resources", "space.sections"],
        ["space.own_names", "space.search", "space.shortened"],
        ["space.settings", "space.space"],
        ["space.branch_values", "space.default_config", "space.space_file", "space.starting_folder"],
        ["space.long_cooldown"],
        ["space.validation"],
        ["space.experiment"],
        ["space.priors"],
    ],
    "storage": [
        ["storage.storage"],
        ["storage.snapshots"],
        ["storage.integrity"],
        ["storage.study_storage"],
        ["storage.checkpoints", "storage.disk_space"],
    ],
    "system": [
        [
            "system.environment",
            "system.failpoints",
            "system.file_lock",
            "system.gpus",
            "system.process",
            "system.uncollected",
            "system.user_modules",
        ],
        ["system.atomic"],
        ["system.own_output", "system.sealed"],
    ],
    "tasks": [
        ["tasks.scores"],
        ["tasks.bag_of_words", "tasks.baseline", "tasks.compression"],
        ["tasks.evaluation", "tasks.measure", "tasks.metric"],
        ["tasks.task", "tasks.trivial"],
        ["tasks.classification", "tasks.loading", "tasks.text", "tasks.translation"],
    ],
    "tasks.scores": [
        ["tasks.scores.replicates"],
        ["tasks.scores.classification", "tasks.scores.losses", "tasks.scores.ranges", "tasks.scores.script"],
        ["tasks.scores.translation"],
    ],
    "trainers": [
        [
            "trainers.costs",
            "trainers.output_log",
            "trainers.scaling",
            "trainers.space_view",
            "trainers.state",
            "trainers.values",
        ],
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
    "charset_normalizer": ["data.guessed_encoding"],
    "click": ["cli"],
    "datasets": ["data.hf_datasets"],
    "filelock": ["system.file_lock"],
    "fsspec": ["storage.storage"],
    "jinja2": ["results.page.html"],
    "markupsafe": ["results.page.html"],
    "matplotlib": ["results.pictures"],
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
        "serving.models.hugging_face_measures",
        "policies.curves",
        "policies.optuna",
        "tasks.bag_of_words",
        "tasks.compression",
        "tasks.measure",
        "tasks.scores.classification",
        "tasks.scores.replicates",
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
        "results.pictures.importances",
        "space.space",
        "views.dashboard",
        "views.optuna",
    ],
    "pandas": ["api.study", "serving.pyfunc"],
    "plotly": ["results.page.bundle"],
    "psycopg": ["views.postgres"],
    "pyarrow": ["data.compressed", "data.hf_datasets", "data.rows"],
    "pydantic": [
        "config",
        "document.validation_errors",
        "search.placement.peaks",
        "final.provenance",
        "preflight.reference",
        "space",
        "tasks",
        "trainers",
        "training.config",
    ],
    "pydantic_core": ["journal.lines"],
    "ray": ["launchers.ray.actor", "launchers.ray.cluster"],
    "rich": ["cli.explain", "cli.plan", "cli.study_table", "displays"],
    "ruamel": ["final.best", "document.document", "document.yaml_reader"],
    "sacrebleu": ["tasks.scores.translation"],
    "safetensors": ["trainers.function.state", "trainers.huggingface.shards", "training.export"],
    "scipy": [
        "quantiles",
        "policies.curves.model",
        "policies.curves.process",
        "policies.curves.sampler",
        "trainers.causal_lm.costs",
    ],
    "sklearn": ["tasks.scores.classification", "results.pictures.importances", "tasks.bag_of_words"],
    "sqlalchemy": ["views.mlflow.schema", "views.optuna", "views.sqlite"],
    "tokenizers": ["data.tokenizer"],
    "peft": ["trainers.huggingface.network"],
    "torch": [
        "launchers.devices",
        "serving.models.hugging_face",
        "serving.models.hugging_face_measures",
        "serving.models.own",
        "trainers.huggingface",
        "training",
    ],
    "transformers": [
        "serving.models.hugging_face",
        "trainers.huggingface.checkpoint",
        "trainers.huggingface.loading",
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

BELOW_TRAINING = ["config", "contract", "data", "errors", "system.atomic", "system.sealed", "tasks", "training"]

# A worker gets its task as a value: of a home it knows the folder, of the search nothing.
BELOW_WORKERS = [
    "contract",
    "errors",
    "home.home",
    "launchers",
    "output",
    "space",
    "storage",
    "system",
    "trainers",
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
    assert (
        architecture.missing(PACKAGE, [*levels, *INNER, *doors, *LIGHT, *BELOW_TRAINING, *BELOW_WORKERS, *ABOVE_ALL])
        == []
    )


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


def test_workers_know_nothing_of_the_search() -> None:
    assert architecture.escaping(PACKAGE, ["launchers"], BELOW_WORKERS) == []


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


def test_light_modules_load_nothing_heavy() -> None:
    """All in one interpreter: what each of them loads is there."""
    assert set(LIGHT) <= set(PACKAGE.modules)
    names = ", ".join(module if module == "hpsearch" else f"hpsearch.{module}" for module in LIGHT)
    assert loaded_by(f"import {names}") == []


def test_help_loads_nothing_heavy() -> None:
    code = "import hpsearch.cli\ntry: hpsearch.cli.main(['--help'])\nexcept SystemExit as end: assert not end.code"
    assert loaded_by(code) == []


def test_a_driver_starts_without_scipys_statistics() -> None:
    """They take as long as all else that a driver imports, and `curves` and `promotion` alone use them."""
    code = "import sys, hpsearch.search.driver; assert 'scipy.stats' not in sys.modules"
    assert loaded_by(code) == ["optuna"]


def test_a_heavy_module_is_seen() -> None:
    assert "pyarrow" in loaded_by("import pyarrow")


def loaded_by(code: str) -> list[str]:
    """The heavy dependencies that a fresh interpreter has loaded after running some code."""
    code += f"\nimport sys; print('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=6000)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.rpartition("LOADED")[2].split()
