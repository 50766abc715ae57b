from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from hpsearch.contract import Command, Evaluation
from hpsearch.trainers.huggingface import HuggingFace
from hpsearch.trainers.huggingface.batches import rows_of
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.parts import FineTuning, parts
from hpsearch.training import loop
from hpsearch.training.batches import BatchOrder
from hpsearch.training.schedule import Schedule
from tests.trainers.huggingface import tiny

LABELLED = {"reviews": {"task": "classification", "files": {"train": "labelled.jsonl"}}}
PAIRS = {"pairs": {"task": "translation", "files": {"train": "pairs.jsonl"}}}
TEXT = {"text": {"task": "text", "files": {"train": "text.jsonl"}}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with checkpoints, data and their cache."""
    return tiny.filled(tmp_path_factory.mktemp("base"), n_labelled=120, n_pairs=120, n_texts=30)


def trained(base: Path, folder: Path, config: FineTuneConfig) -> list[Evaluation]:
    return list(HuggingFace().train(config, tiny.handle(base, folder)))


def plain_losses(base: Path, config: FineTuneConfig, steps: int) -> list[float]:
    """The mean training losses of a plain loop of torch on transformers' own model, loss and AdamW."""
    handle = tiny.handle(base, base / "plain")
    tuning = FineTuning.of(config, handle.settings, torch.device("cpu"))
    rows = rows_of(tuning.corpus, "train", config, tuning.kind, torch.device("cpu"))
    order = BatchOrder(rows, batch_size=config.training.batch_size, seed=config.seed, epochs=config.training.epochs)
    schedule = Schedule(config.training, order.total_steps)
    torch.manual_seed(config.seed)
    auto = {
        "encoder": transformers.AutoModelForSequenceClassification,
        "decoder": transformers.AutoModelForCausalLM,
        "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
    }[tuning.kind]
    labels = {"num_labels": len(tiny.LABELS)} if tuning.kind == "encoder" else {}
    model = auto.from_pretrained(base / tuning.kind, **labels).train()
    weights = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": config.training.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(weights, betas=(config.training.beta1, config.training.beta2))
    losses = []
    for step in range(steps):
        found, numbers = order.at(step)
        loss = model(**inputs(found, numbers, tuning.kind)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.grad_clip)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def inputs(rows, numbers, kind: str) -> dict[str, torch.Tensor]:  # type: ignore[no-untyped-def]
    """A batch as transformers' own collators make it: padded ids, a mask, labels with -100 where nothing is scored."""
    prompts, targets = [rows.prompt(n) for n in numbers], [rows.target(n) for n in numbers]
    read = [p + t for p, t in zip(prompts, targets, strict=True)] if kind == "decoder" else prompts
    width = max(map(len, read))
    ids = torch.tensor([one + [0] * (width - len(one)) for one in read])
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in read])
    if kind == "encoder":
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(targets)[:, 0]}
    if kind == "decoder":
        scored = [[-100] * len(p) + t for p, t in zip(prompts, targets, strict=True)]
        scored = [one + [-100] * (width - len(one)) for one in scored]
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(scored)}
    longest = max(map(len, targets))
    answers = [t + [-100] * (longest - len(t)) for t in targets]
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(answers)}


@pytest.mark.parametrize(
    ("kind", "data", "dropout"),
    [
        ("encoder", LABELLED, {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}),
        pytest.param(
            "decoder", PAIRS, {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}, marks=pytest.mark.slow
        ),
        pytest.param("encoder-decoder", PAIRS, {"dropout_rate": 0.0}, marks=pytest.mark.slow),
    ],
)
def test_the_losses_are_those_of_a_plain_loop_of_transformers(base, tmp_path, kind, data, dropout) -> None:
    for name, value in dropout.items():  # dropout draws numbers in other shapes there
        config = transformers.AutoConfig.from_pretrained(base / kind)
        setattr(config, name, value)
        config.save_pretrained(base / kind)
    training = {"batch_size": 8, "epochs": 1.0, "precision": "fp32"}
    config = tiny.config({"pretrained": kind}, data, training=training, evaluation={"times": 2})
    found = trained(base, tmp_path / "ours", config)
    steps = found[-1].step
    ours = [(point.step, point.metrics["train/loss"]) for one in found for point in one.points]
    assert len(ours) == steps == ours[-1][0]  # so short a training has a point for each step
    expected = plain_losses(base, config, steps)
    assert [loss for _, loss in ours] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "data", "tuning", "rate"),
    [
        ("encoder", LABELLED, "full", 3e-3),
        ("encoder", LABELLED, "lora", 3e-3),
        pytest.param("decoder", TEXT, "last_layers", 1e-2, marks=pytest.mark.slow),
        ("decoder", TEXT, "full", 3e-3),
        pytest.param("decoder", PAIRS, "lora", 1e-2, marks=pytest.mark.slow),
        pytest.param("encoder-decoder", LABELLED, "full", 3e-3, marks=pytest.mark.slow),
    ],
)
def test_a_tuning_lowers_the_loss_and_is_exported_as_it_was_measured(base, tmp_path, kind, data, tuning, rate) -> None:
    model = {"pretrained": kind, "tuning": tuning, "last_layers": 1, "lora_rank": 4}
    config = tiny.config(model, data, training={"learning_rate": rate, "epochs": 6.0 if tuning == "lora" else 3.0})
    handle = tiny.handle(base, tmp_path / "run")
    found = list(HuggingFace().train(config, handle))
    assert found[-1].metrics["val/loss"] < found[0].metrics["val/loss"]
    tested = HuggingFace().test(config, handle).metrics
    best = min(found, key=lambda one: one.metrics["val/loss"])
    kept = HuggingFace().export_kept(config, handle, tmp_path / "kept", index=best.index)
    assert kept == best.metrics
    assert HuggingFace().export_kept(config, handle, tmp_path / "none", index=99) is None
    HuggingFace().export(config, handle, tmp_path / "model")
    weights = [tmp_path / name / "model.safetensors" for name in ("model", "kept")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    again = tiny.config({"pretrained": str(tmp_path / "model")}, data)
    exported = FineTuning.of(again, handle.settings, torch.device("cpu"))
    evaluator = exported.evaluator("test", sample=None, precision=found[-1].precision)
    assert evaluator is not None
    measured = evaluator.measure(exported.network()).metrics
    assert {f"test/{name}": value for name, value in measured.items()} == pytest.approx(
        {name: value for name, value in tested.items() if name.startswith("test/")}, rel=1e-3, abs=1e-4
    )


def test_an_exported_encoder_answers_in_a_pipeline_by_its_labels(base, tmp_path) -> None:
    config = tiny.config(
        {"pretrained": "encoder"}, LABELLED, objective="val/accuracy", training={"epochs": 8.0, "learning_rate": 5e-3}
    )
    handle = tiny.handle(base, tmp_path / "run")
    metrics = [name for one in HuggingFace().train(config, handle) for name in one.metrics]
    tested = HuggingFace().test(config, handle).metrics["test/accuracy"]
    assert "val/loss" in metrics
    assert not {"val/perplexity", "val/bits_per_byte"} & set(metrics)  # its labels are no words
    HuggingFace().export(config, handle, tmp_path / "model")
    pipeline = transformers.pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")
    split = FineTuning.of(config, handle.settings, torch.device("cpu")).corpus.sets["reviews"].splits["test"]
    answers = [answer["label"] for answer in pipeline(list(split.sources))]  # type: ignore[union-attr]
    truth = list(split.references)  # type: ignore[union-attr]
    assert set(answers) <= set(tiny.LABELS)
    assert sum(a == b for a, b in zip(answers, truth, strict=True)) / len(truth) == pytest.approx(tested)


@pytest.mark.parametrize(
    ("kind", "data", "tuning"),
    [("encoder", LABELLED, "lora"), pytest.param("encoder-decoder", PAIRS, "full", marks=pytest.mark.slow)],
)
def test_a_paused_training_resumes_to_the_same_curve(base, tmp_path, kind, data, tuning) -> None:
    config = tiny.config({"pretrained": kind, "tuning": tuning}, data)
    whole = trained(base, tmp_path / "whole", config)
    asked = iter([Command.CONTINUE] * 9 + [Command.PAUSE])
    paused = tiny.handle(base, tmp_path / "paused", lambda: next(asked))
    before = list(HuggingFace().train(config, paused))
    assert 0 < len(before) < len(whole)
    assert tiny.curve(trained(base, tmp_path / "paused", config)) == tiny.curve(whole)


def test_a_killed_training_resumes_from_its_last_checkpoint_to_the_same_curve(base, tmp_path) -> None:
    config = tiny.config({"pretrained": "encoder"}, LABELLED)
    whole = trained(base, tmp_path / "whole", config)
    run = loop.train(config.resolved(), tiny.handle(base, tmp_path / "killed", checkpoint_seconds=0.0), parts)
    next(run)
    next(run)
    run.close()  # nothing is saved at the end, as when it is killed
    assert tiny.curve(trained(base, tmp_path / "killed", config)) == tiny.curve(whole)


def test_only_what_is_trained_is_kept_in_a_checkpoint(base, tmp_path) -> None:
    sizes = {}
    for tuning in ("full", "lora", "last_layers"):
        config = tiny.config({"pretrained": "encoder", "tuning": tuning, "last_layers": 1, "lora_rank": 2}, LABELLED)
        tuned = FineTuning.of(config, tiny.handle(base, tmp_path).settings, torch.device("cpu"))
        sizes[tuning] = sum(weight.numel() for weight in tuned.network().state_dict().values())
    assert sizes["lora"] < sizes["last_layers"] < sizes["full"]


def test_weights_that_a_checkpoint_lacks_are_trained_whatever_is_frozen(base, tmp_path) -> None:
    for tuning in ("lora", "last_layers"):
        config = tiny.config({"pretrained": "encoder", "tuning": tuning, "last_layers": 1}, LABELLED)
        state = FineTuning.of(config, tiny.handle(base, tmp_path).settings, torch.device("cpu")).network().state_dict()
        assert any("pooler" in name for name in state)
        assert any("classifier" in name for name in state)


def test_an_architecture_without_weights_is_trained_with_the_values_of_its_config(base, tmp_path) -> None:
    model = {"architecture": "gpt2", "tokenizer": "decoder"}
    own = {"n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 64}
    config = tiny.config(model, TEXT, config=own, training={"epochs": 2.0})
    found = trained(base, tmp_path / "run", config)
    assert found[-1].metrics["val/loss"] < found[0].metrics["val/loss"]
    handle = tiny.handle(base, tmp_path / "run")
    HuggingFace().export(config, handle, tmp_path / "model")
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").config.n_layer == 1


@pytest.mark.slow
def test_gradient_checkpointing_changes_no_loss(base, tmp_path) -> None:
    curves = []
    for i, again in enumerate((False, True)):
        model = {"pretrained": "decoder", "gradient_checkpointing": again}
        curves.append(tiny.curve(trained(base, tmp_path / str(i), tiny.config(model, TEXT, training={"epochs": 1.0}))))
    assert [one["val/loss"] for one in curves[0]] == pytest.approx([one["val/loss"] for one in curves[1]], abs=1e-5)


@pytest.mark.slow
def test_labels_that_begin_alike_are_told_apart(base, tmp_path) -> None:
    rows = [("good cat", "now here"), ("bad cat", "now fast"), ("sad dog", "slow")] * 20
    path = tmp_path / "alike.jsonl"
    path.write_text("".join(f'{{"text": "{text}", "label": "{label}"}}\n' for text, label in rows))
    data = {"alike": {"task": "classification", "files": {"train": str(path), "valid": str(path), "test": str(path)}}}
    for kind in ("decoder", "encoder-decoder"):
        config = tiny.config(
            {"pretrained": kind}, data, training={"epochs": 20.0, "learning_rate": 1e-2, "schedule": "constant"}
        )
        found = trained(base, tmp_path / kind, config)
        assert found[-1].metrics["val/accuracy"] == 1.0
