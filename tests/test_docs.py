"""The documents name what there is."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from hpsearch.space.experiment import Experiment
from hpsearch.space.settings import Settings
from hpsearch.tasks import ClassificationSet, TranslationSet

ROOT = Path(__file__).parents[1]
SPACES = sorted((ROOT / "search_spaces").glob("*.yaml"))


def keys(model):
    for name, field in model.model_fields.items():
        yield name
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            yield from keys(inner)


def test_every_key_of_a_space_file_is_documented():
    text = (ROOT / "docs" / "space.md").read_text()
    words = set(re.findall(r"[a-z_0-9]+", text))
    wanted = {*keys(Settings), *keys(TranslationSet), *keys(ClassificationSet)}
    assert wanted - words == set()


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_shipped_space_can_be_read_and_says_how_to_run_it(path):
    experiment = Experiment.load(path)
    assert experiment.study == path.stem
    head = path.read_text().split("\nstudy:")[0]
    assert f"hpsearch run search_spaces/{path.name}" in head
    assert all(line.startswith("#") for line in head.splitlines())


# Folders and files of CONTRIBUTING.md that are being built. Empty when they are there.
COMING = {
    "hpsearch/trainers/",
    "hpsearch/trainers/trainer.py",
    "tests/trainers/",
}

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]


def prose(page):
    """The lines of a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S).splitlines()


def anchors(page):
    """What `#...` may name in a page: its headings as GitHub spells them."""
    headings = [line.lstrip("#").strip().lower() for line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)", "\n".join(prose(page))):
        other = page.parent / target if target else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_each_file_and_folder_that_a_page_names_exists(page):
    folders = r"(?<![\w/.-])(?:hpsearch|tests|docs|search_spaces|benchmarks)/"
    named = re.findall(folders + r"(?:[\w/]+\.(?:py|md)\b|[\w/]*/)", page.read_text())
    assert {name for name in named if not (ROOT / name).exists()} - COMING - {"benchmarks/data/"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lines_of_prose_are_at_most_120_columns(page):
    assert [line for line in prose(page) if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_percent_sign_stands_at_its_number(page):
    """5%, as English has it and as Python's own `:.0%` prints it."""
    assert re.findall(r".*\d %(?!\w).*", page.read_text()) == []


def test_the_changelog_begins_with_what_is_not_released():
    headings = re.findall(r"^##+ (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    assert set(headings[1:]) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_readme_space_is_one():
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S))
    assert Experiment.loads(block).space.conditional is False


def test_ci_runs_the_test_command_of_the_readme():
    assert "<!-- test -->" in (ROOT / "README.md").read_text()
    assert "<!-- test -->" in (ROOT / ".ci" / "run").read_text()


def test_pre_commit_runs_the_linters_of_ci():
    hooks = re.findall(r"^ +entry: (.*)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.M)
    lines = re.findall(r"^\.venv/bin/(?!pytest).*$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert hooks == lines
    assert len(lines) == 3


def test_every_fault_names_a_test_that_there_is():
    text = (ROOT / "docs" / "faults.md").read_text()
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    assert len(named) > 40
    for path, name in named:
        assert re.search(rf"def {name}\b", (ROOT / path).read_text()), f"{path}::{name}"


def test_every_fault_of_the_table_is_there():
    rows = re.findall(r"^\| F(\d+) \|", (ROOT / "docs" / "faults.md").read_text(), re.M)
    assert sorted(map(int, rows)) == list(range(1, 88))


def test_what_the_benchmarks_import_comes_with_their_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = " ".join([*project["dependencies"], *extras["benchmarks"], *extras["ray"]])
    brought = set(re.findall(r"[a-z0-9_-]+", listed)) | {"sklearn", "hpsearch"}
    scripts = list((ROOT / "benchmarks").glob("*.py"))
    for path in scripts:
        imports = re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.M)
        outside = set(imports) - set(sys.stdlib_module_names) - {script.stem for script in scripts}
        assert outside <= brought, path.name
    assert {"accelerate", "psutil"} <= brought
