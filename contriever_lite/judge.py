"""One collection for many encoders of one tokenizer, as sweeps and fine-tuning score them."""

import torch
from tokenizers import Tokenizer
from torch import nn

from contriever_lite.batch import TokenBatch, to_tensors
from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, token_rows
from contriever_lite.evaluate import DEPTH, MEASURES, answers
from contriever_lite.metrics import score_queries
from contriever_lite.retriever import retriever_for
from contriever_lite.search import DenseIndex


class Judge:
    """Scores encoders on one collection as evaluate.evaluate_model does, self-matches left out:
    texts are cut into tokens only once for each tokenizer."""

    def __init__(self, collection: Collection) -> None:
        self.collection, self.same = collection, collection.self_matches()
        self._tokens: dict[tuple[Tokenizer, bool], tuple[TokenBatch, TokenBatch]] = {}

    @torch.inference_mode()
    def __call__(
        self, encoder: nn.Module, corpus: Corpus, config: TrainConfig
    ) -> dict[str, dict[str, float]]:
        """per_query[measure][query id]"""
        documents, queries = self._texts(encoder, corpus, config)
        vectors = torch.cat([encoder(part) for part in documents.parts()])
        index = DenseIndex(vectors.numpy(), self.collection.document_ids())
        depth = DEPTH + bool(self.same)
        run = index.search(encoder(queries).numpy(), list(self.collection.queries), depth)
        return score_queries(answers(run, self.same, DEPTH), self.collection.qrels, MEASURES)

    def _texts(
        self, encoder: nn.Module, corpus: Corpus, config: TrainConfig
    ) -> tuple[TokenBatch, TokenBatch]:
        key = (corpus.tokenizer, config.once)
        if key not in self._tokens:
            tokenizer = retriever_for(encoder, corpus.tokenizer, config).tokenizer
            texts = self.collection.texts(), list(self.collection.queries.values())
            self._tokens[key] = tuple(to_tensors(token_rows(each, tokenizer)) for each in texts)
        return self._tokens[key]
