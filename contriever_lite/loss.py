"""Contrastive losses: pure functions of tensors, which know no model, queue or device.

Symbols: q (B, D) queries, k (B, D) keys, row i of k is the positive of row i of q and a negative of
every other row; negatives (K, D) further keys; s(q, k) = q . k; tau the temperature. Each document
may have several query views: then q is (M B, D), view after view, and the positive of row i is row
i mod B of k. `ignore` (M B, B + K) is True where a key must not count as a negative of a query; the
positive always counts.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from contriever_lite.errors import ConfigError


def info_nce(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 0.05,
    symmetric: bool = False,
    ignore: Tensor | None = None,
) -> Tensor:
    """InfoNCE: how surprised is a softmax over all keys that the positive is the positive?

        L = - (1/B) sum_i log [ exp(q_i . k_i / tau) / sum_j exp(q_i . k_j / tau) ]

    where j runs over the B keys of the batch and the K further negatives. Its gradient with respect
    to the positive's score is (p - 1) / tau for p = the softmax's share of the positive: largest
    when the positive is ranked worst. This is what the paper's code computes (src/inbatch.py,
    src/moco.py); the paper's equation 1 lacks the logarithm, see `equation_1`.

    q: (B, D) or (M B, D); k: (B, D); negatives: (K, D) or None. symmetric=True averages it with the
    loss of finding queries from keys (over the batch only, each view apart), as SimCLR and CLIP do
    and the paper does not. Returns a scalar. Raises ConfigError if the shapes do not fit or
    temperature <= 0.
    """
    scores = masked_scores(q, k, negatives, temperature, ignore)
    loss = F.cross_entropy(scores, labels(q, k))
    if not symmetric:
        return loss
    views = scores[:, : len(k)].view(-1, len(k), len(k))
    return (loss + F.cross_entropy(views, labels(k, k).expand(len(views), -1))) / 2


def equation_1(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 0.05,
    ignore: Tensor | None = None,
) -> Tensor:
    """Equation 1 of the paper as printed, without the logarithm.

        L = - (1/B) sum_i p_i,   p_i = exp(q_i . k_i / tau) / sum_j exp(q_i . k_j / tau)

    It lies in [-1, 0], and its gradient with respect to the positive's score is -p (1 - p) / tau,
    which vanishes where the positive is ranked worst. Arguments and errors as for `info_nce`.
    """
    shares = masked_scores(q, k, negatives, temperature, ignore).softmax(dim=1)
    return -shares.gather(1, labels(q, k)[:, None]).mean()


def decoupled(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 0.05,
    ignore: Tensor | None = None,
) -> Tensor:
    """InfoNCE whose denominator leaves the positive out (Yeh et al. 2022, "Decoupled contrastive
    learning"), so that an easy positive does not shrink the gradient of its negatives.

        L = (1/B) sum_i ( - q_i . k_i / tau + log sum_{j != i} exp(q_i . k_j / tau) )

    It has no lower bound of zero. A query all of whose negatives are ignored adds only its first
    term. Arguments and errors as for `info_nce`.
    """
    scores = masked_scores(q, k, negatives, temperature, ignore)
    positive = is_positive(q, k, scores.shape[1])
    rest = scores.masked_fill(positive, float("-inf"))
    alone = rest.isneginf().all(dim=1)
    pushed = rest.masked_fill(alone[:, None], 0).logsumexp(dim=1).masked_fill(alone, 0)
    return (pushed - scores[positive]).mean()


def sigmoid(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 0.1,
    bias: float | Tensor = -10.0,
    ignore: Tensor | None = None,
) -> Tensor:
    """A yes-or-no question for each pair instead of a softmax over all (Zhai et al. 2023, SigLIP).

        L = - (1/B) sum_i sum_j log sigma( z_ij (q_i . k_j / tau + b) ),   z_ij = 1 if j = i else -1

    b: the bias, strongly negative at first because almost every pair is a negative (the source
    starts at tau = .1, b = -10 and learns both). Arguments and errors otherwise as for `info_nce`.
    """
    logits = masked_scores(q, k, negatives, temperature, ignore) + bias
    sign = 2.0 * is_positive(q, k, logits.shape[1]) - 1
    return -F.logsigmoid(sign * logits).sum() / len(q)


def same_text(documents: Tensor, other: Tensor | None = None) -> Tensor:
    """Which keys carry a query's own text without being its positive: false negatives.

    documents: (B,) numbers, equal where texts are equal; other: (K,) those of further negatives.
    Returns (B, B + K) bool, for `ignore`; the diagonal is False.
    """
    twins = documents[:, None] == documents[None, :]
    twins.fill_diagonal_(False)
    if other is None:
        return twins
    return torch.cat([twins, documents[:, None] == other[None, :]], dim=1)


def masked_scores(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float | Tensor = 1.0,
    ignore: Tensor | None = None,
) -> Tensor:
    """(M B, B + K) scores divided by the temperature, -inf where a key is ignored."""
    _check(q, k, negatives, temperature)
    scores = q @ k.T
    if negatives is not None:
        scores = torch.cat([scores, q @ negatives.T], dim=1)  # copies scores, not the queue
    scores = scores / temperature
    if ignore is None:
        return scores
    if ignore.shape != scores.shape:
        raise ConfigError(f"ignore must be {tuple(scores.shape)}, got {tuple(ignore.shape)}")
    return scores.masked_fill(ignore & ~is_positive(q, k, scores.shape[1]), float("-inf"))


def labels(q: Tensor, k: Tensor) -> Tensor:
    """(M B,) the column of each query's positive: its row modulo B."""
    return torch.arange(len(q), device=q.device) % len(k)


def is_positive(q: Tensor, k: Tensor, columns: int) -> Tensor:
    """(M B, columns) bool: True where the column is the query's positive."""
    return labels(q, k)[:, None] == torch.arange(columns, device=q.device)[None, :]


def _check(q: Tensor, k: Tensor, negatives: Tensor | None, temperature: float | Tensor) -> None:
    if q.ndim != 2 or k.ndim != 2 or q.shape[1] != k.shape[1] or not len(k) or len(q) % len(k):
        raise ConfigError(
            f"q and k must be (B, D), or (M B, D) and (B, D): got {tuple(q.shape)} and "
            f"{tuple(k.shape)}"
        )
    if negatives is not None and (negatives.ndim != 2 or negatives.shape[1] != q.shape[1]):
        raise ConfigError(
            f"negatives must be (K, {q.shape[1]}) to match q, got {tuple(negatives.shape)}"
        )
    if not temperature > 0:
        raise ConfigError(f"temperature = {temperature}: must be more than 0")
