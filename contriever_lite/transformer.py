"""TransformerEncoder: any Hugging Face encoder behind the same interface as the bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contriever_lite.batch import TokenBatch
from contriever_lite.dropout import use_fast_dropout
from contriever_lite.tokens import SpecialIds

if TYPE_CHECKING:  # transformers takes seconds to import, and the bag never needs it
    from transformers import BertModel, PretrainedConfig, PreTrainedModel

TOKENS_A_FORWARD = {"cpu": 1024, "cuda": 32_768}  # padded; more gains nothing on the device


@dataclass(frozen=True)
class Reading:
    """How a transformer reads and pools, saved with it: what the model's own files do not say.

    specials: [CLS] before and [SEP] after each text. normalise: vectors of length 1. longest:
    tokens of a text, special ones included; what stands behind is cut off. pad, cls, sep: ids.
    """

    pad: int
    cls: int
    sep: int
    specials: bool = True
    normalise: bool = False
    longest: int = 512

    @staticmethod
    def of(ids: SpecialIds, **settings: bool | int) -> Reading:
        """With a tokenizer's special ids."""
        return Reading(ids.pad, ids.cls, ids.sep, **settings)


class TransformerEncoder(nn.Module):
    """The mean of a transformer's last layer over a text's tokens.

        f(x) = (1 / n) sum_i h_i(x),   then f(x) / |f(x)| if normalise

    h: (n, D) `last_hidden_state` of `model`; n counts [CLS] and [SEP], as the paper's code does,
    and no padding. The paper scores by the plain dot product, without normalising (section 3).

    Texts of like length go through the model together, so that next to nothing is computed for
    padding: rows are sorted by length and cut into forwards of at most `tokens_a_forward` padded
    tokens. The vectors are those of one padded forward.
    """

    def __init__(
        self, model: PreTrainedModel, reading: Reading, tokens_a_forward: int | None = None
    ) -> None:
        super().__init__()
        use_fast_dropout(model)
        self.model, self.reading, self.tokens_a_forward = model, reading, tokens_a_forward

    @property
    def dimension(self) -> int:
        return self.model.config.hidden_size

    @property
    def normalise(self) -> bool:
        return self.reading.normalise

    def forward(self, batch: TokenBatch) -> Tensor:
        """B rows of ordinary tokens -> (B, D) float32. An empty row without special tokens gives
        the zero vector."""
        rows = framed(batch, self.reading)
        vectors = torch.zeros(len(rows), self.dimension, device=rows.tokens.device)
        for numbers, mask, hidden in self.hidden(rows):
            vectors = vectors.index_copy(0, numbers, self.pool(hidden, mask))
        return F.normalize(vectors, dim=1) if self.reading.normalise else vectors

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """h (R, L, D) and its mask (R, L) -> (R, D): the mean over the tokens."""
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1).clamp(min=1)[:, None]

    def hidden(self, rows: TokenBatch) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The last layer of rows that are framed already, some rows at a time: their numbers (R,),
        their mask (R, L), 1 on tokens, and h (R, L, D) float32."""
        # All words are looked up at once: each look-up has a gradient as large as the vocabulary.
        words = self.model.get_input_embeddings()(rows.tokens)
        places = TokenBatch(torch.arange(len(words), device=words.device), rows.lengths)
        lengths, order = rows.lengths.sort(stable=True, descending=True)
        for start, end in self._cuts(lengths.tolist(), words.device.type):
            numbers = order[start:end]
            place, mask = places.take(numbers).padded(0)
            seen = mask.clone()
            seen[:, 0] = 1  # attention over nothing at all is not a number
            found = self.model(inputs_embeds=F.embedding(place, words), attention_mask=seen)
            yield numbers, mask, found.last_hidden_state.float()

    def _cuts(self, lengths: list[int], device: str) -> Iterator[tuple[int, int]]:
        """Where rows sorted by length, longest first, are cut into forwards; empty rows go."""
        most = self.tokens_a_forward or TOKENS_A_FORWARD.get(device, 32_768)
        start = 0
        while start < len(lengths) and lengths[start]:
            rows = max(1, most // lengths[start])
            end = min(start + rows, len(lengths))
            yield start, end
            start = end


class FirstToken(TransformerEncoder):
    """The last layer at the first token, [CLS], instead of the mean: SimCSE's vector."""

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """h (R, L, D) -> (R, D)."""
        return hidden[:, 0]


def framed(batch: TokenBatch, reading: Reading) -> TokenBatch:
    """Rows cut to `reading.longest` tokens, with [CLS] and [SEP] among them if reading.specials."""
    frame = 2 * reading.specials
    lengths = batch.lengths.clamp(max=reading.longest - frame)
    place = torch.arange(len(batch.tokens), device=batch.tokens.device)
    kept = place - batch.offsets.repeat_interleave(batch.lengths) < lengths.repeat_interleave(
        batch.lengths
    )
    if not reading.specials:
        return TokenBatch(batch.tokens[kept], lengths)
    framed = TokenBatch(batch.tokens.new_empty(int(lengths.sum()) + 2 * len(batch)), lengths + 2)
    first, last = framed.offsets, framed.offsets + framed.lengths - 1
    ordinary = torch.ones_like(framed.tokens, dtype=torch.bool)
    ordinary[first] = ordinary[last] = False
    framed.tokens[first], framed.tokens[last] = reading.cls, reading.sep
    framed.tokens[ordinary] = batch.tokens[kept]
    return framed


def new_model(
    vocab_size: int, dimension: int, layers: int, heads: int, dropout: float, longest: int = 512
) -> BertModel:
    """A BERT of these sizes with random weights (from PyTorch's global generator), as Hugging Face
    starts it: normal with deviation .02. Its feed-forward layers are 4 `dimension` wide."""
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=dimension,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * dimension,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            max_position_embeddings=longest,
        ),
        add_pooling_layer=False,
    )


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every probability of dropout of a model's config, before the model is made."""
    for name in list(config.to_dict()):
        if "dropout" in name and isinstance(getattr(config, name), float):
            setattr(config, name, dropout)
