"""A retriever: an encoder and its tokenizer, turning texts into vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from tqdm import tqdm

from contriever_lite.batch import to_tensors
from contriever_lite.checkpoint import load_encoder, model_folder, save_encoder, shipped
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, token_rows
from contriever_lite.errors import CheckpointError, DataError
from contriever_lite.hardware import found_device
from contriever_lite.tokens import counting_once


@dataclass
class Retriever:
    """encode(texts) -> (N, D) float32; the score of a query and a document is q . d.

    Encoding is done in evaluation mode, on the device that the encoder is on, and leaves the
    encoder in the mode it was in. Vectors come back in main memory.
    """

    encoder: nn.Module
    tokenizer: Tokenizer

    def encode(self, texts: Sequence[str], batch_size: int = 512) -> np.ndarray:
        """One row a text, in order. An empty text gives the zero vector (with the bag)."""
        return self._encode(
            lambda start, end: token_rows(texts[start:end], self.tokenizer), len(texts), batch_size
        )

    def encode_corpus(self, corpus: Corpus, batch_size: int = 512) -> np.ndarray:
        """One row a document of a prepared corpus, from its tokens, in order.

        Raises DataError if the corpus was made by another tokenizer than the model reads with; a
        model that counts each word once reads with one of its own.
        """
        if corpus.tokenizer.to_str() != self.tokenizer.to_str():
            raise DataError(
                "the corpus was made by another tokenizer than the model reads with; encode the "
                "documents it came from instead, or prepare them with the model's own tokenizer: "
                "prepare --tokenizer RUN/model"
            )
        return self._encode(
            lambda start, end: corpus.documents(np.arange(start, end)), len(corpus), batch_size
        )

    @torch.inference_mode()
    def _encode(
        self, rows: Callable[[int, int], Ragged], count: int, batch_size: int
    ) -> np.ndarray:
        """Encode rows(start, end) for one batch after another, in evaluation mode."""
        training, device = self.encoder.training, next(self.encoder.parameters()).device
        self.encoder.eval()
        blocks = [np.zeros((0, self.encoder.dimension), dtype=np.float32)]
        try:
            starts = range(0, count, batch_size)
            for start in tqdm(starts, "encoding", unit=" batches", leave=False, delay=2):
                batch = to_tensors(rows(start, min(start + batch_size, count))).to(device)
                blocks.append(self.encoder(batch).float().cpu().numpy())
        finally:
            self.encoder.train(training)
        return np.concatenate(blocks)

    def save(self, folder: str | Path, precision: str = "float32") -> Path:
        """Write a model folder (checkpoint.py)."""
        return save_encoder(self.encoder, self.tokenizer, folder, precision)

    @staticmethod
    def load(folder: str | Path, device: str = "cpu") -> "Retriever":
        """Read a model folder, the one inside the folder of a run, or, by its name, a model that
        ships with the package. device: as in models.load_model. Raises CheckpointError where there
        is no model, or a broken one, ConfigError where there is no such device."""
        place = found_device(device)
        found = model_folder(folder)
        if not found.is_dir():
            raise CheckpointError(
                f"there is no folder {folder}; give one that `train --out` made, or a model that "
                f"ships with the package: {', '.join(shipped())}"
            )
        encoder, tokenizer = load_encoder(found)
        return Retriever(encoder.to(place), tokenizer)

    def export(self, folder: str | Path) -> Path:
        """Write a folder that `sentence_transformers.SentenceTransformer` loads and that encodes
        to the same vectors and names their score (export.py)."""
        from contriever_lite.export import export

        return export(self.encoder, self.tokenizer, folder)


def retriever_for(encoder: nn.Module, tokenizer: Tokenizer, config: TrainConfig) -> Retriever:
    """The retriever that fits a training run: with config.once, texts are read as the views were,
    each word once."""
    return Retriever(encoder, counting_once(tokenizer) if config.once else tokenizer)
