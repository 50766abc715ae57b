"""`hpsearch completion`: prints the script by which a shell completes commands, options, studies and space files.

click brings the scripts. A shell asks `hpsearch` itself at each TAB, so that what answers imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

INSTALL = {
    "bash": "echo 'eval \"$(hpsearch completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(hpsearch completion zsh)\"' >> ~/.zshrc",
    "fish": "hpsearch completion fish > ~/.config/fish/completions/hpsearch.fish",
}
VARIABLE = "_HPSEARCH_COMPLETE"  # click's name for a program called hpsearch
STUDIES = {"space_or_study", "studies"}  # arguments that may be a study
FILES = {"space", "config", *STUDIES}  # and those that may be a space file or a config
MOST = 500  # names that are offered


@click.command(
    short_help="Print the completion script of a shell.",
    epilog="""\b
Examples:
  eval "$(hpsearch completion bash)"      in ~/.bashrc; zsh the same in ~/.zshrc
  hpsearch completion fish > ~/.config/fish/completions/hpsearch.fish""",
)
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options, studies and space files.

    The first line of the script says how to install it.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "hpsearch", VARIABLE).source()
    click.echo(f"# to install: {INSTALL[shell]}\n{script.strip()}")


def complete_names(command: click.Command) -> None:
    """Makes arguments of these names complete the studies of the home, and the YAML files of a folder."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.name in FILES:
            parameter._custom_shell_complete = names


def names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Studies and YAML files that begin so; without one, the shell completes file names by itself."""
    try:
        studies = _studies(context, incomplete) if parameter.name in STUDIES else []
        found = [CompletionItem(name) for name in [*studies, *_files(incomplete)][:MOST]]
    except OSError:  # of a home that may not be read
        found = []
    return found or [CompletionItem(incomplete, type="file")]


def _studies(context: click.Context, incomplete: str) -> Iterator[str]:
    home = context.params.get("home_path") or Path("mlruns")
    if os.path.isdir(home):
        yield from sorted(
            entry.name
            for entry in os.scandir(home)
            if entry.name.startswith(incomplete) and os.path.exists(os.path.join(entry.path, "journal.jsonl"))
        )


def _files(incomplete: str) -> Iterator[str]:
    """The YAML files of the folder that is being typed; names that a shell would split are left to the shell."""
    folder, beginning = os.path.split(incomplete)
    if os.path.isdir(folder or "."):
        yield from sorted(
            os.path.join(folder, entry.name)
            for entry in os.scandir(folder or ".")
            if entry.name.startswith(beginning) and entry.name.endswith((".yaml", ".yml")) and _is_one_word(entry.name)
        )


def _is_one_word(name: Any) -> bool:
    return name.isprintable() and not set(name) & set(" \t'\"\\$`;&|<>(){}*?[]#~!,")
