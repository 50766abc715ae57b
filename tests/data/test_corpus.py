"""The corpus: the meaning of its tokens, that it is prepared once, and that an unfinished one is never read."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.config import Split, TokenizerConfig
from hpsearch.data.corpus import Contents, Corpus, PairTokens, TextTokens
from hpsearch.data.splits import Splits
from hpsearch.data.summary import summary
from hpsearch.data.tokenizer import EOS, SEP
from hpsearch.errors import DataError
from hpsearch.training.config import TrainConfig

PAIRS = [("good day", "bonjour"), ("thank you", "merci à toi"), ("the end", "fin")]
MAILS = [("buy now", "spam"), ("see you", "ham"), ("win big", "spam")]


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """A set of each task, with bytes as tokens: ids that can be written down."""
    (tmp_path / "prose.txt").write_text("déjà\nvu")
    (tmp_path / "pairs.tsv").write_text("en\tfr\n" + "".join(f"{s}\t{t}\n" for s, t in PAIRS))
    (tmp_path / "mails.tsv").write_text("text\tlabel\n" + "".join(f"{t}\t{label}\n" for t, label in MAILS))
    every: Any = {"split": {"test": 0}}
    data = {
        "prose": {"task": "text", "files": {"train": ["prose.txt", "prose.txt"], "valid": "prose.txt"}},
        "pairs": {"task": "translation", "files": both("pairs.tsv"), "source": "en", "target": "fr", **every},
        "mails": {"task": "classification", "files": both("mails.tsv"), **every},
    }
    return TrainConfig.model_validate({"data": data, "tokenizer": {"kind": "bytes"}})


def both(name: str) -> dict[str, str]:
    return {"train": name, "valid": name}


def opened(config: TrainConfig, folder: Path) -> Corpus:
    return Corpus.open(config.data, config.tokenizer, cache=folder / "cache" / "corpus", base=folder)


# --------------------------------------------------------------------------------------------------------------- tokens


def test_a_text_split_is_documents_each_after_an_eos(config: TrainConfig, tmp_path: Path) -> None:
    split = opened(config, tmp_path).sets["prose"].splits["train"]
    assert isinstance(split, TextTokens)
    document = [256, *"déjà\nvu".encode()]
    assert split.tokens.tolist() == document * 2
    assert split.tokens.dtype == np.int32
    assert split.n_bytes == 2 * 9  # two letters of two bytes, five of one


def test_pairs_are_task_source_sep_target_eos(config: TrainConfig, tmp_path: Path) -> None:
    corpus = opened(config, tmp_path)
    split = corpus.sets["pairs"].splits["train"]
    assert isinstance(split, PairTokens)
    # after 256 bytes: eos, sep, tasks by name (mails, pairs), labels by name (ham, spam)
    assert [corpus.tokenizer.id(s) for s in (EOS, SEP, "<|set:mails|>", "<|set:pairs|>", "<|mails=ham|>")] == [
        256, 257, 258, 259, 260,
    ]  # fmt: skip
    for i, (source, target) in enumerate(PAIRS):
        example = split.tokens[split.starts[i] : split.starts[i + 1]].tolist()
        assert example == [259, *source.encode(), 257, *target.encode(), 256]
        assert split.prompt_lengths[i] == len(source) + 2
        assert split.target_bytes[i] == len(target.encode())
    assert (list(split.sources), list(split.references)) == ([s for s, _ in PAIRS], [t for _, t in PAIRS])
    assert split.references[-1] == "fin" == split.references[1:][1]
    assert split.labels is None
    assert len(split) == 3


def test_labelled_texts_end_in_the_token_of_their_label(config: TrainConfig, tmp_path: Path) -> None:
    mails = opened(config, tmp_path).sets["mails"]
    split = mails.splits["valid"]
    assert isinstance(split, PairTokens)
    assert (mails.label_names, mails.label_ids) == (["ham", "spam"], [260, 261])
    assert split.labels is not None
    assert split.labels.tolist() == [1, 0, 1]
    assert split.tokens[split.starts[1] : split.starts[2]].tolist() == [258, *b"see you", 257, 260]
    assert list(split.references) == ["spam", "ham", "spam"]
    assert "test" not in mails.splits


def test_counts_and_warnings_are_those_of_the_splits(config: TrainConfig, tmp_path: Path) -> None:
    corpus = opened(config, tmp_path)
    assert corpus.counts["prose"] == {"train": {"examples": 2, "tokens": 20}, "valid": {"examples": 1, "tokens": 10}}
    assert corpus.counts["mails"]["train"] == {"examples": 3, "tokens": 3 * (7 + 3)}
    assert "data.mails: 3 of 3 valid examples are also in train" in corpus.warnings
    assert "test" not in corpus.counts["prose"]


def test_what_was_read_is_said_of_a_cached_corpus_too(config: TrainConfig, tmp_path: Path) -> None:
    rows = "".join(f"mail {i}\t{'spam' if i % 4 else 'ham'}\n" for i in range(40))
    (tmp_path / "mails.tsv").write_text("text\tlabel\n" + rows)
    (tmp_path / "unlabelled.tsv").write_text("text\na mail\n")
    mails = {"task": "classification", "files": {"train": "mails.tsv"}, "split": {"valid": 0.2}}
    given = {**mails, "files": {**both("mails.tsv"), "test": "unlabelled.tsv"}}
    raw = {**config.model_dump(exclude_unset=True)["data"], "mails": mails, "given": given}
    wanted = TrainConfig.model_validate({"data": raw, "tokenizer": {"kind": "bytes"}})
    for _ in range(2):
        corpus = opened(wanted, tmp_path)
        assert corpus.summary == [
            "data.prose: 2 train, 1 valid examples (no test)",
            "data.pairs: 3 train, 3 valid examples (no test)",
            "data.mails: 28 train, 8 valid, 4 test examples (valid 0.2 and test 0.1 cut from train by label, seed 0); "
            "2 labels: spam 21, ham 7",
            "data.given: 40 train, 40 valid examples (no test: it has no labels); 2 labels: spam 30, ham 10",
        ]
        assert corpus.untested == ["data.given: the test split has no labels: the model is not tested on it"]
        assert "test" not in corpus.sets["given"].splits


def test_many_labels_are_named_as_far_as_a_line_goes() -> None:
    rows = [{"text": f"text {i}", "label": f"{'long ' * 20}{i % 30}"} for i in range(60)]
    said = summary("s", Splits([{"text": "a", "label": "x"}] * 5 + rows, rows, rows), Split())
    assert said.startswith("data.s: 65 train, 60 valid, 60 test examples; 31 labels: x 5, long long ")
    assert said.endswith(" more")
    assert len(said) < 200


def test_normalise_makes_one_label_and_one_text_of_two_forms(config: TrainConfig, tmp_path: Path) -> None:
    rows = [("cafe\u0301", "the\u0301"), ("caf\u00e9!", "th\u00e9"), ("b", "x")]
    (tmp_path / "mails.tsv").write_text("text\tlabel\n" + "".join(f"{t}\t{label}\n" for t, label in rows))
    (tmp_path / "prose.txt").write_text("de\u0301ja\u0300")
    plain = opened(config, tmp_path)
    assert plain.sets["mails"].label_names == ["the\u0301", "th\u00e9", "x"]
    one = {"normalise": "nfc"}
    data = {name: {**raw, **one} for name, raw in config.model_dump(exclude_unset=True)["data"].items()}
    composed = opened(TrainConfig.model_validate({"data": data, "tokenizer": {"kind": "bytes"}}), tmp_path)
    assert composed.sets["mails"].label_names == ["th\u00e9", "x"]
    mails, prose = composed.sets["mails"].splits["train"], composed.sets["prose"].splits["train"]
    assert isinstance(mails, PairTokens)
    assert isinstance(prose, TextTokens)
    assert list(mails.sources) == ["caf\u00e9", "caf\u00e9!", "b"]
    assert prose.tokens.tolist() == [256, *"d\u00e9j\u00e0".encode()] * 2
    assert composed.fingerprint != plain.fingerprint


def test_the_tokenizer_is_learnt_from_the_train_split_alone(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("abab " * 50)
    (tmp_path / "valid.txt").write_text("xyxy " * 5000)
    files = {"train": "train.txt", "valid": "valid.txt"}
    data = {"prose": {"task": "text", "files": files}}
    corpus = opened(TrainConfig.model_validate({"data": data, "tokenizer": {"vocab_size": 262}}), tmp_path)
    encode = corpus.tokenizer.encode
    assert len(encode(["abab"])[0]) < 4 == len(encode(["xyxy"])[0])


# ---------------------------------------------------------------------------------------------------------------- cache


def test_the_second_opening_maps_what_the_first_prepared(config: TrainConfig, tmp_path: Path) -> None:
    first = opened(config, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    second = opened(config, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in second.folder.rglob("*")} == before
    assert second.fingerprint == first.fingerprint
    assert isinstance(second.sets["prose"].splits["train"].tokens, np.memmap)
    again = Corpus.map(first.folder)
    assert again.counts == first.counts
    assert again.tokenizer.encode(["a"]) == first.tokenizer.encode(["a"])


def test_a_cached_corpus_is_opened_without_the_datasets_library_and_for_its_owner_alone(
    config: TrainConfig, tmp_path: Path
) -> None:
    folder = opened(config, tmp_path).folder
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent, *folder.glob("*/"))} <= {0o700}
    (tmp_path / "config.json").write_text(config.model_dump_json())
    script = (
        "import sys; from pathlib import Path; from hpsearch.training.config import TrainConfig\n"
        "from hpsearch.data.corpus import Corpus\n"
        "config = TrainConfig.model_validate_json(Path('config.json').read_text())\n"
        "Corpus.open(config.data, config.tokenizer, cache=Path('cache/corpus'), base=Path('.'))\n"
        "print(sorted({'datasets', 'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def test_changed_data_or_tokenizer_is_another_corpus_and_training_values_are_not(
    config: TrainConfig, tmp_path: Path
) -> None:
    first = opened(config, tmp_path)
    tuned = config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": 1.0})})
    assert opened(tuned, tmp_path).folder == first.folder
    turned = config.model_copy(update={"data": dict(reversed(config.data.items()))})
    assert list(opened(turned, tmp_path).sets) == list(first.sets) == ["mails", "pairs", "prose"]
    bpe = config.model_copy(update={"tokenizer": config.tokenizer.model_copy(update={"kind": "bpe"})})
    (tmp_path / "prose.txt").write_text("jamais vu")
    assert len({opened(one, tmp_path).folder for one in (config, bpe)} | {first.folder}) == 3


def test_a_damaged_corpus_is_prepared_again(config: TrainConfig, tmp_path: Path) -> None:
    first = opened(config, tmp_path)
    expected = first.sets["pairs"].splits["train"].tokens.tolist()
    cut = first.folder / "1" / "train-tokens.npy"
    os.truncate(cut, cut.stat().st_size - 4)
    assert opened(config, tmp_path).sets["pairs"].splits["train"].tokens.tolist() == expected
    (first.folder / "sizes.json").unlink()
    assert opened(config, tmp_path).sets["pairs"].splits["train"].tokens.tolist() == expected


def test_nothing_is_left_of_a_preparation_that_failed_or_was_killed(config: TrainConfig, tmp_path: Path) -> None:
    folder = opened(config, tmp_path).folder
    (folder / "sizes.json").unlink()
    left = folder.parent / f".new-{folder.name}-killed"
    left.mkdir()
    opened(config, tmp_path)
    (tmp_path / "pairs.tsv").write_text("en\tfr\nonly one field\n")
    with pytest.raises(DataError, match=r"pairs\.tsv:2: 1 fields"):
        opened(config, tmp_path)
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


def _open_and_count(config: str, folder: str, answers: Any) -> None:
    prepared = []
    wanted = TrainConfig.model_validate_json(config)
    corpus = Corpus.open(
        wanted.data,
        wanted.tokenizer,
        cache=Path(folder, "cache"),
        base=Path(folder),
        progress=lambda what, share: prepared.append(what),
    )
    answers.put((prepared.count("data ready"), corpus.fingerprint, len(corpus.sets)))


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        (TokenizerConfig(kind="bpe", vocab_size=300), "learning the tokenizer"),
        (TokenizerConfig(kind="bytes"), "loading the tokenizer"),
        (TokenizerConfig(kind="file", file="tokenizer.json"), "loading the tokenizer"),
    ],
    ids=["bpe", "bytes", "file"],
)
def test_it_is_said_whether_a_tokenizer_is_learnt(
    config: TrainConfig, tmp_path: Path, tokenizer: TokenizerConfig, said: str
) -> None:
    seen = list[str]()
    own = opened(config, tmp_path).folder / "tokenizer" / "tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(own.read_bytes())
    Corpus.open(
        config.data, tokenizer, cache=tmp_path / "other", base=tmp_path, progress=lambda what, share: seen.append(what)
    )
    assert [one for one in seen if one.endswith("the tokenizer")] == [said]


def test_processes_that_open_at_once_prepare_once(config: TrainConfig, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    told = (config.model_dump_json(), str(tmp_path), answers)
    processes = [context.Process(target=_open_and_count, args=told) for _ in range(3)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(times for times, _, _ in found) == [0, 0, 1]
    assert len({fingerprint for _, fingerprint, _ in found}) == 1


def test_a_tokenizer_file_is_taken_beside_the_config_and_its_bytes_count(config: TrainConfig, tmp_path: Path) -> None:
    own = opened(config, tmp_path).folder / "tokenizer" / "tokenizer.json"
    (tmp_path / "mine.json").write_bytes(own.read_bytes())
    raw = {**config.model_dump(exclude_unset=True), "tokenizer": {"kind": "file", "file": "mine.json"}}
    corpus = opened(TrainConfig.model_validate(raw), tmp_path)
    assert corpus.sets["pairs"].splits["train"].tokens[:3].tolist() == [259, *b"go"]
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(DataError, match=r"mine\.json: not a tokenizer\.json"):
        opened(TrainConfig.model_validate(raw), tmp_path)


# ------------------------------------------------------------------------------------------------------------- contents


def test_contents_are_known_before_anything_is_prepared(config: TrainConfig, tmp_path: Path) -> None:
    before = Contents.of(config.data, config.tokenizer, base=tmp_path)
    assert not (tmp_path / "cache").exists()
    assert sorted(before.facts["contents"]) == ["mails", "pairs", "prose"]
    corpus = Corpus.open(config.data, config.tokenizer, cache=tmp_path / "cache", base=tmp_path, contents=before)
    assert corpus.fingerprint == before.facts["fingerprint"]
    (tmp_path / "pairs.tsv").write_text("en\tfr\nother\tautre\nsecond\tdeuxième\n")
    after = Contents.of(config.data, config.tokenizer, base=tmp_path)
    assert after.fingerprint != before.fingerprint
    assert {name for name in after.sets if after.sets[name] != before.sets[name]} == {"pairs"}
