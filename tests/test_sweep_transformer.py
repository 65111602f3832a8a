"""The script behind chapter 08's comparison: what it searches, and what it varies."""

import pytest
from sweep_transformer import BASELINE, SETTINGS, shelf

from contriever_lite.beir import Collection
from contriever_lite.config import TrainConfig


def test_shelf_keeps_every_third_document_and_the_queries_that_ask_for_one() -> None:
    corpus = {f"d{i}": {"title": "", "text": str(i)} for i in range(8)}
    qrels = {"a": {"d1": 1}, "b": {"d3": 1}, "c": {"d2": 1, "d6": 1}}
    whole = Collection("x", "dev", corpus, dict.fromkeys(qrels, "?"), qrels)
    found = shelf(whole, every=3)
    assert list(found.corpus) == ["d0", "d3", "d6"]
    assert found.qrels.keys() == found.queries.keys() == {"b", "c"}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_share_all_but_what_their_name_says(name: str) -> None:
    """Bags and transformers see the same views, batches and pieces as the baseline."""
    config, base = SETTINGS[name][0], SETTINGS[BASELINE][0]
    shared = ("vocab_size", "dimension", "query_tokens", "key_crop", "batch_size", "temperature")
    assert isinstance(config, TrainConfig)
    assert [getattr(config, key) for key in shared] == [getattr(base, key) for key in shared]
    assert (config.encoder == "bag") == name.startswith("bag")
    assert config.steps == base.steps or "steps" in name
