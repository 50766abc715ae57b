"""Trains a language model of characters on Python's reference: a script as people have it. It knows no hpsearch.

own_program.yaml searches it by its command line and by the lines that it prints.
"""

import argparse
from pydoc_data.topics import topics

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--context", type=int, default=8, help="characters that a prediction is made from")
parser.add_argument("--width", type=int, default=128)
parser.add_argument("--dropout", type=float, default=0.0)
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", default="own_program.pt")
args = parser.parse_args()
torch.manual_seed(args.seed)

text = "\n".join(topics[name] for name in sorted(topics))
vocabulary = sorted(set(text))
number = {character: i for i, character in enumerate(vocabulary)}
ids = torch.tensor([number[character] for character in text])
windows = ids.unfold(0, args.context + 1, 1)  # (N, context + 1): characters, and the one that follows
train, valid = windows[: int(0.9 * len(windows))], windows[int(0.95 * len(windows)) :: 8]

model = nn.Sequential(
    nn.Embedding(len(vocabulary), 24),
    nn.Flatten(),
    nn.Linear(24 * args.context, args.width),
    nn.ReLU(),
    nn.Dropout(args.dropout),
    nn.Linear(args.width, args.width),
    nn.ReLU(),
    nn.Linear(args.width, len(vocabulary)),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
for step in range(1, args.steps + 1):
    batch = train[torch.randint(len(train), (args.batch_size,))]
    loss = F.cross_entropy(model(batch[:, :-1]), batch[:, -1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % max(1, args.steps // 10) == 0:
        model.eval()
        with torch.no_grad():
            val_loss = F.cross_entropy(model(valid[:, :-1]), valid[:, -1])
        model.train()
        print(f"step {step} of {args.steps}: train loss {loss.item():.4f}, val loss {val_loss.item():.4f}", flush=True)
torch.save(model.state_dict(), args.out)
