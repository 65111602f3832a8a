"""A tokenizer learnt from sources of any size, without holding them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from contriever_lite.documents import TEXT_AND_TITLE, Fields, stream_documents
from contriever_lite.settings import check_settings, setting
from contriever_lite.tokens import SPECIAL_TOKENS, train_tokenizer

SAMPLE = 200_000_000  # characters


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer to be learnt: of vocab_size pieces, from the first `characters` of the sources,
    an equal share each. fewest: as in `train_tokenizer`. Raises ConfigError for numbers that make
    no sense."""

    vocab_size: int = setting(30_000, "word pieces", above=len(SPECIAL_TOKENS))
    characters: int = setting(SAMPLE, "characters to learn from", low=1)
    fewest: int = setting(1, "times that a character occurs", low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def learn(self, sources: Sequence[str | Path], fields: Fields = TEXT_AND_TITLE) -> Tokenizer:
        """The tokenizer. The sources are read twice and never held, only the counts of their
        words. Raises DataError for bad lines."""
        sample = _Sample(sources, self.characters // len(sources), fields)
        return train_tokenizer(sample, self.vocab_size, self.fewest)


@dataclass(frozen=True)
class _Sample:
    sources: Sequence[str | Path]
    characters: int  # of each source
    fields: Fields

    def __iter__(self) -> Iterator[str]:
        for stream in [stream_documents(source, self.fields) for source in self.sources]:
            seen = 0
            for title, text in stream:
                yield f"{title} {text}"
                seen += len(title) + len(text)
                if seen >= self.characters:
                    break
