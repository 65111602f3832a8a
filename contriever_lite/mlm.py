"""Masked language modelling: guess hidden tokens from those around them, as BERT was trained."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contriever_lite.batch import PairBatch, TokenBatch
from contriever_lite.transformer import TransformerEncoder, framed

NO_GUESS = -100


class MaskedLanguage(nn.Module):
    """A warm start for a transformer that knows nothing yet. Same interface as an objective.

        L = - mean over chosen tokens t of log softmax(g(h_t) E^T + b)[t]

    Of the key views' tokens a share `masked` is chosen; 80 % of those become [MASK], 10 % another
    piece, 10 % stay (Devlin et al. 2019, section 3.1). h: last layer; E: (V, D) the encoder's own
    word vectors; g: a linear map, GELU and layer normalisation, as in BERT's head; g and b are
    left behind when training is over. With several processes each takes the mean of its own
    tokens. mask_id, ordinary: the tokenizer's [MASK], and the ids that may stand in for a token.
    """

    def __init__(
        self, encoder: TransformerEncoder, mask_id: int, ordinary: Tensor, masked: float = 0.15
    ) -> None:
        super().__init__()
        d, words = encoder.dimension, encoder.model.get_input_embeddings().weight
        self.encoder, self.mask_id, self.masked = encoder, mask_id, masked
        self.transform = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d))
        self.bias = nn.Parameter(torch.zeros(len(words)))
        self.register_buffer("ordinary", ordinary, persistent=False)

    def forward(self, pairs: PairBatch, measure: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, {"accuracy": share of the chosen tokens guessed}, if measure)."""
        rows = framed(pairs.key, self.encoder.reading)
        chosen = self._choose(rows)
        answers = TokenBatch(torch.where(chosen, rows.tokens, NO_GUESS), rows.lengths)
        logits, truth = [], []
        for numbers, _, hidden in self.encoder.hidden(self._hide(rows, chosen)):
            wanted = answers.take(numbers).padded(NO_GUESS)[0]
            logits.append(self.guess(hidden[wanted != NO_GUESS]))
            truth.append(wanted[wanted != NO_GUESS])
        logits, truth = torch.cat(logits), torch.cat(truth)
        loss = F.cross_entropy(logits.float(), truth, reduction="sum") / max(1, len(truth))
        right = (logits.argmax(1) == truth).sum() / max(1, len(truth))
        return loss, {"accuracy": right} if measure else {}

    loss = forward

    def guess(self, hidden: Tensor) -> Tensor:
        """(N, D) -> (N, V): logits of the word pieces."""
        words = self.encoder.model.get_input_embeddings().weight
        return F.linear(self.transform(hidden), words, self.bias)

    def after_step(self) -> None:
        """Nothing: no queue to fill, no slow encoder to move."""

    def _choose(self, rows: TokenBatch) -> Tensor:
        draws = torch.rand(len(rows.tokens), device=rows.tokens.device)
        chosen = draws < self.masked
        if self.encoder.reading.specials:
            chosen[rows.offsets] = chosen[rows.offsets + rows.lengths - 1] = False
        return chosen

    def _hide(self, rows: TokenBatch, chosen: Tensor) -> TokenBatch:
        fate = torch.rand(len(rows.tokens), device=rows.tokens.device)
        places = torch.randint(len(self.ordinary), fate.shape, device=fate.device)
        tokens = rows.tokens.where(~chosen | (fate >= 0.9), self.ordinary[places])
        return TokenBatch(tokens.masked_fill(chosen & (fate < 0.8), self.mask_id), rows.lengths)
