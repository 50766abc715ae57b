"""The number of steps of a training, before it begins."""

from __future__ import annotations

import torch

from hpsearch.contract import WorkerSettings
from hpsearch.training.batches import BatchOrder, rows_of
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus, trained_on
from hpsearch.training.evaluation_steps import evaluation_steps


def steps(config: TrainConfig, settings: WorkerSettings) -> int:
    """The steps of a training on the prepared data, up to its `stop_at`; raises DataError."""
    corpus = trained_on(config, open_corpus(config, settings))
    order = BatchOrder(
        rows_of(corpus, "train", config, torch.device("cpu")),
        batch_size=config.training.batch_size,
        seed=config.seed,
        epochs=config.training.epochs,
        weights={name: data_set.weight for name, data_set in config.data.items()},
    )
    return evaluation_steps(config, order.total_steps)[1]
