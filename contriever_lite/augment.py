"""Augmentation: small random changes to a view, so that no single word gives the pair away.

Every function takes and returns a `Ragged` batch, works on all rows at once, and chooses tokens
independently; with `continues` (`tokens.continuing_pieces`) it chooses whole words instead: a piece
that continues a word shares the fate of the piece before it in its row. Probability 0 draws nothing
from rng. The paper deletes; its table 7 tries replacing too.
"""

import numpy as np

from contriever_lite.corpus import Ragged


def delete(
    views: Ragged,
    rng: np.random.Generator,
    probability: float = 0.1,
    continues: np.ndarray | None = None,
) -> Ragged:
    """Delete each token with this probability, independently (the paper's: .1, both views).

    continues: (V,) bool, to delete whole words. A row that would lose all its tokens keeps them
    all, so that no view becomes empty.
    """
    row = views.row_of_token()
    keep = ~_chosen(views, rng, probability, continues)
    left = np.bincount(row[keep], minlength=len(views.lengths))
    return select(views, keep | (left == 0)[row])


def mask(
    views: Ragged,
    rng: np.random.Generator,
    probability: float,
    mask_id: int,
    choices: np.ndarray | None = None,
    continues: np.ndarray | None = None,
) -> Ragged:
    """Put mask_id in the place of each token with this probability; lengths stay.

    choices: the ids that may be masked (`tokens.ordinary_ids`), all if None. continues: (V,) bool,
    to mask all pieces of a chosen word.
    """
    tokens = views.tokens.copy()
    tokens[_chosen(views, rng, probability, continues, choices)] = mask_id
    return Ragged(tokens, views.lengths)


def replace(
    views: Ragged,
    rng: np.random.Generator,
    probability: float,
    choices: np.ndarray,
    continues: np.ndarray | None = None,
) -> Ragged:
    """Put a random id in the place of each token with this probability; lengths stay.

    choices: the ids to draw from, all alike (`tokens.ordinary_ids`); a token that is not one of
    them, as [UNK], is left alone. A token may draw itself. continues: (V,) bool, to replace all
    pieces of a chosen word, each by an id of its own.
    """
    tokens = views.tokens.copy()
    chosen = _chosen(views, rng, probability, continues, choices)
    tokens[chosen] = rng.choice(choices, int(chosen.sum()))
    return Ragged(tokens, views.lengths)


def once(views: Ragged) -> Ragged:
    """Each token of a row once, where it first occurs: what a bag reads when repetition does not
    count. When whole texts are encoded, `tokens.counting_once` does nearly the same, to words."""
    row = views.row_of_token()
    pair = row * (views.tokens.max(initial=0) + 1) + views.tokens
    first = np.zeros(len(pair), dtype=bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return select(views, first)


def select(views: Ragged, keep: np.ndarray) -> Ragged:
    """The tokens where keep, (T,) bool, is True, each in its row and in order."""
    lengths = np.bincount(views.row_of_token()[keep], minlength=len(views.lengths))
    return Ragged(views.tokens[keep], lengths)


def _chosen(
    views: Ragged,
    rng: np.random.Generator,
    probability: float,
    continues: np.ndarray | None,
    choices: np.ndarray | None = None,
) -> np.ndarray:
    """(T,) bool: tokens, or whole words, that are hit; only ids of `choices`, if given."""
    if probability == 0:
        return np.zeros(len(views.tokens), dtype=bool)
    if continues is None:
        chosen = rng.random(len(views.tokens)) < probability
    else:
        begins = ~continues[views.tokens]
        begins[views.starts()[views.lengths > 0]] = True
        chosen = (rng.random(begins.sum()) < probability)[np.cumsum(begins) - 1]
    return chosen if choices is None else chosen & np.isin(views.tokens, choices)
