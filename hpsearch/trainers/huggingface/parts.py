"""What a fine-tuning consists of: the corpus, the network and the evaluator, for the loop of training/."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.trainers.huggingface import checkpoint
from hpsearch.trainers.huggingface.batches import rows_of
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.corpus import open_corpus
from hpsearch.trainers.huggingface.evaluator import PretrainedEvaluator
from hpsearch.trainers.huggingface.kinds import Kind, check_tasks
from hpsearch.trainers.huggingface.network import Network, Plan, loss_sum
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer
from hpsearch.training.corpus import state_digest
from hpsearch.training.parts import Parts


@dataclass(frozen=True)
class FineTuning:
    """A config with its data and the kind of its model."""

    config: FineTuneConfig
    corpus: Corpus
    kind: Kind
    settings: WorkerSettings
    device: torch.device

    @classmethod
    def of(cls, config: FineTuneConfig, settings: WorkerSettings, device: torch.device) -> FineTuning:
        """Opens the data; raises UserError if the model cannot learn them."""
        kind = checkpoint.kind_of(checkpoint.config_of(config, settings.base))
        check_tasks(kind, config.data, str(config.model.pretrained or config.model.architecture))
        return cls(config, open_corpus(config, settings), kind, settings, device)

    @property
    def tokenizer(self) -> PretrainedTokenizer:
        """The checkpoint's tokenizer."""
        assert isinstance(self.corpus.tokenizer, PretrainedTokenizer)
        return self.corpus.tokenizer

    def network(self) -> Network:
        """The network before training, on the device."""
        labels = next(iter(self.corpus.sets.values())).label_names
        return Network(Plan(self.config, self.kind, self.tokenizer, labels, self.settings.base)).to(self.device)

    def evaluator(self, split: str, *, sample: int | None, precision: str | None = None) -> PretrainedEvaluator | None:
        """The evaluator on a split; None if no set has it."""
        rows = rows_of(self.corpus, split, self.config, self.kind, self.device)
        if not rows:
            return None
        return PretrainedEvaluator(self.corpus, rows, self.config, self.kind, sample=sample, precision=precision)


def parts(config: FineTuneConfig, handle: Handle, device: torch.device) -> Parts:
    """The parts of a fine-tuning; raises UserError."""
    tuning = FineTuning.of(config, handle.settings, device)
    evaluator = tuning.evaluator("valid", sample=config.evaluation.decode_sample)
    assert evaluator is not None  # each corpus has a valid split
    return Parts(
        rows=rows_of(tuning.corpus, "train", config, tuning.kind, device),
        evaluator=evaluator,
        model=tuning.network,
        loss=loss_sum,
        identity=state_digest(config, tuning.corpus),
        draws=True,
    )
