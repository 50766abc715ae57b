"""Makes a checkpoint for fine_tuning.yaml on a machine that has none: a small BERT, trained on texts of this Python.

    python search_spaces/small_bert.py          writes search_spaces/small_bert (needs the extra hpsearch[hf])

It has read 110,000 words for a minute or two: it shows the way, and is no match for a checkpoint that people publish.
"""

import argparse
from pathlib import Path

import tokenizers
import torch
import transformers

from hpsearch.samples import python_reference, stdlib_chapters

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(""))
args = parser.parse_args()
transformers.set_seed(0)
texts = [*python_reference()["train"], *(text for text, _ in stdlib_chapters()["train"])]

words = tokenizers.BertWordPieceTokenizer()
words.train_from_iterator(texts, vocab_size=2000, show_progress=False)
tokenizer = transformers.BertTokenizer(vocab=words.get_vocab(), model_max_length=128)
config = transformers.BertConfig(
    vocab_size=len(tokenizer),
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
    max_position_embeddings=128,
)
model = transformers.BertForMaskedLM(config)

rows = [{"input_ids": tokenizer(text, truncation=True)["input_ids"][:48]} for text in texts]
masked = transformers.DataCollatorForLanguageModeling(tokenizer)  # hides 15% of the tokens
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-4, total_steps=args.steps, pct_start=0.1)
for step in range(1, args.steps + 1):
    batch = masked([rows[i] for i in torch.randint(len(rows), (32,))])
    loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 100 == 0:
        print(f"step {step} of {args.steps}: loss {loss.item():.3f} of the hidden tokens", flush=True)
model.save_pretrained(args.out)
tokenizer.save_pretrained(args.out)
print(f"{args.out}: written")
