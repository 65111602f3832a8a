"""Encoders: token lists to vectors, (B, L) -> (B, D), whatever is inside."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contriever_lite.batch import TokenBatch
from contriever_lite.distributed import world


class BagEncoder(nn.Module):
    """A bag of word pieces: one learnt vector and one learnt weight for each, no context.

        f(x) = sum_{t in x} exp(a_t) v_t,   then f(x) / |f(x)| if normalise

    v: (V, D) `vectors`, a: (V, 1) `log_weights`. An empty row gives the zero vector. The order of
    tokens does not matter, so the model is a learnt tf-idf in D dimensions: small enough to train
    in seconds, and already a dense retriever.

    Gradients are sparse: a step reads and writes only the rows of the pieces in its batch, so its
    cost does not grow with the vocabulary. Train it with `table_adam.TableAdam`. With several
    processes they are dense: `DistributedDataParallel` takes sparse ones from nn.Embedding only.
    """

    def __init__(
        self,
        vocab_size: int,
        dimension: int,
        *,
        normalise: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        start = torch.randn(vocab_size, dimension, generator=generator) / dimension**0.5
        self.vectors = nn.Parameter(start)
        self.log_weights = nn.Parameter(torch.zeros(vocab_size, 1))

    @property
    def dimension(self) -> int:
        return self.vectors.shape[1]

    def forward(self, batch: TokenBatch) -> Tensor:
        """B rows of tokens -> (B, D) float32."""
        pieces, token_to_piece = batch.tokens.unique(return_inverse=True)
        sparse = world() == 1
        rows = F.embedding(pieces, self.vectors, sparse=sparse)
        rows = rows * F.embedding(pieces, self.log_weights, sparse=sparse).exp()
        vectors = F.embedding_bag(token_to_piece, rows, batch.offsets, mode="sum")
        return F.normalize(vectors, dim=1) if self.normalise else vectors

    @torch.no_grad()
    def start_weights_at_idf(self, document_frequency: Tensor, documents: int) -> None:
        """Start at BM25's idf, so that rare pieces count more before anything is learnt.

            exp(a_t) = log(1 + (N - df + 1/2) / (df + 1/2))

        document_frequency: (V,) documents that hold each piece, df; documents: N. Source: Robertson
        and Zaragoza 2009, in Lucene's form.
        """
        df = document_frequency.to(self.log_weights.device, torch.float32)
        idf = torch.log1p((documents - df + 0.5) / (df + 0.5))
        self.log_weights.copy_(idf.log()[:, None])

    @torch.no_grad()
    def table(self) -> Tensor:
        """(V, D): what each word piece adds to a sum, exp(a_t) v_t."""
        return self.vectors * self.log_weights.exp()
