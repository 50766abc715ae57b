"""The commands in the documents: each parses as it is printed, and the cheap ones run on a small study."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

import hpsearch
from hpsearch.cli import commands
from hpsearch.cli.completion import FILES, STUDIES
from tests import blank
from tests.faults.zygote import NoViews

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
PROGRAM = re.compile(r"(?:^|[\s;&|(])(?:\.venv/bin/)?hpsearch\s+(?=[a-z-])")
ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>", ")"}  # of a command in a line of a shell
CHEAP = {"show", "export", "list", "compare", "schema", "explain", "completion"}  # and `--help`, of every command


def documented():
    """(page, arguments) of each command in a block of `sh` or `console`."""
    for page in PAGES:
        for block in re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for start in PROGRAM.finditer(line):
                    yield page.relative_to(ROOT).as_posix(), words_of(line[start.end() :])


def words_of(text):
    """The words of a command up to its end, without comments."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found = []
    for word in lexer:
        if word in ENDS:
            break
        found.append(word)
    return tuple(found)


def mentioned():
    """(page, words) of each `hpsearch ...` in prose."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
        for words in re.findall(r"`hpsearch ([a-z-][^`]*)`", text):
            yield page.relative_to(ROOT).as_posix(), tuple(words.split())


NO_COMMANDS = {"tpe", "does"}  # words after `hpsearch` in code that is no command
BLOCKS = sorted(set(documented()))
PROSE = sorted({(page, words) for page, words in mentioned() if words[0] not in NO_COMMANDS})


def test_the_documents_have_commands():
    assert len(BLOCKS) > 25
    assert {words[0] for _, words in BLOCKS} >= {"run", "show", "export", "train", "confirm"}


def test_every_command_is_in_a_block_of_a_document():
    assert set(commands.commands) - {words[0] for _, words in BLOCKS} == set()


@pytest.mark.parametrize(("page", "words"), BLOCKS, ids=[f"{page}: {' '.join(words)}" for page, words in BLOCKS])
def test_a_command_of_a_block_parses(page, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parsed(words)


@pytest.mark.parametrize(("page", "words"), PROSE, ids=[f"{page}: {' '.join(words)}" for page, words in PROSE])
def test_a_command_of_a_sentence_is_there_with_its_options(page, words):
    """`hpsearch pause|resume STUDY`, `hpsearch run --device-hours`."""
    for name in words[0].split("|"):
        assert name.startswith("-") or name in commands.commands, name
        if name in commands.commands:
            known = {option for parameter in commands.commands[name].params for option in parameter.opts}
            used = {word.partition("=")[0].rstrip(",.") for word in words if re.match(r"--?[a-z]", word)}
            assert used <= known | {"--help", "-h"}


def parsed(words):
    """Parses a command as the shell would hand it over; nothing is run."""
    name, *rest = words
    if name.startswith("-"):
        return None
    command = commands.get_command(click.Context(commands), name)
    assert command is not None, name
    try:
        return command.make_context(name, rest)
    except click.exceptions.Exit:  # --help
        return None


# ------------------------------------------------------------------------------------------------------- the cheap ones


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a home, two studies and a space file."""
    here = tmp_path_factory.mktemp("documented")
    for name in ("train", "valid"):
        (here / f"{name}.txt").write_text(f"some text to {name} on " * 30)
    blank.home(here / "mlruns")
    text = "data: {text: {task: text, files: {train: train.txt, valid: valid.txt}}}\nbudget: {trials: 2}\n"
    text += 'trainer: "python:hpsearch.testing.toy:Toy"\ntraining: {epochs: {low: 2, high: 9}}\n'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.search.driver.shipper.start", NoViews)
        for name in ("toy", "other"):
            (here / f"{name}.yaml").write_text(text)
            hpsearch.run(here / f"{name}.yaml", home=here / "mlruns", launcher="inline", progress=False)
    return here


LONGER = {"--for", "--model", "--trials"}  # options that need more than the small study has
CHEAP_BLOCKS = [(page, words) for page, words in BLOCKS if words[0] in CHEAP and not LONGER & set(words)]


@pytest.mark.parametrize(("page", "words"), CHEAP_BLOCKS, ids=[" ".join(words) for _, words in CHEAP_BLOCKS])
def test_a_cheap_command_runs(page, words, folder, call, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    name, *rest = words
    code, out, err = call(name, *on_the_small_study(name, rest, tmp_path))
    assert code == 0, err
    assert out or list(tmp_path.iterdir())


def on_the_small_study(name, rest, tmp_path):
    """The arguments with our studies in place of those of the document, and outputs in another folder."""
    context, ours = parsed((name, *rest)), {}
    studies = iter(["toy", "other", "toy", "other"])
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        if parameter.param_type_name == "argument" and parameter.name in STUDIES | FILES:
            given = value if isinstance(value, tuple) else [value]
            ours |= {str(one): next(studies) for one in given if one is not None}
    changed = [ours.get(word, word) for word in rest]
    return [
        str(tmp_path / os.path.basename(word)) if before in ("-o", "--output") else word
        for before, word in zip(["", *changed], changed, strict=False)
    ]


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_has_help(name, call):
    code, out, _ = call(name, "--help")
    assert code == 0
    assert out.startswith("Usage: hpsearch ")
