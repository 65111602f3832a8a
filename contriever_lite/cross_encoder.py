"""A cross-encoder: query and document read together, one score a pair; for re-ranking a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from contriever_lite.batch import TokenBatch
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import TrainingError
from contriever_lite.finetune import update
from contriever_lite.labels import Labels, Numbers, first_tokens
from contriever_lite.metrics import Run, ranking
from contriever_lite.optimizer import learning_rate, new_optimizer
from contriever_lite.rng import stream, torch_globals, torch_stream
from contriever_lite.sampling import draw_of_step
from contriever_lite.transformer import Reading

if TYPE_CHECKING:  # transformers takes seconds to import
    from transformers import PreTrainedModel

LONGEST_QUERY = 64  # tokens
FIRST = 10.0  # what the first stage's score counts before training


class CrossEncoder(nn.Module):
    """s(q, d) = w . h + u b,   h: the last layer at [CLS] of "[CLS] q [SEP] d [SEP]".

    Every token of the query can look at every token of the document, which vectors made apart
    cannot do; and nothing can be computed before the query is there. `model`: a BERT; q has segment
    0, d segment 1. Queries are cut to 64 tokens, documents so that both fit `reading.longest`.
    Source: Nogueira and Cho 2019, "Passage re-ranking with BERT".

    Two helps for a model too small, or labels too few, to learn that equal words match:

    rarity  (V,) or None. A learnt vector m, times rarity[t], is added to the word vector of each
            token t that stands in the other text too. After Boualili et al. 2020, "MarkedBERT".
    first   True: b is the first stage's score of d, 0 to 1 in each query (`shares`), and u begins
            at 10, so that training begins from the first stage's order. After Askari et al. 2023,
            "Injecting the BM25 score as text improves BERT-based re-rankers".
    """

    def __init__(
        self,
        model: PreTrainedModel,
        reading: Reading,
        seed: int = 0,
        rarity: Tensor | None = None,
        first: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.reading = model, reading
        size = model.config.hidden_size
        start = torch.randn(size, generator=torch_stream(seed, "score")) / size**0.5
        self.weights = nn.Parameter(start)
        self.register_buffer("rarity", rarity)
        self.mark = nn.Parameter(torch.zeros(size)) if rarity is not None else None
        self.first = nn.Parameter(torch.tensor(FIRST)) if first else None

    def forward(
        self, queries: TokenBatch, documents: TokenBatch, first: Tensor | None = None
    ) -> Tensor:
        """R queries and R documents -> (R,) scores. first: (R,) shares of the first stage."""
        ids, mask, segments = self._joined(queries, documents)
        words = self.model.get_input_embeddings()(ids)
        if self.mark is not None:
            weight = self.rarity[ids] * self._in_both(ids, segments, mask)
            words = words + weight[:, :, None] * self.mark
        found = self.model(inputs_embeds=words, attention_mask=mask, token_type_ids=segments)
        scores = found.last_hidden_state[:, 0] @ self.weights
        return scores if self.first is None else scores + self.first * first

    def _in_both(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """(R, L): 1 on a token that stands on the other side too."""
        rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(ids)
        there = torch.zeros(len(ids), 2, len(self.rarity), device=ids.device)
        there[rows, segments, ids] = 1.0
        r = self.reading
        special = torch.isin(ids, torch.tensor([r.cls, r.sep, r.pad], device=ids.device))
        return there[rows, 1 - segments, ids] * mask * ~special

    def _joined(self, queries: TokenBatch, documents: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
        """(ids, mask, segments), each (R, L)."""
        r, rows = self.reading, []
        pairs = zip(_rows(queries), _rows(documents), strict=True)
        for query, document in pairs:
            left = [r.cls, *query[:LONGEST_QUERY], r.sep]
            rows.append((left, [*document[: r.longest - len(left) - 1], r.sep]))
        lengths = torch.tensor([len(left) + len(right) for left, right in rows])
        flat = torch.tensor([token for left, right in rows for token in left + right])
        ids, mask = TokenBatch(flat, lengths).padded(r.pad)
        begins = torch.tensor([len(left) for left, _ in rows])[:, None]
        return ids, mask, ((torch.arange(ids.shape[1])[None, :] >= begins) & mask.bool()).long()


def _rows(batch: TokenBatch) -> list[list[int]]:
    return [rows.tolist() for rows in batch.tokens.split(batch.lengths.tolist())]


def train_cross_encoder(
    config: TrainConfig,
    model: CrossEncoder,
    corpus: Corpus,
    labels: Labels,
    hard: Numbers,
    negatives: int = 3,
    run: Run | None = None,
    documents: Sequence[str] = (),
) -> CrossEncoder:
    """Train in place: which of 1 + `negatives` documents answers the query?

        L = - (1/B) sum_i log [ exp(s(q_i, d_i+)) / sum_d exp(s(q_i, d)) ]

    config.batch_size queries a step, each with one of its answers and `negatives` of its hard
    negatives, drawn anew at every step; queries that have fewer are left out. Also of config: seed,
    steps, learning_rate, rate, warmup, betas, weight_decay, clip, window. A model with `first`
    needs the first stage's run on the labels' queries, and the ids of the documents, in the order
    of the corpus. A pure function of its arguments. Raises TrainingError where the loss is NaN.
    """
    usable = np.array([i for i in range(len(labels)) if len(hard[i]) >= negatives])
    config = config.replace(encoder="transformer", batch_size=min(config.batch_size, len(usable)))
    optimizer = new_optimizer(config, model.train())
    for step in tqdm(range(config.steps), "cross-encoder", unit=" steps", leave=False, delay=2):
        rows = draw_of_step(usable, config, step).numbers
        numbers = _candidates(labels, hard, rows, negatives, stream(config.seed, "few", step=step))
        texts = first_tokens(corpus, numbers.ravel(), config.window)
        first = run and torch.cat([
            shares(run[labels.ids[i]], [documents[n] for n in few])
            for i, few in zip(rows, numbers, strict=True)
        ])  # fmt: skip
        with torch_globals(config.seed, "dropout", torch.device("cpu"), step=step):
            scores = model(labels.batch(np.repeat(rows, 1 + negatives)), texts, first)
        loss = F.cross_entropy(scores.view(numbers.shape), torch.zeros(len(rows), dtype=torch.long))
        if not loss.isfinite():
            raise TrainingError(f"step {step + 1}: the loss is {loss.item()}; lower learning_rate")
        update(optimizer, loss, learning_rate(config, step), config.clip)
    return model.eval()


def shares(scores: Mapping[str, float], documents: Sequence[str]) -> Tensor:
    """(R,): a query's scores of these documents, lowest to best of its run as 0 to 1; a document
    that the run does not return gets 0, and all get 0 where the run says nothing."""
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    span = high - low or 1.0
    return torch.tensor([(scores.get(d, low) - low) / span for d in documents])


def _candidates(
    labels: Labels, hard: Numbers, rows: np.ndarray, negatives: int, rng: np.random.Generator
) -> np.ndarray:
    """(B, 1 + negatives) numbers of documents, the answer first."""
    return np.stack([
        np.append(rng.choice(labels.answers[i]), rng.choice(hard[i], negatives, replace=False))
        for i in rows
    ])  # fmt: skip


@torch.inference_mode()
def rerank(
    model: CrossEncoder,
    run: Run,
    labels: Labels,
    corpus: Corpus,
    documents: Sequence[str],
    window: int,
    depth: int = 100,
    batch_size: int = 64,
) -> Run:
    """The first `depth` documents of each query of a run, scored by the model instead.

    documents: the ids, in the order of the corpus. Documents are cut to `window` tokens, as they
    were in training.
    """
    place = {id_: number for number, id_ in enumerate(documents)}
    found: Run = {}
    for row, query in enumerate(tqdm(labels.ids, "re-ranking", leave=False, delay=2)):
        best = ranking(run.get(query, {}))[:depth]
        if not best:
            found[query] = {}
            continue
        numbers = np.array([place[d] for d in best], np.int64)
        order = np.argsort(corpus.lengths[numbers], kind="stable")  # like lengths: less padding
        scores = np.zeros(len(best))
        for part in np.split(order, range(batch_size, len(order), batch_size)):
            texts = first_tokens(corpus, numbers[part], window)
            first = shares(run.get(query, {}), [best[i] for i in part])
            scores[part] = model(labels.batch(np.full(len(part), row)), texts, first).numpy()
        found[query] = dict(zip(best, scores.tolist(), strict=True))
    return found
