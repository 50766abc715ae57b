"""A data set of a config, whatever its task: where its examples are, how they are split, how its files are written."""

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
Truncate = Literal["left", "right", "middle"]  # what a text longer than the context loses
ALIGNED = "files: {train: {source: train.de, target: train.en}}"  # how two files of aligned lines are written
FUNCTION = 'dataset: "python:module:function"'  # how a data function is written
FORM = ("encoding", "columns", "delimiter", "quoting", "skip_bad_rows", "config", "splits")
"""The keys about the form of files: which examples a set has depends on them, by default on the files alone."""

Column = str | Annotated[list[str], Field(min_length=1)]  # a list: their texts, joined by line ends


class Aligned(Section):
    """Two text files in which line i of the one translates line i of the other (or lists of as many of each)."""

    source: Paths
    target: Paths


class Files(Section):
    """One or more files for each split: paths, globs or folders."""

    train: Paths | Aligned
    valid: Paths | Aligned | None = None
    test: Paths | Aligned | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_one_split(cls, raw: Any) -> Any:
        """`files: train.csv` is the training split; the two sides of a pair belong to a split."""
        if isinstance(raw, dict) and any(str(key).startswith(("source", "target")) for key in raw):
            raise ValueError(f"source and target belong to a split: {ALIGNED}")
        return {"train": raw} if isinstance(raw, (str, list)) else raw


class SplitNames(Section):
    """The names that a data set of the `datasets` library has for its splits."""

    train: str
    valid: str | None = None
    test: str | None = None


class Split(Section):
    """Shares of the training examples set apart where no file is given, and the seed that draws them."""

    valid: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    seed: int = 0


class DataSet(Section):
    """Where the examples of one named set come from: `files`, or `dataset` ("python:package.module:function",
    a file, a local folder, or a hub name of the `datasets` library).

    The section of a task adds `task: Literal[NAME]`, its columns and what else it needs to know, and answers the
    questions below, which reading, splitting and encoding ask.
    """

    target_key: ClassVar[str | None] = None  # the example's key that a test may lack; "label": one of a few classes
    has_prompts: ClassVar[bool] = True  # examples are a prompt and a target; False: running text
    reads_text_files: ClassVar[bool] = False  # a .txt file holds examples: paragraphs, documents or lines
    reads_aligned_files: ClassVar[bool] = (
        False  # line i of a file with line i of another is an example (source, target)
    )
    form_keys: ClassVar[tuple[str, ...]] = ()  # its keys beside FORM that the examples depend on
    later_keys: ClassVar[tuple[str, ...]] = ()  # its keys that the first studies did not have

    files: Files | None = None
    dataset: str | None = None
    split: Split = Split()
    weight: float = Field(1.0, gt=0, le=1000)  # passes over the set in an epoch; counts likewise in overall metrics
    normalise: Literal["nfc"] | None = None  # of texts and labels, as they are read

    # How the files are read; what is left out is seen from the files themselves.
    encoding: str | None = None  # of text files; None: UTF-8, or what a byte order mark says
    columns: list[str] | None = Field(None, min_length=1)  # names for csv and tsv files without a header
    delimiter: Annotated[str, StringConstraints(strip_whitespace=False)] | None = None  # None: "," of csv, tab of tsv
    quoting: Literal["auto", "csv", "none"] = "auto"  # auto: csv yes, tsv where the whole file is quoted
    skip_bad_rows: bool = False
    config: str | None = None  # of a data set of the `datasets` library that has several
    splits: SplitNames | None = None

    @model_validator(mode="before")
    @classmethod
    def _source_names_an_origin(cls, raw: Any) -> Any:
        """`source: "python:..."` is another spelling of `dataset` (`source` may also be a column of the task)."""
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
        raise ValueError(f"{name!r} is no encoding that Python knows (utf-8, utf-16, cp1252, latin-1, gb18030, ...)")

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
            raise ValueError("config and splits are those of a dataset: of the datasets library, not of files")
        if (self.dataset or "").startswith("python:"):
            fields = type(self).model_fields
            told = [
                key for key in (*FORM, *self.form_keys) if key in fields and getattr(self, key) != fields[key].default
            ]
            if told:
                raise ValueError(f"{told[0]} is about files; a data function returns its examples as they are meant")
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out later keys at their defaults: a study from before these keys keeps its identity."""
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
        return str(self.task)  # type: ignore[attr-defined]  # each task's section has this field

    def example_columns(self) -> dict[str, Column]:
        """{key of an example: column, or columns to be joined}; the first key is what the model reads."""
        raise NotImplementedError

    @property
    def lines_are_examples(self) -> bool:
        """Whether each line of a .txt file is an example."""
        return False


LATER = (*FORM, "normalise", "weight")  # keys of all sets that the first studies did not have
