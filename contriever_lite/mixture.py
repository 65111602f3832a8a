"""Several corpora as one, without copying them: documents are numbered through."""

import operator
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from contriever_lite.corpus import Corpus, offsets_of
from contriever_lite.errors import ConfigError


class Joined:
    """Arrays end to end, read as one; each may be memory-mapped and larger than memory."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays, self.dtype = arrays, arrays[0].dtype
        self.ends = np.cumsum([len(array) for array in arrays])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        """The values of a slice, or at an array of places (0 or more): a copy."""
        if isinstance(places, slice):
            places = np.arange(*places.indices(len(self)))
        values = np.empty(len(places), self.dtype)
        owner = np.searchsorted(self.ends, places, side="right")
        for number, array in enumerate(self.arrays):
            mine = owner == number
            values[mine] = array[places[mine] - (self.ends[number] - len(array))]
        return values

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self.arrays).astype(dtype or self.dtype, copy=False)


def mix(corpora: Sequence[Corpus]) -> Corpus:
    """One corpus of all documents, those of the first corpus first; `sources` says where each
    begins. config.mixture decides how training draws from it (sampling.py). Raises ConfigError if
    they were not made by the same tokenizer."""
    if len(corpora) == 1:
        return corpora[0]
    first = corpora[0].tokenizer
    for number, corpus in enumerate(corpora[1:], start=2):
        if corpus.tokenizer.to_str() != first.to_str():
            raise ConfigError(
                f"corpus {number} was made by another tokenizer ("
                f"{corpus.tokenizer.get_vocab_size():,} word pieces) than corpus 1 "
                f"({first.get_vocab_size():,}); prepare it again with corpus 1's: "
                "prepare --tokenizer FOLDER-OF-CORPUS-1"
            )
    return Corpus(
        Joined([corpus.tokens for corpus in corpora]),
        offsets_of(np.concatenate([corpus.lengths for corpus in corpora])),
        np.concatenate([corpus.titles for corpus in corpora]),
        first,
        (0, *accumulate(map(len, corpora[:-1]), operator.add)),
    )
