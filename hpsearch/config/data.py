"""A data set of a config, whatever its task: where its examples are, the form of its files, how they are split."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from hpsearch.config.section import Section

Paths = str | Annotated[list[str], Field(min_length=1)]
Truncate = Literal["left", "right", "middle"]  # the part that a text longer than the context loses
ALIGNED = "files: {train: {source: train.de, target: train.en}}"  # the form of two files of aligned lines, for messages
FUNCTION = 'dataset: "python:module:function"'  # the form of a data function, for messages
FORM = ("encoding", "columns", "delimiter", "quoting", "skip_bad_rows", "config", "splits")
"""Keys about the form of files; at their defaults a set's examples depend on its files only."""

Column = str | Annotated[list[str], Field(min_length=1)]  # a list: the texts of several columns, joined by line ends


class Aligned(Section):
    """Two text files (or two lists of them) in which line i of the source translates to line i of the target."""

    source: Paths = Field(
        description=(
            "translation: the file (or files) of the sources, of any ending; line i translates to line i of the target"
        ),
        examples=["train.de"],
    )
    target: Paths = Field(description="translation: the file (or files) of the targets", examples=["train.en"])


class Files(Section):
    """One or more files for each split: paths, globs or folders."""

    train: Paths | Aligned = Field(
        description=(
            "a path, glob (`data/*.txt`) or folder, or a list of these: txt, jsonl, ndjson, json, csv, tsv, "
            "parquet; all but parquet also .gz, .bz2, .xz, .zst or .zip. Translation: also `{source: train.de, "
            "target: train.en}`, two line-aligned text files"
        ),
        examples=["train.csv"],
    )
    valid: Paths | Aligned | None = Field(
        None,
        description="the validation files, in the same forms; if left out, `split.valid` of the training examples",
        examples=["valid.csv"],
    )
    test: Paths | Aligned | None = Field(
        None,
        description=(
            "the test files, in the same forms; if left out, `split.test` of the training examples. Only `hpsearch"
            " train` reads them"
        ),
        examples=["test.csv"],
    )

    @model_validator(mode="before")
    @classmethod
    def _of_one_split(cls, raw: Any) -> Any:
        """Reads `files: train.csv` as the training split; refuses source and target outside of a split."""
        if isinstance(raw, dict) and any(str(key).startswith(("source", "target")) for key in raw):
            raise ValueError(f"source and target belong to a split: {ALIGNED}")
        return {"train": raw} if isinstance(raw, (str, list)) else raw


class SplitNames(Section):
    """The names of the splits in a data set of the `datasets` library."""

    train: str = Field(description="`dataset`: the library's name of the training split", examples=["train"])
    valid: str | None = Field(
        None,
        description=(
            "`dataset`: the library's name of the validation split; if left out, `split.valid` of the training examples"
        ),
        examples=["validation_matched"],
    )
    test: str | None = Field(None, description="`dataset`: the library's name of the test split", examples=["test"])


class Split(Section):
    """Shares of the training examples for splits without a file, and the seed that draws them."""

    valid: float = Field(
        0.1,
        gt=0,
        lt=1,
        description=(
            "the share of the training examples that is validated on if there is no valid file, the same share of "
            "each label; equal texts fall into one split"
        ),
    )
    test: float = Field(
        0.1,
        ge=0,
        lt=1,
        description=(
            "the share of the training examples that is kept for the test if there is no test file; 0 also leaves "
            "out a given test"
        ),
    )
    seed: int = Field(0, description="the seed that draws the splits")


class DataSet(Section):
    """Where the examples of a set come from: `files`, or `dataset` ("python:package.module:function",
    a file, a local folder, or a hub name of the `datasets` library).

    The section of a task adds `task: Literal[NAME]`, its columns and other keys, and overrides the class variables and
    methods below, which reading, splitting and encoding use.
    """

    target_key: ClassVar[str | None] = None  # the key of the target, which a test may lack; "label": a class
    has_prompts: ClassVar[bool] = True  # examples are a prompt and a target; False: running text
    reads_text_files: ClassVar[bool] = False  # whether a .txt file holds examples: paragraphs, documents or lines
    reads_aligned_files: ClassVar[bool] = False  # examples (source, target) may be in two files of aligned lines
    form_keys: ClassVar[tuple[str, ...]] = ()  # other keys than FORM that the examples depend on
    later_keys: ClassVar[tuple[str, ...]] = ()  # keys that the first studies did not have

    files: Files | None = Field(
        None,
        description="the set's files; `files: a.csv` is short for `files: {train: a.csv}`",
        examples=[{"train": "train.csv", "valid": "valid.csv"}],
    )
    dataset: str | None = Field(
        None,
        description=(
            "instead of files: `python:module:function`, a file, a local folder or a hub name of the `datasets` "
            "library (`source` is a synonym, unless it names a column)"
        ),
        examples=["python:my_data:reviews"],
    )
    split: Split = Field(
        Split(),
        description="shares of the training examples for splits without a file",
        examples=[{"valid": 0.05, "test": 0.05}],
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=1000,
        description=(
            "passes over the set in an epoch (2: each example twice; 0.5: half of its batches, the other half in "
            "the next epoch), and its weight in the metrics over all sets"
        ),
        examples=[0.5],
    )
    normalise: Literal["nfc"] | None = Field(
        None,
        description="`nfc`: converts texts and labels to Unicode's composed form (keeps invisible characters)",
        examples=["nfc"],
    )

    # The form of the files; defaults are detected from the files.
    encoding: str | None = Field(
        None,
        description=(
            "of text files; if left out UTF-8, or UTF-16 where a byte order mark or the bytes show it. Other "
            "encodings must be named"
        ),
        examples=["cp1252"],
    )
    columns: list[str] | None = Field(
        None,
        min_length=1,
        description=(
            "the names of the columns, for csv and tsv files without a header; if left out, the first row has them"
        ),
        examples=[["label", "text"]],
    )
    delimiter: Annotated[str, StringConstraints(strip_whitespace=False)] | None = Field(
        None,
        description=(
            "one character between columns; if left out `,` of csv, tab of tsv. With it, a file with any other "
            "ending is also a table"
        ),
        examples=[";"],
    )
    quoting: Literal["auto", "csv", "none"] = Field(
        "auto",
        description=(
            "`csv`: quoted fields, which may span lines; `none`: quotes are ordinary characters; `auto`: a csv is "
            "quoted, a tsv if the whole file is"
        ),
    )
    skip_bad_rows: bool = Field(
        False,
        description="skips and counts rows that cannot be read, up to half of all rows",
        examples=[True],
    )
    config: str | None = Field(
        None,
        description="`dataset`: its configuration in the `datasets` library",
        examples=["mnli"],
    )
    splits: SplitNames | None = Field(
        None,
        description="`dataset`: the names of its splits in the `datasets` library",
        examples=[{"train": "train", "valid": "validation_matched"}],
    )

    @model_validator(mode="before")
    @classmethod
    def _source_names_an_origin(cls, raw: Any) -> Any:
        """Reads `source: "python:..."` as `dataset` (`source` may also be a column of the task)."""
        if isinstance(raw, dict) and "source" in raw and "dataset" not in raw:
            source = raw["source"]
            if "source" not in cls.model_fields or str(source).startswith("python:"):
                return {**{key: value for key, value in raw.items() if key != "source"}, "dataset": source}
        return raw

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        try:
            if name is None or codecs.lookup(name)._is_text_encoding:
                return name
        except (LookupError, ValueError):
            pass
        raise ValueError(
            f"{name!r} is not an encoding that Python knows (utf-8, utf-16, cp1252, latin-1, gb18030, ...)"
        )

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, text: str | None) -> str | None:
        text = {"\\t": "\t", "tab": "\t"}.get(text or "", text)
        if text is not None and (len(text) != 1 or text in '"\r\n\0'):
            raise ValueError(f"must be one character, as ';' or \"\\t\", not {text!r}")
        return text

    @model_validator(mode="after")
    def _one_origin(self) -> DataSet:
        if (self.files is None) == (self.dataset is None):
            aligned = f"; two files of aligned lines are {ALIGNED}" if self.reads_aligned_files else ""
            raise ValueError(f"give either files or dataset (one of the two){aligned}")
        if self.dataset is None and (self.config is not None or self.splits is not None):
            raise ValueError("config and splits belong to a dataset of the datasets library, not to files")
        if (self.dataset or "").startswith("python:"):
            fields = type(self).model_fields
            told = [
                key for key in (*FORM, *self.form_keys) if key in fields and getattr(self, key) != fields[key].default
            ]
            if told:
                raise ValueError(f"{told[0]} is about files; it does not apply to a data function")
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out later keys at their defaults, so that older studies keep their identity."""
        fields, later = type(self).model_fields, (*LATER, *self.form_keys, *self.later_keys)
        return {key: value for key, value in handler(self).items() if key not in later or value != fields[key].default}

    @classmethod
    def named(cls, task: str) -> type[Self]:
        """This section as a subclass whose `task` is the given name."""
        literal: Any = Literal[task]
        return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, task=(literal, ...))

    @property
    def task_name(self) -> str:
        """The value of `task`."""
        return str(self.task)  # type: ignore[attr-defined]  # each task's section declares it

    def example_columns(self) -> dict[str, Column]:
        """{key of an example: column, or columns to join}; the model reads the first key."""
        raise NotImplementedError

    @property
    def lines_are_examples(self) -> bool:
        """Whether each line of a .txt file is an example."""
        return False


LATER = (*FORM, "normalise", "weight")  # keys of every set that the first studies did not have
