"""What to watch beside the loss: is the positive found, is space used, has anything collapsed?

Symbols as in loss.py. All are pure functions; call them without gradient.
"""

import torch
from torch import Tensor

from contriever_lite.loss import is_positive, labels, masked_scores


def accuracy(
    q: Tensor, k: Tensor, negatives: Tensor | None = None, ignore: Tensor | None = None
) -> Tensor:
    """The share of queries whose own key has the highest score of all: a scalar in [0, 1]."""
    best = masked_scores(q, k, negatives, ignore=ignore).argmax(dim=1)
    return (best == labels(q, k)).float().mean()


def mean_rank(
    q: Tensor, k: Tensor, negatives: Tensor | None = None, ignore: Tensor | None = None
) -> Tensor:
    """The mean place of the positive among all keys, 1 being best; a tie counts half a place.

        rank_i = 1 + |{ j : s_ij > s_ii }| + |{ j != i : s_ij = s_ii }| / 2

    Returns a scalar in [1, B + K].
    """
    scores = masked_scores(q, k, negatives, ignore=ignore)
    own = scores[is_positive(q, k, scores.shape[1])][:, None]
    ties = (scores == own).sum(dim=1) - 1
    return (1 + (scores > own).sum(dim=1) + ties / 2).mean()


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


def effective_rank(x: Tensor) -> Tensor:
    """How many dimensions the vectors really use: from 1 (all on a line) to min(B, D).

        r = exp( - sum_i p_i log p_i ),   p_i = sigma_i / sum_j sigma_j

    sigma: the singular values of x (B, D). Roy and Vetterli 2007; RankMe (Garrido et al. 2023) uses
    it to judge representations without labels. Returns a scalar; 0 if all vectors are 0.
    """
    values = torch.linalg.svdvals(x.float())
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(shares).sum().exp() * (values.sum() > 0)


def deviation(x: Tensor) -> Tensor:
    """The standard deviation of each dimension over the batch, averaged; 0 means collapse.

        d = mean_j sqrt( mean_i (x_ij - mean_i x_ij)^2 )

    For vectors spread evenly over the unit sphere it is about 1 / sqrt(D). The reference code logs
    it as stdq and stdk (src/moco.py), as SimSiam does (Chen and He 2021).
    """
    return x.std(dim=0, unbiased=False).mean()
