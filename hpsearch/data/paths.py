"""Resolves the paths of a config: environment variables, `~`, globs, folders and their splits by file name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from hpsearch.config import Paths, SplitNames
from hpsearch.data import file_formats
from hpsearch.errors import DataError

PART_OF = {"train": "train", "test": "test"}  # by the beginning of a file's name; dev, val and valid mean valid
SHOWN = 4  # file names in a message
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


def place(base: Path, text: str) -> Path:
    """Resolves a path of the config; raises DataError for an environment variable that is not set."""
    if os.path.exists(base / text):  # Path.exists raises for a name that is too long
        return base / text

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise DataError(f"{text}: the environment variable {name} is not set")
        return os.environ[name]

    return base / Path(VARIABLE.sub(value, text)).expanduser()


def found(base: Path, named: Paths, *, texts: bool, delimiter: str | None = None) -> list[Path]:
    """The files of a path, glob or folder, or of a list of these; the files of each sorted by name.

    texts: take the .txt files of a folder if it has some, else its tables. Raises DataError if no file is found.
    """
    some: list[Path] = []
    for text in [named] if isinstance(named, str) else named:
        path = place(base, text)
        if os.path.isdir(path):
            some += _of_one_split(path, _of_folder(path, texts=texts, delimiter=delimiter))
        elif re.search(r"[*?\[]", text) and not os.path.exists(path):
            some += _of_one_split(path, _of_glob(path))
        else:
            some.append(path)
    return some


def _of_one_split(place: Path, some: list[Path]) -> list[Path]:
    """Returns the files; raises DataError if their names belong to several splits: a test must not be trained on."""
    named: dict[str, Path] = {}
    for path in some:
        if part := part_of(Path(path.name), None):
            named.setdefault(part, path)
    if len(named) > 1:
        raise DataError(
            f"{place}: files of several splits ({listed(named.values())}); name them one by one, "
            f"or give the folder as dataset: {place.name if place.is_dir() else place.parent.name}"
        )
    return some


def _of_glob(path: Path) -> list[Path]:
    matches = (Path(name) for name in glob.glob(str(path), recursive=True))
    some = sorted(match for match in matches if match.is_file() and match.stat().st_size)
    if not some:
        raise DataError(f"{path}: no file has a name like this{file_formats.near(path)}")
    return some


def _of_folder(folder: Path, *, texts: bool, delimiter: str | None) -> list[Path]:
    formats: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size and not path.name.startswith("."):
            kind = file_formats.known_format(path) or ("csv" if delimiter else "")
            formats.setdefault(kind, []).append(path)
    formats.pop("", None)
    if texts and "txt" in formats:
        return formats["txt"]
    formats.pop("txt", None)
    if len(formats) != 1:
        kinds = f"files of several kinds ({', '.join(sorted(formats))})" if formats else "no file of data"
        raise DataError(
            f"{folder}: is a folder, a data file is expected; {kinds} in it: name them, as {folder.name}/*.csv"
        )
    return next(iter(formats.values()))


def listed(some: Iterable[Path | str]) -> str:
    """The names for a message: "6 files: 0.txt, 1.txt, 2.txt, 3.txt, ...", or the only name."""
    names = [path.name if isinstance(path, Path) else path for path in some]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return shown if len(names) == 1 else f"{len(names)} files: {shown}"


# ------------------------------------------------------------------------------------------------- folders of data sets


def splits_in(folder: Path, names: SplitNames | None) -> dict[str, list[Path]] | None:
    """{"train" | "valid" | "test": data files} of a folder, by the beginning of their names (dev and val mean valid).

    names: the splits' names in that folder. If no file name begins with a split's name, all files are train. Returns
    None if the `datasets` library has to read the folder: a card describes its files, or none is a data file. Raises
    DataError if the files of one split differ in more than a number: an old copy, predictions, two languages.
    """
    there = data_files(folder)
    if not there or has_card(folder):
        return None
    splits: dict[str, list[Path]] = {}
    for path in there:
        if part := part_of(path.relative_to(folder), names):
            splits.setdefault(part, []).append(path)
    if names is not None and (
        lacking := [part for part, name in names.model_dump().items() if name and part not in splits]
    ):
        name = getattr(names, lacking[0])
        raise DataError(f"{folder}: no file of split {name!r}, there are: {listed(there)}")
    splits = splits or {"train": there}
    for part, some in splits.items():
        if splits != {"train": there} or {file_formats.known_format(path) for path in some} != {
            "txt"
        }:  # any names are allowed for a folder of texts only
            check_alike(folder, part, some)
    if "train" not in splits:
        raise DataError(f"{folder}: no file's name begins with train, there are: {listed(there)}; name it in files:")
    return {part: splits[part] for part in ("train", "valid", "test") if part in splits}


def part_of(path: Path, names: SplitNames | None) -> str | None:
    """The split by the beginning of the file's name, or else of the names of its folders; None if none matches."""
    for name in reversed(path.parts):
        if names is not None:
            called = {other: part for part, other in names.model_dump().items() if other}
            matches = [other for other in called if re.match(rf"{re.escape(other)}(?![A-Za-z0-9_])", name)]
            if matches:
                return called[max(matches, key=len)]
        elif start := re.match(r"(train|valid(?:ation)?|val|dev|test)(?![a-z])", name.lower()):
            return PART_OF.get(start[1], "valid")
    return None


def has_card(folder: Path) -> bool:
    """Whether the folder's README.md (a data set card) lists the files of each configuration."""
    try:
        head = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:10_000]
    except OSError:
        return False
    return head.startswith("---") and re.search(r"^configs:", head.partition("\n---")[0], re.M) is not None


def data_files(folder: Path) -> list[Path]:
    """The data files of a folder and its subfolders, sorted by name."""
    return sorted(path for path in folder.rglob("*") if _is_data(path))


def _is_data(path: Path) -> bool:
    about = path.name in ("dataset_infos.json", "dataset_info.json", "state.json", "README.txt")
    return path.is_file() and not about and file_formats.known_format(path) is not None


def check_alike(folder: Path, part: str, some: list[Path]) -> None:
    """Raises DataError unless the names differ in numbers only."""
    names = [str(path.relative_to(folder)) for path in some]
    if len({re.sub(r"\d+", "#", name) for name in names}) > 1:
        raise DataError(
            f"{folder}: {listed(names)} could all be the {part} split; name the ones that are meant, "
            f"files: {{{part}: {folder.name}/{names[0]}}}"
        )
