"""Data sets made from files of a Python installation: for the quickstart, the examples and the tests, no download.

Use one in space.yaml: `reference: {task: text, dataset: "python:hpsearch.samples:python_reference"}`. Splits are
80/10/10 by a hash of the text, with near duplicates in one split. They depend only on the Python version (translations:
on the version of their package).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from hpsearch.errors import DataError

Item = TypeVar("Item")
Parts = dict[str, list[str]]  # train, valid, test
Pairs = dict[str, list[tuple[str, str]]]

# Excluded: parts that some distributions ship separately, tests, and files that are not library code.
NOT_LIBRARY = {"test", "tests", "site-packages", "dist-packages", "lib2to3", "ensurepip", "__pycache__", "idlelib"}
NOT_LIBRARY |= {"turtledemo", "tkinter", "turtle.py", "pydoc_data", "distutils"}

# Chapters of the Python Library Reference and the modules they document.
CHAPTERS = {
    "concurrency": "asyncio threading multiprocessing concurrent subprocess sched queue contextvars signal selectors",
    "internet": "http urllib ftplib poplib imaplib smtplib socketserver socket ssl xmlrpc ipaddress wsgiref webbrowser",
    "mail and markup": "email mailbox mimetypes json base64 quopri html xml plistlib",
    "files": "pathlib os posixpath ntpath fileinput filecmp tempfile glob fnmatch linecache shutil gzip bz2 lzma "
    "zipfile tarfile io pickle shelve dbm csv configparser sqlite3 netrc",
    "numbers and dates": "datetime calendar decimal fractions random statistics numbers zoneinfo colorsys bisect heapq "
    "hashlib hmac secrets uuid",
    "testing and debugging": "unittest doctest pdb bdb cProfile profile pstats timeit trace tracemalloc traceback "
    "pydoc cmd code codeop warnings logging",
    "language": "importlib pkgutil modulefinder runpy zipimport ast symtable tokenize dis inspect abc contextlib "
    "dataclasses functools types typing enum weakref copy pickletools py_compile compileall pyclbr site collections",
    "command line and text": "argparse optparse getopt shlex string re difflib textwrap codecs encodings gettext "
    "locale pprint reprlib rlcompleter getpass platform stringprep",
}
CHAPTER_OF = {module: chapter for chapter, modules in CHAPTERS.items() for module in modules.split()}
CHAPTER_OF |= {"_strptime": "numbers and dates", "_compression": "files", "_markupbase": "mail and markup"}

DOCSTRING = re.compile(r':[ \t]*(?:#[^\n]*)?\n\s*[rR]?("""|\'\'\')(.*?)\1', re.S)


def python_reference() -> Parts:
    """Returns paragraphs of the language reference in help(): small, so that a model overfits within minutes."""
    from pydoc_data.topics import topics

    blocks = (block for name in sorted(topics) for block in _blocks(topics[name]) if not _is_layout(block))
    return _split_texts(text for block in blocks if (text := _prose(re.sub(r"\*\*|[\"`]", "", block))))


def stdlib_prose() -> Parts:
    """Returns paragraphs of the standard library's docstrings and comments: technical English, 1.6 MB."""
    texts = [text for _, doc in _docstrings() for block in _blocks(doc) if (text := _prose(block))]
    texts += [text for comment in _comments() for block in _blocks(comment) if (text := _prose(block))]
    return _split_texts(texts)


def stdlib_chapters() -> Pairs:
    """Returns pairs (docstring, chapter of the Library Reference that documents its module); 8 labels."""
    pairs: dict[str, str] = {}
    for module, doc in _docstrings():
        chapter = CHAPTER_OF.get(module) or CHAPTER_OF.get(module.removeprefix("_py").removeprefix("_"))
        text = " ".join(filter(None, map(_prose, _blocks(doc))))
        text = " ".join(text.split()[:48])
        if chapter and text:
            pairs.setdefault(text, chapter)
    return _split_pairs(pairs.items())


def interface_messages(locale: str = "fr_FR") -> Pairs:
    """Returns pairs (English, translation) of messages of JupyterLab's interface; raises DataError without the package.

    locale: fr_FR is in hpsearch[samples]; de_DE, pl_PL, zh_CN, ... need the language pack of that name from PyPI.
    """
    pack = _package(f"jupyterlab_language_pack_{locale}", f"jupyterlab-language-pack-{locale.replace('_', '-')}")
    pairs: dict[str, tuple[str, str]] = {}
    for path in sorted(Path(str(pack.__file__)).parent.rglob("*.json")):
        for key, translations in json.loads(path.read_text(encoding="utf-8")).items():
            pair = _message(key, translations)
            if pair:
                pairs.setdefault(pair[0].casefold(), pair)
    return _split_pairs(pairs.values())


def emoji_names() -> Pairs:
    """Returns pairs (English, German) of emoji names; raises DataError without the package (hpsearch[samples])."""
    emoji = _package("emoji", "emoji")
    emoji.config.load_language("de")
    pairs: dict[str, tuple[str, tuple[str, str]]] = {}
    for symbol, names in sorted(emoji.EMOJI_DATA.items()):
        if names["status"] == emoji.STATUS["fully_qualified"] and "en" in names and "de" in names:
            source, target = (re.sub(r"[_\s]+", " ", names[language].strip(":")).strip() for language in ("en", "de"))
            pairs.setdefault(source, (_bare(symbol), (source, target)))
    return _split(pairs.values())


# -------------------------------------------------------------------------------------------------------------- sources


@cache
def _sources() -> tuple[tuple[str, str], ...]:
    """Returns (top-level module, source) of every .py file of the standard library."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not NOT_LIBRARY.intersection(parts):
            found.append((parts[0].removesuffix(".py"), path.read_bytes().decode("utf-8", errors="replace")))
    return tuple(found)


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yields (top-level module, docstring) of classes and functions; module docstrings name the module: excluded.

    Searches for the first string of an indented block, 50 times faster than parsing. Excludes strings with escapes.
    """
    for module, source in _sources():
        for _, doc in DOCSTRING.findall(source):
            if "\\" not in doc:
                yield module, doc


def _comments() -> Iterator[str]:
    """Yields blocks of two or more comment lines, without their number signs."""
    for _, source in _sources():
        for run in re.findall(r"(?:^[ \t]*#(?!!)[^\n]*\n){2,}", source, re.M):
            yield re.sub(r"^[ \t]*#+ ?", "", run, flags=re.M)


def _package(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise DataError(f"hpsearch.samples: the package {package} is missing: pip install {package}") from None


def _message(key: str, translations: object) -> tuple[str, str] | None:
    """Returns the pair of an entry {"context\\x04message": [translation, plural forms ...]}; None if not a phrase."""
    if not isinstance(translations, list) or not translations or not isinstance(translations[0], str):
        return None
    source, target = " ".join(key.split("\x04")[-1].split()), " ".join(translations[0].split())
    # Excludes placeholders, paths and identifiers: they are the same in both languages.
    is_code = re.search(r"[`_{}<>/\\=|@#\[\]*%]|\w\.\w", source)
    is_phrase = 2 <= len(source.split()) <= 24 and target and source != target
    return (source, target) if is_phrase and not is_code else None


# ---------------------------------------------------------------------------------------------------------------- prose


def _blocks(text: str) -> list[str]:
    return re.split(r"\n\s*\n", text.replace("\r", ""))


def _is_layout(block: str) -> bool:
    """Whether a paragraph of the reference is grammar, code or an underlined heading."""
    return bool(re.search(r"^ {6,}|^\s*[-*=~^]{3,}\s*$", block, re.M))


def _prose(block: str) -> str | None:
    """Returns the block as one line of text, or None if it is code, grammar or a table."""
    if re.search(r"^\s*(>>>|\.\.\. |\.\. )|::=", block, re.M):
        return None
    text = re.sub(r":[\w:]+:`~?([^`]*)`", r"\1", block).replace("`", "")
    text = " ".join(text.split())
    letters = sum(map(len, words := re.findall(r"[A-Za-z]+", text)))
    return text if len(words) >= 6 and letters >= 0.65 * len(text) else None


# --------------------------------------------------------------------------------------------------------------- splits


def _split_texts(texts: Iterable[str]) -> Parts:
    different = list(dict.fromkeys(texts))
    return _split(zip(_groups(different), different, strict=True))


def _split_pairs(pairs: Iterable[tuple[str, str]]) -> Pairs:
    pairs = list(pairs)
    return _split(zip(_groups([source for source, _ in pairs]), pairs, strict=True))


def _split(keyed: Iterable[tuple[str, Item]]) -> dict[str, list[Item]]:
    """Returns the items by split; items with equal keys are in the same split."""
    parts: dict[str, list[Item]] = {"train": [], "valid": [], "test": []}
    for key, item in keyed:
        place = hashlib.sha256(key.encode()).digest()[0] * 10 // 256
        parts["test" if place == 0 else "valid" if place == 1 else "train"].append(item)
    return parts


def _groups(texts: list[str]) -> list[str]:
    """Returns for each text the first of its group: texts that share eight words in a row, also through other texts."""
    group = list(range(len(texts)))

    def first(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    owner: dict[tuple[str, ...], int] = {}
    for i, text in enumerate(texts):
        words = re.findall(r"[^\W\d_]+", text.casefold())
        for start in range(max(1, len(words) - 7)):
            a, b = first(i), first(owner.setdefault(tuple(words[start : start + 8]), i))
            group[max(a, b)] = min(a, b)
    return [texts[first(i)] for i in range(len(texts))]


def _bare(symbol: str) -> str:
    """Returns an emoji without skin tone and presentation mark: its variants have nearly the same name."""
    return re.sub("[\U0001f3fb-\U0001f3ff\ufe0f]", "", symbol)
