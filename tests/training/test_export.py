"""An export as others read it: transformers computes our logits from the folder."""

import json
from pathlib import Path

import pytest
import torch

from hpsearch.errors import UserError
from hpsearch.training.config import ModelConfig
from hpsearch.training.evaluation import Evaluator
from hpsearch.training.export import load_pretrained, save_pretrained
from hpsearch.training.generate import generate
from hpsearch.training.model import Llama
from tests.training import tiny

SHAPE = {"n_layers": 2, "width": 32, "n_heads": 4, "context": 32}
CONFIGS = {
    "tied": ModelConfig(**SHAPE),
    "untied": ModelConfig(**SHAPE, tied_embeddings=False),
    "grouped": ModelConfig(**SHAPE, n_kv_heads=2),
    "one key-value head": ModelConfig(**SHAPE, n_kv_heads=1, tied_embeddings=False),
    "mlp width": ModelConfig(**SHAPE, mlp_width=52),
    "rope theta": ModelConfig(**SHAPE, rope_theta=500.0, dropout=0.3),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


class FakeTokenizer:
    """A tokenizer of one file."""

    eos_id = 3

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")


class NamelessTokenizer:
    """A tokenizer that can only be saved."""

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")


def build(config: ModelConfig) -> Llama:
    torch.manual_seed(0)
    model = Llama(config, vocab_size=71)
    with torch.no_grad():  # far from the initial values, norms too, so that nothing can be swapped unseen
        for weight in model.parameters():
            weight.normal_(0.0, 0.2) if weight.ndim == 2 else weight.uniform_(0.5, 1.5)
    return model.eval()


def tokens() -> torch.Tensor:
    return torch.randint(71, (3, 32), generator=torch.Generator().manual_seed(1))


def transformers_model(folder: Path) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    model, report = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    return model.eval()


@every_config
@torch.no_grad()
def test_transformers_computes_our_logits(config, tmp_path):
    model = build(config)
    save_pretrained(model, FakeTokenizer(), tmp_path)
    theirs = transformers_model(tmp_path)(tokens()).logits
    assert theirs.shape == (3, 32, 71)
    assert theirs.std() > 0.5
    assert (theirs - model(tokens())).abs().max() < 1e-4


@every_config
@torch.no_grad()
def test_loading_gives_the_same_model_back(config, tmp_path):
    model = build(config)
    save_pretrained(model, FakeTokenizer(), tmp_path)
    loaded = load_pretrained(tmp_path)
    assert torch.equal(loaded(tokens()), model(tokens()))
    assert loaded.n_params == model.n_params
    assert not loaded.training
    assert loaded.config.n_heads == 4
    assert loaded.config.context == 32


@torch.no_grad()
def test_transformers_decodes_what_we_decode(tmp_path):
    model = build(CONFIGS["grouped"])
    save_pretrained(model, FakeTokenizer(), tmp_path)
    prompt = tokens()[:1, :6]
    theirs = transformers_model(tmp_path).generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False
    )
    ours = generate(model, prompt.tolist(), eos_id=3, max_new_tokens=12)[0]
    assert [token for token in theirs[0, 6:].tolist() if token != 3] == ours


@torch.no_grad()
def test_transformers_has_our_loss_on_a_text_that_spells_special_tokens(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "data").mkdir()
    story = "once there was a hen.\n<|endoftext|>\n a<|sep|>b <|set:text|>"
    for part in ("train", "valid", "test"):
        (tmp_path / "data" / f"{part}.txt").write_text(story)
    config = tiny.tiny({"text": tiny.TEXT}, model={"context": 128})
    corpus = tiny.opened(config, tmp_path)
    model = tiny.model(config, corpus).eval()
    ours = Evaluator(corpus, tiny.rows(config, tmp_path, "valid"), config, sample=None).measure(model)

    save_pretrained(model, corpus.tokenizer, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(story).input_ids]])
    theirs = transformers_model(tmp_path / "model")(ids, labels=ids).loss
    assert ids.shape[1] == 1 + len(story)
    assert float(theirs) == pytest.approx(ours.metrics["loss"], rel=1e-5)


def test_the_folder_holds_config_weights_and_the_tokenizers_files(tmp_path):
    folder = tmp_path / "a" / "new" / "folder"
    save_pretrained(build(CONFIGS["tied"]), FakeTokenizer(), folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}


def test_the_config_names_the_end_token_and_theta_for_old_and_new_readers(tmp_path):
    save_pretrained(build(CONFIGS["rope theta"]), FakeTokenizer(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["eos_token_id"] == 3
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500.0
    assert config["architectures"] == ["LlamaForCausalLM"]


def test_a_tokenizer_need_only_save(tmp_path):
    save_pretrained(build(CONFIGS["tied"]), NamelessTokenizer(), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] is None


def test_tied_weights_are_written_once(tmp_path):
    for name in ("tied", "untied"):
        save_pretrained(build(CONFIGS[name]), FakeTokenizer(), tmp_path / name)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("untied", "tied")]
    assert sizes[0] - sizes[1] == pytest.approx(71 * 32 * 4, abs=200)  # one float32 matrix, give or take its header


def damaged_exports() -> dict[str, tuple[str, bytes | None]]:
    return {
        "no config": ("config.json", None),
        "no weights": ("model.safetensors", None),
        "config cut short": ("config.json", b'{"vocab_size": 7'),
        "config of nothing": ("config.json", b"{}"),
        "config of a list": ("config.json", b"[]"),
        "weights that are not": ("model.safetensors", b"not safetensors at all"),
    }


@pytest.mark.parametrize(("name", "content"), damaged_exports().values(), ids=damaged_exports().keys())
def test_a_damaged_export_is_refused_in_one_line(name, content, tmp_path):
    save_pretrained(build(CONFIGS["tied"]), FakeTokenizer(), tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("vocab_size", 70), ("num_hidden_layers", 3), ("n_heads", None)])
def test_weights_that_do_not_fit_the_config_are_refused(key, value, tmp_path):
    save_pretrained(build(CONFIGS["tied"]), FakeTokenizer(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    changed = {**config, key: value} if value else {**config, "num_attention_heads": 5}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    with pytest.raises(UserError) as caught:
        load_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
