"""The training that own_function.yaml searches: words and pairs of words vote for the label of a text, as in fastText.

What hpsearch calls is `train(config, trial)`; docs/own_training.md has the whole contract.
"""

import zlib
from itertools import pairwise

import torch
from torch.nn import functional as F

from hpsearch.samples import stdlib_chapters

BUCKETS = 20_000  # rows of the table of words; words are told apart by their hash


def train(config, trial):
    data = {part: encoded(pairs, config["pairs"]) for part, pairs in stdlib_chapters().items()}
    labels = int(data["train"][1].max()) + 1
    model = torch.nn.ModuleDict(
        {
            "words": torch.nn.EmbeddingBag(BUCKETS, config["width"], mode="mean"),
            "head": torch.nn.Sequential(torch.nn.Dropout(config["dropout"]), torch.nn.Linear(config["width"], labels)),
        }
    ).to(trial.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"])

    first, state = 1, trial.load()  # None in a new trial; after a crash or a pause what was saved last
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        first = state["epoch"] + 1

    for epoch in range(first, config["epochs"] + 1):
        model.train()
        for batch in torch.randperm(len(data["train"][1])).split(config["batch_size"]):
            loss = F.cross_entropy(scores(model, data["train"][0], batch), data["train"][1][batch].to(trial.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        metrics = {**measured(model, data["valid"], "val"), "train/loss": loss}
        if epoch == config["epochs"]:
            metrics |= measured(model, data["test"], "test")  # left out in a search, shown by `hpsearch train`
            torch.save(model.state_dict(), trial.folder / "weights.pt")  # `hpsearch train` copies the folder's files
        # A trial may end here: it is compared with the others at this share of its epochs.
        yield {**metrics, "step": epoch, "steps": config["epochs"]}
        trial.save(
            {
                "epoch": epoch,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "rng": torch.get_rng_state(),
            }
        )


def encoded(pairs, neighbours):
    """The words of each text as rows of the table, and its label as a number."""
    known = sorted({label for _, label in stdlib_chapters()["train"]})
    rows = []
    for text, _ in pairs:
        words = text.lower().split()
        named = words + [f"{a} {b}" for a, b in pairwise(words)] * neighbours
        rows.append(torch.tensor([zlib.crc32(name.encode()) % BUCKETS for name in named]))
    return rows, torch.tensor([known.index(label) for _, label in pairs])


def scores(model, rows, batch):
    """The scores of the labels for some texts. (B, labels)"""
    some = [rows[i] for i in batch]
    starts = torch.tensor([0, *(len(one) for one in some[:-1])]).cumsum(0)
    device = model["words"].weight.device
    return model["head"](model["words"](torch.cat(some).to(device), starts.to(device)))


@torch.no_grad()
def measured(model, data, part):
    """Loss and accuracy of a part of the data."""
    model.eval()
    rows, labels = data
    found = scores(model, rows, range(len(rows))).cpu()
    accuracy = (found.argmax(1) == labels).float().mean()
    return {f"{part}/loss": F.cross_entropy(found, labels), f"{part}/accuracy": accuracy}
