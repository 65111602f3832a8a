"""Contrastive losses: pure functions of tensors, which know no model, queue or device.

Symbols: q (B, D) queries, k (B, D) keys, row i of k is the positive of row i of q and a negative of
every other row; negatives (K, D) further keys; s(q, k) = q . k; tau the temperature. Each document
may have several query views: then q is (M B, D), view after view, and the positive of row i is row
i mod B of k.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from contriever_lite.errors import ConfigError


def info_nce(
    q: Tensor,
    k: Tensor,
    negatives: Tensor | None = None,
    temperature: float = 0.05,
    symmetric: bool = False,
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
    scores = _scores(q, k, negatives, temperature)
    loss = F.cross_entropy(scores, _labels(q, k))
    if not symmetric:
        return loss
    views = scores[:, : len(k)].view(-1, len(k), len(k))
    labels = _labels(k, k).expand(len(views), -1)
    return (loss + F.cross_entropy(views, labels)) / 2


def equation_1(
    q: Tensor, k: Tensor, negatives: Tensor | None = None, temperature: float = 0.05
) -> Tensor:
    """Equation 1 of the paper as printed, without the logarithm.

        L = - (1/B) sum_i p_i,   p_i = exp(q_i . k_i / tau) / sum_j exp(q_i . k_j / tau)

    It lies in [-1, 0], and its gradient with respect to the positive's score is -p (1 - p) / tau,
    which vanishes where the positive is ranked worst. Arguments and errors as for `info_nce`.
    """
    shares = _scores(q, k, negatives, temperature).softmax(dim=1)
    return -shares.gather(1, _labels(q, k)[:, None]).mean()


def accuracy(q: Tensor, k: Tensor, negatives: Tensor | None = None) -> Tensor:
    """The share of queries whose own key has the highest score of all: a scalar in [0, 1]."""
    best = _scores(q, k, negatives, 1.0).argmax(dim=1)
    return (best == _labels(q, k)).float().mean()


def alignment(q: Tensor, k: Tensor) -> Tensor:
    """How near the two views of a document lie, for vectors of length 1; 0 is perfect.

        A = mean_i |q_i - k_i|^2

    Wang and Isola 2020, with their exponent alpha = 2.
    """
    return (q - k).square().sum(dim=1).mean()


def uniformity(x: Tensor, t: float = 2.0) -> Tensor:
    """How evenly vectors of length 1 cover the sphere; lower is more even, 0 means one point.

        U = log mean_{i<j} exp(-t |x_i - x_j|^2)

    Wang and Isola 2020, with t = 2.
    """
    return torch.pdist(x).square().mul(-t).exp().mean().log()


def _scores(q: Tensor, k: Tensor, negatives: Tensor | None, temperature: float) -> Tensor:
    """(M B, B + K) scores divided by the temperature."""
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
    keys = k if negatives is None else torch.cat([k, negatives])
    return q @ keys.T / temperature


def _labels(q: Tensor, k: Tensor) -> Tensor:
    """(M B,) the column of each query's positive."""
    return torch.arange(len(q), device=q.device) % len(k)
