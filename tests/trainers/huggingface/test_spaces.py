"""Space files of pretrained models: what chooses the trainer, ranges, and mistakes in one line."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ConfigError, UserError
from hpsearch.final import provenance
from hpsearch.final.provenance import _values, edits
from hpsearch.home.home import base_of
from hpsearch.home.identity import RULES, data_changes
from hpsearch.journal.history import History
from hpsearch.journal.origin import Origin
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.huggingface import evaluation_costs, trainer
from hpsearch.trainers.huggingface.config import FineTuneConfig, PretrainedConfig
from hpsearch.trainers.huggingface.corpus import contents_of
from hpsearch.trainers.huggingface.vocabulary import PretrainedVocabulary
from tests.trainers.huggingface import architectures, tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.filled(tmp_path_factory.mktemp("base"), n_labelled=60, n_texts=20)


def space(base: Path, model: dict[str, Any], **sections: Any) -> Experiment:
    value = {
        "model": {"context": 32, **model},
        "data": {"reviews": {"task": "classification", "files": "labelled.jsonl"}},
        "budget": {"trials": 3},
        **sections,
    }
    return Experiment.of(value, base=base, study="tuned")


def _check(base: Path, model: dict[str, Any], sections: dict[str, Any]) -> None:
    experiment = space(base, model, **sections)
    experiment.trainer.check(experiment.space_file)


def refused(base: Path, model: dict[str, Any], **sections: Any) -> str:
    with pytest.raises(UserError) as caught:
        _check(base, model, sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pretrained_model_chooses_the_trainer(base) -> None:
    assert space(base, {"pretrained": "encoder"}).trainer.name == "huggingface"
    assert space(base, {"pretrained": {"choices": ["encoder", "decoder"]}}).trainer.name == "huggingface"
    either = {"choices": [{"pretrained": "encoder"}, {"pretrained": "decoder"}]}
    assert space(base, either).trainer.name == "huggingface"
    assert space(base, {"n_layers": 2}).trainer.name == "causal_lm"


def test_a_space_is_loaded_again_from_what_the_study_records(base) -> None:
    experiment = space(base, {"pretrained": "encoder", "tuning": "lora", "lora_rank": {"low": 2, "high": 8}})
    again = Experiment.of(experiment.normalised(), base=base)
    assert again.identity() == experiment.identity()
    assert again.trainer.name == "huggingface"


def test_ranges_of_each_tuning_are_searched_where_it_is_chosen(base) -> None:
    tunings = ["full", {"tuning": "lora", "lora_rank": {"low": 2, "high": 8}}, {"tuning": "last_layers"}]
    found = space(base, {"pretrained": "encoder", "tuning": {"choices": tunings}}, config={"hidden_dropout_prob": 0.1})
    seen = {tuple(sorted(found.space.draw(seed))) for seed in range(20)}
    assert seen == {("tuning",), ("lora_rank", "tuning")}


@pytest.mark.parametrize(
    ("tuning", "rate", "words"), [("full", 2e-5, "1810.04805"), ("lora", 2e-4, "LoRA Without Regret")]
)
def test_the_default_config_has_the_rate_of_its_tuning(base, tuning, rate, words) -> None:
    rates = {"low": 1e-6, "high": 1e-2, "log": True}
    found = space(base, {"pretrained": "encoder", "tuning": tuning}, training={"learning_rate": rates}).default({})
    assert found.internal["learning_rate"] == pytest.approx(rate)
    assert words in found.rules["learning_rate"].source
    config = space(base, {"pretrained": "encoder", "tuning": tuning}).train_config()
    assert isinstance(config, FineTuneConfig)
    assert config.resolved().training.learning_rate == rate


def test_values_without_an_effect_make_no_other_training(base) -> None:
    key = space(base, {"pretrained": "encoder"}).trainer.dedup_key
    full = [{"model": {"pretrained": "encoder", "lora_rank": rank}} for rank in (4, 8)]
    assert key(full[0]) == key(full[1])
    lora = [{"model": {**one["model"], "tuning": "lora"}} for one in full]
    assert key(lora[0]) != key(lora[1])


def test_mistakes_are_said_in_one_line(base) -> None:
    assert "model.tokenizer" in refused(base, {"pretrained": "encoder"}, tokenizer={"kind": "bytes"})
    assert "give either pretrained" in refused(base, {"pretrained": "encoder", "architecture": "bert"})
    assert "give tokenizer" in refused(base, {"architecture": "gpt2"})
    assert "no such folder" in refused(base, {"pretrained": "./missing"})
    assert "model.pretrained: string should have at least 1 character" in refused(base, {"pretrained": ""})
    assert "model.pretraind: unknown key; did you mean 'pretrained'?" in refused(base, {"pretraind": "encoder"})
    said = refused(base, {"pretrained": "encoder"}, training={"cuda_graph": True})
    assert "cuda_graph is for hpsearch's own models: leave it out" in said
    said = refused(base, {"architecture": "gtp2", "tokenizer": "decoder"})
    assert "model.architecture: transformers has no 'gtp2'; did you mean" in said
    assert "gpt2" in said
    said = refused(base, {"pretrained": "encoder"}, config={"hidden_dropout": 0.1})
    assert "did you mean 'hidden_dropout_prob'" in said
    assert "at most 64 tokens" in refused(base, {"pretrained": "encoder", "context": 128})
    assert "model.last_layers: 3, but encoder has 2 layers" in refused(
        base, {"pretrained": "encoder", "tuning": "last_layers", "last_layers": {"low": 1, "high": 3}}
    )
    assert "no range" in refused(base, {"pretrained": "decoder", "prefix": {"choices": ["a", "b"]}})


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        (
            ["model: {pretrained: encoder}", "config: {hidden_dropout: 0.1}"],
            "3:26",
            "config.hidden_dropout: encoder has",
        ),
        (
            ["model:", "  pretrained: encoder", "  context: 4096"],
            "4:12",
            "model.context: 4096, but encoder reads at most",
        ),
        (
            [
                "model:",
                "  pretrained: encoder",
                "  context: 32",
                "  tuning: last_layers",
                "  last_layers: {low: 1, high: 3}",
            ],
            "6:16",
            "model.last_layers: 3, but encoder has 2 layers",
        ),
        (["model: {pretrained: vit}"], "2:21", "vit: "),
        (
            [
                "model: {context: 32, pretrained: {choices: [decoder, encoder-decoder]}}",
                "objective:",
                "  metric: val/loss",
            ],
            "4:11",
            "val/loss cannot be compared",
        ),
    ],
)
def test_a_mistake_is_placed_at_its_own_value(base, lines, place, said) -> None:
    data = "data: {reviews: {task: classification, files: labelled.jsonl}}"
    (base / "space.yaml").write_text("\n".join([data, *lines, "budget: {trials: 3}\n"]))
    experiment = Experiment.load(base / "space.yaml")
    with pytest.raises(ConfigError) as caught:
        experiment.trainer.check(experiment.space_file)
    assert f"space.yaml:{place}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_set_that_the_model_cannot_learn_is_placed_at_the_set(base) -> None:
    text = "data:\n  text: {task: text, files: text.jsonl}\nmodel: {pretrained: encoder}\nbudget: {trials: 3}\n"
    (base / "text.yaml").write_text(text)
    experiment = Experiment.load(base / "text.yaml")
    with pytest.raises(ConfigError, match=r"text\.yaml:2:9: data\.text: encoder is an encoder, which learns no text"):
        experiment.trainer.check(experiment.space_file)


def test_a_folder_that_is_no_checkpoint_is_called_that(base, tmp_path) -> None:
    for name, files, said in [
        ("empty", [], "has no config.json and no weights; allowed: a folder that"),
        ("adapter", ["adapter_config.json", "adapter_model.safetensors"], "an adapter without its model; merge both"),
        ("old", ["config.json", "pytorch_model.bin"], "there is pytorch_model.bin; save it again with save_pretrained"),
    ]:
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
        assert said in refused(base, {"pretrained": str(tmp_path / name)})


def test_evaluations_that_cost_more_than_the_training_are_said_by_counts(base) -> None:
    """20 evaluations of 558 rows against 1,499 rows that are trained once: 20 * 558 / 3 / 1499 = 2.48 times."""
    sets = {"reviews": {"train": {"tokens": 1499 * 20}, "valid": {"tokens": 558 * 20}}}
    twenty = space(base, {"pretrained": "encoder"}, training={"epochs": 1}, evaluation={"times": 20})
    [said] = evaluation_costs.doubts(twenty.space_file, sets)
    assert said.startswith("evaluation.times: evaluations take about 2.5 times as long as the training (20 evaluations")
    assert said.endswith("take times: 4")  # 0.5 * 1499 / (558 / 3) = 4.03
    for section in ({"training": {"epochs": 1}, "evaluation": {"times": 4}}, {"training": {"epochs": 3}}):
        found = [*evaluation_costs.doubts(space(base, {"pretrained": "encoder"}, **section).space_file, sets)]
        assert found == []


def test_mistakes_of_an_architecture_are_said_in_one_line(base) -> None:
    gpt2 = {"architecture": "gpt2", "tokenizer": "decoder"}
    assert "an architecture has no weights to keep: tuning must be full" in refused(base, {**gpt2, "tuning": "lora"})
    assert "config: gpt2 refuses these values" in refused(base, gpt2, config={"n_embd": "many"})
    vit = {"architecture": "vit", "tokenizer": "decoder"}
    assert "a model of type 'vit' is no language model; allowed: encoders, decoders" in refused(base, vit)


def test_a_package_that_is_missing_is_named(base, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "PACKAGES", ("transformers", "no_such_package"))
    said = refused(base, {"pretrained": "encoder"})
    assert said == "trainer huggingface: no_such_package is not installed; install hpsearch[hf]"


def test_targets_of_lora_that_no_layer_has_are_refused_with_those_there_are(base, tmp_path) -> None:
    data = {"reviews": {"task": "classification", "files": {"train": "labelled.jsonl"}}}
    config = tiny.config({"pretrained": "encoder", "tuning": "lora", "lora_targets": "q_proj"}, data)
    with pytest.raises(
        UserError, match=r"model\.lora_targets: q_proj: not in encoder; allowed: all-linear, or some of "
    ):
        next(iter(trainer.HuggingFace().train(config, tiny.handle(base, tmp_path))))


def test_a_data_set_that_the_kind_of_model_cannot_learn_is_refused(base) -> None:
    text = {"text": {"task": "text", "files": "text.jsonl"}}
    assert "an encoder, which learns no text; allowed: classification" in refused(
        base, {"pretrained": "encoder"}, data=text
    )
    assert "an encoder-decoder, which learns no text" in refused(base, {"pretrained": "encoder-decoder"}, data=text)
    one = {"task": "classification", "files": "labelled.jsonl"}
    assert "learns one data set" in refused(base, {"pretrained": "encoder"}, data={"a": one, "b": one})


def test_weights_that_are_no_safetensors_are_refused(base, tmp_path) -> None:
    tiny.checkpoint("encoder", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    assert "safetensors" in refused(base, {"pretrained": str(tmp_path / "model")})


def test_a_tokenizer_that_cannot_be_read_is_named(base, tmp_path) -> None:
    """Marian's own tokenizer needs sentencepiece, which hpsearch does not bring."""
    folder = tmp_path / "marian"
    architectures.made("marian", folder)
    for path in folder.glob("token*"):
        path.unlink()
    model = PretrainedConfig(pretrained=str(folder))
    with pytest.raises(UserError, match="cannot be read: it has no tokenizer; allowed: its files in the same folder"):
        PretrainedVocabulary.of(model, "encoder-decoder", base)
    if find_spec("sentencepiece") is None:
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "MarianTokenizer"}')
        (folder / "vocab.json").write_text("{}")
        for name in ("source.spm", "target.spm"):
            (folder / name).write_bytes(b"")
        with pytest.raises(UserError, match="a package that is not installed: pip install sentencepiece"):
            PretrainedVocabulary.of(model, "encoder-decoder", base)


def test_the_data_are_encoded_for_each_checkpoint_that_is_a_choice(base, tmp_path) -> None:
    names = ["decoder", "encoder-decoder"]
    experiment = space(base, {"pretrained": {"choices": names}}, objective={"metric": "val/f1_macro"})
    facts, said = list[Any](), list[str]()
    found = experiment.trainer.prepare(
        experiment.space_file,
        cache=tmp_path,
        progress=lambda what, share: said.append(what),
        known=facts.append,
        fresh=False,
    )
    assert [one["fingerprint"] for one in facts] == [found.fingerprint]
    assert "learning the tokenizer" not in said  # a checkpoint brings its own
    assert said.count("loading the tokenizer") == 2
    configs = [experiment.config(experiment.space.internal({"pretrained": name})) for name in names]
    folders = [found.folders[config.corpus_digest()] for config in configs if isinstance(config, FineTuneConfig)]
    assert len(set(folders)) == 2
    assert all((folder / "tokenizer" / "tokenizer.json").exists() for folder in folders)


def test_a_fine_tuning_has_ten_evaluations_and_a_model_of_our_own_twenty(base) -> None:
    assert space(base, {"pretrained": "encoder"}).evaluations == 10
    assert space(base, {"n_layers": 2}).evaluations == 20


def test_other_weights_in_the_same_folder_have_another_fingerprint(base, tmp_path) -> None:
    prints = []
    for seed in (0, 1):
        tiny.checkpoint("encoder", tmp_path / "model", seed=seed)
        config = space(base, {"pretrained": str(tmp_path / "model")}).train_config()
        assert isinstance(config, FineTuneConfig)
        prints.append(contents_of(config, base).fingerprint)
    assert prints[0] != prints[1]


def _facts(experiment: Experiment, base: Path) -> dict[str, Any]:
    config = experiment.train_config()
    assert isinstance(config, FineTuneConfig)
    found = contents_of(config, base)
    return {"fingerprint": found.fingerprint, "contents": found.sets, "models": found.models}


def test_a_checkpoint_that_moved_is_that_of_the_same_study_and_other_weights_are_named(base, tmp_path) -> None:
    """By its identity, its data, the seal of its checkpoints, and the values of an exported config."""
    shutil.copytree(base / "encoder", tmp_path / "moved")
    here, moved = (space(base, {"pretrained": name}) for name in ("encoder", str(tmp_path / "moved")))
    assert moved.identity() == here.identity()
    assert moved.train_config().digest() == here.train_config().digest()
    before = _facts(here, base)
    assert _facts(moved, base) == before
    assert edits({"config": _values(here.train_config())}, moved.train_config()) == []
    recorded = here.train_config().model_dump(mode="json")  # as the journal has it of a trial
    assert moved.placed(recorded) == moved.train_config().model_dump(mode="json")

    tiny.checkpoint("encoder", tmp_path / "moved", seed=1)
    now = _facts(moved, base)
    [(keys, old, new)] = data_changes(before, now)
    assert (keys, old == new) == (("model", "pretrained"), False)
    known = {"data_contents": before["contents"], "models": before["models"], "rules": RULES}
    assert provenance.data_changes(known, now) == [(keys, old, new)]


def test_checkpoints_that_are_choices_keep_their_names_in_the_identity(base) -> None:
    both = {"pretrained": {"choices": ["encoder", "decoder"]}}
    assert space(base, both).identity() != space(base, {"pretrained": {"choices": ["decoder", "encoder"]}}).identity()
    recorded = space(base, {"pretrained": "decoder"}).train_config().model_dump(mode="json")
    assert space(base, both).placed(recorded) == recorded


def test_a_local_checkpoint_is_not_brought_to_nodes_without_a_shared_folder(base) -> None:
    ray = {"launcher": {"name": "ray", "storage": "s3://bucket/folder"}}
    with pytest.raises(
        ConfigError, match="the checkpoint encoder is a local folder, and only data that the driver has"
    ):
        space(base, {"pretrained": "encoder"}, resources=ray)


def test_a_study_that_was_moved_finds_its_checkpoint(base, tmp_path) -> None:
    """In a copy of the project, also where the checkpoint stayed; a name on the hub says nothing of the place."""
    for name in ("old", "new"):
        (tmp_path / name / "mlruns").mkdir(parents=True)
        shutil.copy(base / "labelled.jsonl", tmp_path / name)
    names = ["me/on-the-hub", "./encoder", {"pretrained": "encoder", "tuning": "lora"}]
    (tmp_path / "old" / "encoder").mkdir()
    origin = Origin(
        study="tuned",
        base=str(tmp_path / "old"),
        folder=str(tmp_path / "old" / "mlruns" / "tuned"),
        experiment=space(base, {"pretrained": {"choices": names}}).normalised(),
    )
    here = tmp_path / "new" / "mlruns" / "tuned"
    assert base_of(History(origin=origin), here) == tmp_path / "old"
    (tmp_path / "new" / "encoder").mkdir()
    assert base_of(History(origin=origin), here) == tmp_path / "new"


def test_losses_are_not_compared_between_vocabularies(base) -> None:
    both = {"pretrained": {"choices": ["decoder", "encoder-decoder"]}}
    assert "use val/bits_per_byte" in refused(base, both)
    found = space(base, both, objective={"metric": "val/f1_macro"})
    found.trainer.check(found.space_file)


def test_code_of_a_checkpoint_runs_only_if_the_file_trusts_it(base, tmp_path) -> None:
    folder = tmp_path / "own_code"
    tiny.checkpoint("decoder", folder)
    config = (folder / "config.json").read_text().replace('"model_type": "gpt2"', '"model_type": "mine"')
    own = '"auto_map": {"AutoConfig": "mine.MyConfig", "AutoModelForCausalLM": "mine.MyModel"},'
    (folder / "config.json").write_text("{" + own + config.lstrip()[1:])
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    assert "trust_remote_code: true" in refused(base, {"pretrained": str(folder)})
    assert not (tmp_path / "ran").exists()


def test_the_spaces_of_the_documentation_are_valid() -> None:
    text = (Path(__file__).parents[3] / "docs" / "pretrained.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    whole = blocks[0]
    assert len(blocks) == 4
    for block in blocks:
        rest = whole[whole.index("training:") :] if block != whole else ""
        assert Experiment.loads(block + rest).trainer.name == "huggingface"


def test_a_missing_place_names_the_file() -> None:
    with pytest.raises(ConfigError, match=r"space\.yaml:1:21"):
        Experiment.loads("model: {pretrained: a, architecture: b}\ndata: {a: {task: text, files: a.txt}}\n")
