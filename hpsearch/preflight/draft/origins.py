"""Which of the given files and folders belong together: the splits of a set, aligned text files, saved data sets."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from hpsearch.data import file_formats, locations, paths
from hpsearch.data.compressed import parts, unpacked_name
from hpsearch.data.splits import PARTS
from hpsearch.data.text_encoding import lines
from hpsearch.errors import DataError, UserError
from hpsearch.output.printable import printable
from hpsearch.preflight.draft.languages import LANGUAGES
from hpsearch.preflight.draft.questions import Answers, Question
from hpsearch.trainers.causal_lm.constraints import SET
from hpsearch.trainers.huggingface.folders import is_checkpoint

SNIFFED_BYTES, MOST_CONTROL = 4096, 0.05  # from which a binary file is told, and the share of control characters
CONTROL = frozenset({*range(32), 127}) - frozenset(b"\t\n\v\f\r\x1b\0")
SNIFFED = 50  # lines from which a text file's columns are guessed
GENERIC = {"", "data", "dataset", "datasets", "train", "corpus", "files", "raw"}  # names that say nothing of a set
SIDES = re.compile(r"(?i)(?:^|[._-])(src|source|tgt|target|trg)(?:[._-]|$)")
SOURCES = ("src", "source")
_SPLIT = re.compile(r"(?i)(?:^|[._-])(train(?:ing)?|valid(?:ation)?|val|dev|test)(?=[._-]|\d|$)")
SIDE_ENDINGS = (*SOURCES, "tgt", "target", "trg")


@dataclass(frozen=True)
class Origin:
    """Where the examples of one data set are, before its task is known."""

    name: str
    files: dict[str, list[Path]] = field(default_factory=dict)  # by split
    targets: dict[str, list[Path]] = field(default_factory=dict)  # of aligned files: `files` are the sources
    folder: Path | None = None  # that the config names as a whole: of texts, or of the `datasets` library
    library: bool = False  # `dataset: folder`; without files, the `datasets` library reads it
    delimiter: str | None = None  # of a text file that holds a table
    notes: tuple[str, ...] = ()
    named: str | None = None  # valid or test: the names of its only files say so

    @property
    def first(self) -> Path:
        """A file to look at."""
        return self.files["train"][0]


def origins(given: Sequence[Path], answers: Answers) -> tuple[list[Origin], list[str]]:
    """The sets in the files and folders, and the folders among them that are checkpoints of pretrained models.

    Raises DataError for what is missing or holds no data, UserError for a checkpoint alone.
    """
    given = [path for one in given for path in _expanded(one)]
    checkpoints = [path for path in given if path.is_dir() and is_checkpoint(path)]
    folders = [path for path in given if path.is_dir() and path not in checkpoints]
    files = [path for path in given if not path.is_dir()]
    _refuse_twice([*folders, *files])
    for path in files:
        _refuse_missing(path)
        file_formats.check_regular(path)
        _refuse_binary(path)
    found = [origin for folder in folders for origin in [_of_folder(folder, answers)]]
    found += _of_files(files, answers)
    if not found and checkpoints:
        raise UserError(f"{checkpoints[0]}: a pretrained model; give the files to tune it on, too")
    if not found:
        raise UserError(f"{NOTHING}{_for_example()}")
    return _with_names(found), [str(path) for path in checkpoints]


def _expanded(path: Path) -> list[Path]:
    """The paths that a pattern matches, which the shell has not expanded; any other path itself."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))
    if not found:
        raise DataError(f"{printable(str(path), keep='')}: no file matches this pattern")
    return found


def _refuse_twice(given: Sequence[Path]) -> None:
    """Raises UserError for a file or a folder that is given twice, under one name or two."""
    seen = dict[str, Path]()
    for path in given:
        if (other := seen.get(os.path.realpath(path))) is not None:
            same = "" if other == path else f", as {printable(str(other), keep='')}"
            raise UserError(f"{printable(str(path), keep='')}: this file is given twice{same}; give it once")
        seen[os.path.realpath(path)] = path


def _refuse_missing(path: Path) -> None:
    """Raises DataError for what is not there, which may have been meant as data or as a checkpoint."""
    if not os.path.lexists(path):
        near = file_formats.near(path)
        raise DataError(
            f"{printable(str(path), keep='')}: no such file or folder; data, or the folder of a checkpoint, is "
            f"expected{near}"
        )


def _refuse_binary(path: Path) -> None:
    """Raises DataError for a file of which much can be no text in any encoding of single bytes, nor in UTF-16."""
    if file_formats.known_format(path) == "parquet" or unpacked_name(path) != path.name:
        return
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    control = sum(byte in CONTROL for byte in head)
    if control > MOST_CONTROL * len(head) and head.count(0) < 0.2 * len(head):
        raise DataError(f"{printable(str(path), keep='')}: a binary file, text is expected; {NOTHING}")


NOTHING = (
    "give the files to train on: a csv, tsv, json, jsonl or parquet file, two line-aligned text files, .txt files or a "
    "folder of them, or a folder of the datasets library"
)


def _for_example() -> str:
    """The data in the working folder, for a message."""
    there = sorted(path.name for path in Path().iterdir() if file_formats.known_format(path) and path.is_file())
    return f". In this folder: hpsearch new {printable(there[0], keep='')}" if there else ""


# ------------------------------------------------------------------------------------------------------------ folders


def _of_folder(folder: Path, answers: Answers) -> Origin:
    name = _name(folder.resolve().name)
    if locations.is_saved(folder) or paths.has_card(folder):
        return Origin(name, folder=folder, library=True)
    there = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if (pairs := _aligned(there, answers, ordered=False)) is not None:
        return replace(pairs, name=name)
    data = [path for path in there if file_formats.known_format(path) is not None and path in paths.data_files(folder)]
    groups = _grouped(data)
    if len(groups) == 1 and len(data) == len(paths.data_files(folder)):
        own = set(groups[0].files) == {"train"} and _is_text(groups[0])
        if own or all(len(some) == 1 for some in groups[0].files.values()):
            return replace(groups[0], name=name, folder=folder if own else None)
    splits = _splits_in(folder)
    return Origin(name, files=splits, folder=folder, library=True, notes=tuple(_labels_by_folder(folder, splits)))


def _splits_in(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder and of those in it, by split; raises DataError if there are none, or of several sets."""
    try:
        splits = paths.splits_in(folder, None)
    except DataError:
        there = printable(
            paths.listed(path.relative_to(folder).as_posix() for path in paths.data_files(folder)), keep=""
        )
        example = folder / paths.data_files(folder)[0].relative_to(folder)
        raise DataError(
            f"{folder}: files of several sets ({there}); give those that belong together: hpsearch new "
            f"{printable(str(example), keep='')}"
        ) from None
    if splits is None:
        raise DataError(f"{folder}: no data in this folder{_what_is_there(folder)}; {NOTHING}")
    return splits


def _what_is_there(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return f" (there is {printable(paths.listed(names), keep='')})" if names else ", it is empty"


def _labels_by_folder(folder: Path, splits: dict[str, list[Path]]) -> Iterable[str]:
    """A line about folders whose names may be labels, which no reader takes as such."""
    names = sorted({path.parent.name for some in splits.values() for path in some if path.parent != folder})
    plain = [name for name in names if not _SPLIT.search(name)]
    if 2 <= len(plain) <= 100:
        yield (
            f"the folders {printable(', '.join(plain[:4]), keep='')} may be labels: a text set does not know them; a "
            'function can give them: dataset: "python:module:function"'
        )


# -------------------------------------------------------------------------------------------------------------- files


def _of_files(files: Sequence[Path], answers: Answers) -> list[Origin]:
    if not files:
        return []
    if (pairs := _aligned(files, answers, ordered=True)) is not None:
        return [pairs]
    return [_as_table(group) for group in _attached(_grouped(files))]


def _attached(groups: list[Origin]) -> list[Origin]:
    """The sets, where a file whose name says valid or test is that part of the only set that lacks it.

    Raises UserError if several sets lack it, or none: it is not trained on as a set of its own.
    """
    alone = [one for one in groups if one.named is not None]
    found = [one for one in groups if one.named is None]
    if not found:  # nothing else is there to train on
        return groups
    for one in alone:
        lacking = [other for other in found if one.named not in other.files and _kind(other) == _kind(one)]
        if len(lacking) != 1:
            raise UserError(
                f"{printable(str(one.first), keep='')}: its name says {one.named}, and it is not clear of which of the "
                f"other files; give both names that differ in train and {one.named} alone, or name it in data: by hand"
            )
        whole, [own] = lacking[0], one.files.values()
        note = f"{printable(own[0].name, keep='')} is taken as the {one.named} part of {whole.first.name}, by its name"
        joined = {
            part: (whole.files | {one.named: own})[part] for part in PARTS if part in whole.files | {one.named: own}
        }
        found[found.index(whole)] = replace(whole, files=joined, notes=(*whole.notes, note))
    return found


def _kind(origin: Origin) -> str:
    return file_formats.known_format(origin.first) or Path(unpacked_name(origin.first)).suffix


def beside(origin: Origin) -> list[Path]:
    """Files beside the training file that seem to be parts of its set that were not given: valid.tsv, test.tsv."""
    if origin.folder is not None or any(one.name.startswith(".") for one in origin.files["train"]):
        return []
    keys = {_key(path)[:3]: path for by_split in (origin.files, origin.targets) for path in by_split.get("train", [])}
    given = {os.path.realpath(path) for some in (*origin.files.values(), *origin.targets.values()) for path in some}
    there = sorted(path for folder in {path.parent for path in keys.values()} for path in folder.iterdir())
    return [
        path
        for path in there
        if path.is_file() and os.path.realpath(path) not in given
        if (found := _key(path))[:3] in keys and found[3] != "train" and found[3] not in origin.files
    ]


def _key(path: Path) -> tuple[Path, str, str, str]:
    """What the files of a set have in common (folder, kind, name without the split), and the split."""
    name = unpacked_name(path)
    stem, split = _without_split(Path(name).stem)
    return path.parent, file_formats.known_format(path) or Path(name).suffix, stem, split


def _grouped(files: Sequence[Path]) -> list[Origin]:
    """Files as sets: those whose names differ in the split (and in numbers) only are one set."""
    groups: dict[tuple[Path, str, str], dict[str, list[Path]]] = {}
    for path in files:
        *key, split = _key(path)
        groups.setdefault((key[0], key[1], key[2]), {}).setdefault(split, []).append(path)  # type: ignore[arg-type]
    found = []
    for (parent, _, stem), some in groups.items():
        named = None
        if "train" not in some:  # a single file, or a test alone: it is what there is
            named = next(iter(some))
            some = {"train": [path for one in some.values() for path in one]}
        ordered = {part: sorted(some[part]) for part in PARTS if part in some}
        name = _name(stem if stem.lower() not in GENERIC else parent.resolve().name)
        found.append(Origin(name, files=ordered, named=named))
    plain = [one for one in found if one.named is None]
    if len(plain) > 1 and all(_is_text(one) and set(one.files) == {"train"} for one in found):
        texts = Origin("texts", files={"train": [path for one in plain for path in one.files["train"]]})
        return [texts, *(one for one in found if one.named is not None)]
    return found


def _is_text(origin: Origin) -> bool:
    return all(file_formats.known_format(path) == "txt" for some in origin.files.values() for path in some)


def _without_split(stem: str) -> tuple[str, str]:
    """A name without its split and numbers, and the split ("train" if it names none)."""
    found = _SPLIT.search(stem)
    rest = stem[: found.start()] + stem[found.end() :] if found else stem
    word = found[1].lower() if found else "train"
    split = "train" if word.startswith("train") else "test" if word == "test" else "valid"
    return (re.sub(r"[-_.]?\d+(?:[-_.]?of[-_.]?\d+)?$", "", rest).strip("._-") if found else rest), split


def _as_table(origin: Origin) -> Origin:
    """With the delimiter of a text file, or one of unknown ending, whose lines have equally many tabs."""
    if file_formats.known_format(origin.first) not in (None, "txt"):
        return origin
    heads = [line.rstrip("\r\n") for line in _head(origin.first) if line.strip()]
    tabs = {line.count("\t") for line in heads}
    if len(tabs) == 1 and 0 < tabs.pop() <= 20 and len(heads) > 1:
        return replace(origin, delimiter="\t")
    if file_formats.known_format(origin.first) is None:
        _refuse_unknown(origin.first)
    return origin


def _refuse_unknown(path: Path) -> None:
    """Raises DataError for a file of unknown ending: a lone side of a translation, a space file, another one."""
    ending = Path(unpacked_name(path)).suffix.lstrip(".").lower()
    if ending in ("yaml", "yml"):
        raise DataError(f"{path}: is no data; if it is a space file: hpsearch run {printable(str(path), keep='')}")
    if ending in LANGUAGES or ending in SIDE_ENDINGS:
        beside = sorted(other.name for other in path.parent.glob(f"{glob.escape(path.stem)}.*") if other != path)
        other = str(path.parent / beside[0]) if beside else f"{path.with_suffix('')}.XX"
        raise DataError(
            f"{path}: one side of a translation? Give both files: hpsearch new {path} {printable(other, keep='')}"
        )
    file_formats.format_of(path)  # raises DataError with the endings that are allowed


def _head(path: Path) -> list[str]:
    found = []
    try:
        for _, line in lines(parts(path)[0]):
            found.append(line)
            if len(found) == SNIFFED:
                break
    except DataError:  # not UTF-8: its tabs are the same bytes in other encodings
        return [line for _, line in islice(lines(parts(path)[0], "latin-1"), SNIFFED)]
    return found


# ------------------------------------------------------------------------------------------------------ aligned files


def _aligned(files: Sequence[Path], answers: Answers, *, ordered: bool) -> Origin | None:
    """Two line-aligned text files for each split; `ordered`: the first of two is the source. None if they are not."""
    sides: dict[str, dict[str, Path]] = {}
    for path in files:
        if (found := _side(path)) is None:
            continue
        side, split = found
        sides.setdefault(side, {}).setdefault(split, path)
    if len(sides) != 2 and not (answers.task == "translation" and len(files) == 2 and ordered):
        return None
    if len(sides) != 2:
        sides = {str(path): {"train": path} for path in files}
    first, second = _directed(list(sides), answers, ordered=ordered)
    train = [split for split in PARTS if split in sides[first] and split in sides[second]]
    if len(sides[first]) == len(sides[second]) == 1 and len(train) != 1:
        return None
    if "train" not in train:
        return None
    name = _name(Path(unpacked_name(sides[first]["train"])).parent.name or sides[first]["train"].resolve().parent.name)
    return Origin(
        name,
        files={split: [sides[first][split]] for split in train},
        targets={split: [sides[second][split]] for split in train},
        notes=(f"{first} is the source, {second} the target",) if not first.startswith(("/", ".")) else (),
    )


def _side(path: Path) -> tuple[str, str] | None:
    """The side of a pair that a file's name tells ("en", "src"), and its split; None if it tells none."""
    name = unpacked_name(path)
    stem, ending = Path(name).stem, Path(name).suffix.lstrip(".").lower()
    if file_formats.known_format(path) is None:
        known = ending in LANGUAGES or ending in SIDE_ENDINGS
        return (ending, _without_split(stem)[1]) if known else None
    if file_formats.known_format(path) != "txt":
        return None
    if found := SIDES.search(stem):
        return found[1].lower(), _without_split(stem)[1]
    words = [word.lower() for word in re.split(r"[._-]", stem)]
    codes = [word for word in words if word in LANGUAGES]
    return (codes[-1], _without_split(stem)[1]) if len(codes) == 1 and len(words) <= 2 else None


def _directed(names: list[str], answers: Answers, *, ordered: bool) -> tuple[str, str]:
    """(source, target) of the two sides."""
    said = {side: given for side, given in (("source", answers.source), ("target", answers.target)) if given}
    for side, given in said.items():
        if given not in names:
            raise UserError(f"--{side} {printable(given, keep='')}: the files are of {' and '.join(names)}")
    source = answers.source or next((name for name in names if name != answers.target and answers.target), None)
    source = source or next((name for name in names if name in SOURCES), None) or (names[0] if ordered else None)
    if source is None:
        source = answers.answer(Question("--source", "Which language is translated from?", names))
    return source, next(name for name in names if name != source)


# -------------------------------------------------------------------------------------------------------------- names


def _name(text: str) -> str:
    """A valid name of a data set from the name of a file or folder; empty if it has none."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:40]
    return found if SET.fullmatch(found) and found.lower() not in GENERIC else ""


def _with_names(found: list[Origin]) -> list[Origin]:
    """Each set with a name of its own."""
    named: list[Origin] = []
    for origin in found:
        name = origin.name or "data"
        taken = {other.name for other in named}
        unique = next(one for one in (name, *(f"{name}_{i}" for i in range(2, 1000))) if one not in taken)
        named.append(replace(origin, name=unique))
    return named
