"""The checks of architecture.py find each kind of violation in a small package, and nothing in a sound one."""

import pytest

from tests import architecture
from tests.architecture import Package

SOUND = {
    "__init__": "",
    "errors": "import os",
    "config.__init__": "from house.config.section import Section",
    "config.section": "import pydantic",
    "training": "def train():\n    import torch\n    from house import errors\n    from .config import Section",
    "cli": "import importlib\nimportlib.import_module('house.training')\nfrom house import __version__",
}
LEVELS = [["errors", "config"], ["training"], ["house"], ["cli"]]
DOORS = {"pydantic": ["config"], "torch": ["training"]}


@pytest.fixture
def package(tmp_path):
    """Writes a package, the sound one with some files changed, and reads its imports."""

    def write(changes=(), /, **files):
        for name, text in {**SOUND, **dict(changes), **files}.items():
            path = tmp_path.joinpath("house", *name.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Package(tmp_path / "house")

    return write


def test_a_sound_package_breaks_nothing(package):
    sound = package()
    assert architecture.missing(sound, ["errors", "config", "config.section", "house"]) == []
    assert architecture.unlevelled(sound, LEVELS) == []
    assert architecture.upward(sound, LEVELS) == []
    assert architecture.cycle(sound) == []
    assert architecture.escaping(sound, ["training"], ["errors", "config"]) == []
    assert architecture.trespassing(sound, DOORS) == []
    assert architecture.unused(sound, DOORS) == []
    assert architecture.undeclared(sound, ["torch>=2", "pydantic"]) == []


@pytest.mark.parametrize(
    "text",
    [
        "import house.training",
        "import house.training as t",
        "from house import training",
        "from house.training import train",
        "from . import training",
        "from .training import train",
        "def late():\n    from house.training import train",
        "if 0:\n    import house.training",
        "import importlib\nimportlib.import_module('house.training')",
        "__import__('house.training')",
    ],
)
def test_an_import_that_goes_up(package, text):
    assert architecture.upward(package(errors=text), LEVELS) == ["errors -> training"]


def test_an_import_within_a_level(package):
    assert architecture.upward(package(errors="import house.config"), LEVELS) == ["errors -> config"]
    sideways = package({"config.section": "from ..errors import x", "errors": ""})
    assert architecture.upward(sideways, LEVELS) == ["config.section -> errors"]


def test_a_place_within_another_stands_on_its_own_level(package):
    levels = [["config"], ["errors"], ["config.late"], ["training"], ["house"], ["cli"]]
    found = package({"config.late": "import house.errors", "training": "import house.config.late", "errors": ""})
    assert architecture.unlevelled(found, levels) == []
    assert architecture.upward(found, levels) == []
    found = package({"config.section": "import house.config.late"})
    assert architecture.upward(found, levels) == ["config.section -> config.late"]


def test_an_import_of_the_package_itself(package):
    assert architecture.upward(package(errors="from house import __version__"), LEVELS) == ["errors -> house"]


def test_an_import_that_goes_up_in_a_folder(package):
    inner = [["config.section"], ["config.data"]]
    found = package({"config.data": "", "config.section": "from .data import x"})
    assert architecture.upward(found, LEVELS) == []
    assert architecture.upward(found, inner) == ["config.section -> config.data"]


def test_a_module_without_a_level_and_one_with_two(package):
    added = package({"config.data": "", "metrics": ""})
    assert architecture.unlevelled(added, LEVELS) == ["metrics: 0 levels"]
    assert architecture.unlevelled(added, [*LEVELS, ["metrics"], ["errors"]]) == ["errors: 2 levels"]
    assert architecture.unlevelled(added, [["config.section"]], inside="config") == ["config.data: 0 levels"]


@pytest.mark.parametrize(
    "files",
    [
        {"errors": "import house.training"},
        {"config.section": "from house.config import Section"},
        {"config.section": "from .data import x", "config.data": "def late():\n    from . import section"},
    ],
)
def test_a_cycle(package, files):
    found = architecture.cycle(package(files))
    assert set(files) < set(found) or set(files) == set(found)
    assert found[0] == found[-1]


def test_an_import_that_leads_out_of_what_is_allowed(package):
    assert architecture.escaping(package(), ["training"], ["config"]) == ["training -> errors"]
    assert architecture.escaping(package(), ["errors"], []) == []


def test_a_dependency_that_comes_by_no_door(package):
    assert architecture.trespassing(package(errors="import torch.nn"), DOORS) == ["errors -> torch"]
    assert architecture.trespassing(package(errors="from numpy import x"), DOORS) == ["errors -> numpy"]
    assert architecture.trespassing(package(), {**DOORS, "torch": []}) == ["training -> torch"]


def test_a_door_that_nobody_uses(package):
    doors = {**DOORS, "torch": ["training", "config"], "numpy": ["errors"]}
    assert architecture.unused(package(), doors) == ["torch: config", "numpy: errors"]


def test_an_entry_that_names_no_module(package):
    assert architecture.missing(package(), ["errors", "error", "config.data", "conf"]) == [
        "error",
        "config.data",
        "conf",
    ]


@pytest.mark.parametrize(
    ("text", "name"), [("import numpy", "numpy"), ("from sklearn import x", "sklearn"), ("import yaml", "yaml")]
)
def test_a_dependency_that_is_not_declared(package, text, name):
    declared = ["torch>=2", "pydantic[email]<3", "pyyaml", "numpy-stubs"]
    assert architecture.undeclared(package(errors=text), declared) == [name]
    assert architecture.undeclared(package(errors=text), [*declared, "numpy==1", "scikit-learn~=1.4", "yaml"]) == []
