"""Settings: refused where they make no sense, the same after a journey through JSON."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.config import (
    LOSSES,
    OBJECTIVES,
    TrainConfig,
    describe,
    from_dict,
    with_settings,
)
from contriever_lite.errors import ConfigError
from contriever_lite.presets import PRESETS, preset

FIELDS = [item.name for item in dataclasses.fields(TrainConfig)]
SHARE = st.floats(0, 1)
ORDERED = st.tuples(SHARE, SHARE).map(sorted).map(tuple)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed = -1: must be at least 0"),
        ({"seed": 1.0}, "seed = 1.0: must be of type int"),
        ({"seed": True}, "seed = True: must be of type int"),
        ({"steps": "many"}, "steps = 'many': must be of type int"),
        ({"steps": None}, "steps = None: must be of type int"),
        ({"normalise": 1}, "normalise = 1: must be of type bool"),
        ({"vocab_size": 99}, "vocab_size = 99: must be at least 100"),
        ({"batch_size": 1}, "batch_size = 1: must be at least 2"),
        ({"temperature": 0}, "temperature = 0.0: must be more than 0"),
        ({"temperature": float("nan")}, "temperature = nan: must be finite"),
        ({"learning_rate": float("inf")}, "learning_rate = inf: must be finite"),
        ({"query_delete": 1}, "query_delete = 1.0: must be at least 0 and less than 1"),
        ({"title_pairs": 1.5}, "title_pairs = 1.5: must be at least 0 and at most 1"),
        ({"query_crop": (0.5, 0.2)}, "query_crop = (0.5, 0.2): the smaller number comes first"),
        ({"query_crop": (0.5, 1.2)}, "query_crop = (0.5, 1.2): must be at least 0 and at most 1"),
        ({"query_crop": 0.5}, "query_crop = 0.5: must be of type tuple[float, float]"),
        ({"query_crop": (0.1, 0.2, 0.3)}, "must be of type tuple[float, float]"),
        ({"query_crop": ("a", "b")}, "query_crop = 'a': must be of type float"),
        ({"query_tokens": (0, 4)}, "query_tokens = (0, 4): must be at least 1"),
        ({"query_tokens": (1.5, 4)}, "query_tokens = 1.5: must be of type int"),
        ({"query_tokens": 4}, "query_tokens = 4: must be of type tuple[int, int] | None"),
        ({"betas": (0.9, 1.0)}, "betas = (0.9, 1.0): must be at least 0 and less than 1"),
        ({"pair": "halves"}, "pair = 'halves': choose one of crops, inverse_cloze"),
        (
            {"pair": "inverse_cloze", "query_views": 2},
            "query_views = 2 with pair = 'inverse_cloze': a key lacks one query's span",
        ),
        ({"span_kept": 1.1}, "span_kept = 1.1: must be at least 0 and at most 1"),
        ({"query_mask": 1}, "query_mask = 1.0: must be at least 0 and less than 1"),
        ({"key_replace": -0.1}, "key_replace = -0.1: must be at least 0 and less than 1"),
        ({"whole_words": 1}, "whole_words = 1: must be of type bool"),
        ({"loss": "mse"}, "loss = 'mse': choose one of info_nce, equation_1"),
        ({"objective": "past"}, "objective = 'past': choose one of in_batch, queue, moco"),
        ({"queue_size": 0}, "queue_size = 0: must be at least 1"),
        ({"momentum": 1.1}, "momentum = 1.1: must be at least 0 and at most 1"),
        ({"micro_batch": 0}, "micro_batch = 0: must be at least 1"),
        (
            {"symmetric": True, "loss": "sigmoid"},
            "symmetric = True with loss = 'sigmoid', which has no use for it; set symmetric=false, "
            "or loss=info_nce",
        ),
        (
            {"symmetric": True, "objective": "queue"},
            "set symmetric=false, or objective=in_batch",
        ),
        ({"ship_slow": True}, "set ship_slow=false, or objective=moco"),
        ({"ship_slow": True, "objective": "queue"}, "ship_slow = True with objective = 'queue'"),
        ({"batch_negatives": True}, "set batch_negatives=false, or objective=queue or moco"),
        ({"queue_noise": True}, "queue_noise = True with objective = 'in_batch'"),
        ({"key_dropout": False}, "set key_dropout=true, or objective=queue or moco"),
        ({"key_gradient": True, "objective": "moco"}, "or objective=queue"),
        ({"momentum_schedule": "cosine"}, "set momentum_schedule=constant, or objective=moco"),
        ({"span_kept": 0.5}, "set span_kept=0.1, or pair=inverse_cloze"),
        ({"bias": -5.0}, "set bias=-10.0, or loss=sigmoid"),
        ({"masked": 0.3}, "set masked=0.15, or objective=mlm"),
        ({"once": True, "encoder": "transformer"}, "set once=false, or encoder=bag"),
        (
            {"layers": 12, "heads": 12, "dropout": 0.0, "specials": False},
            "layers = 12 with encoder = 'bag', which has no use for it; set layers=4 heads=8 "
            "dropout=0.1 specials=true, or encoder=transformer",
        ),
        (
            {"key_gradient": True, "key_dropout": False, "objective": "queue"},
            "key_gradient = True with key_dropout = False: keys that learn",
        ),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainConfig(**settings)
    assert message in str(error.value)


def test_values_at_the_edges_are_allowed() -> None:
    config = TrainConfig(
        seed=0, vocab_size=100, window=1, batch_size=2, steps=0, warmup=1, title_pairs=1,
        query_crop=(0, 1), key_crop=(0.5, 0.5), query_tokens=(1, 1), betas=(0.99, 0.9),
        loss=LOSSES[1],
    )  # fmt: skip
    assert config.query_crop == (0.0, 1.0)
    assert isinstance(config.warmup, float), "a whole number becomes a float where one is meant"


@given(
    query=ORDERED,
    key=ORDERED,
    tokens=st.none() | st.tuples(st.integers(1, 9), st.integers(9, 99)),
    rate=st.floats(1e-6, 1, exclude_min=True),
    seed=st.integers(0, 2**40),
    loss=st.sampled_from(LOSSES),
    objective=st.sampled_from([name for name in OBJECTIVES if name != "mlm"]),
    micro_batch=st.none() | st.integers(1, 9),
)
def test_json_and_back(query, key, tokens, rate, seed, loss, objective, micro_batch) -> None:
    config = TrainConfig(
        query_crop=query,
        key_crop=key,
        query_tokens=tokens,
        learning_rate=rate,
        seed=seed,
        loss=loss,
        objective=objective,
        micro_batch=micro_batch,
    )
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert list(config.to_dict()) == FIELDS


def test_replace_makes_a_copy_and_refuses_unknown_names() -> None:
    config = TrainConfig()
    assert config.replace(steps=7, query_tokens=[2, 4]) == TrainConfig(steps=7, query_tokens=(2, 4))
    assert config == TrainConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 3
    with pytest.raises(ConfigError, match="no setting 'stepz'; did you mean steps"):
        config.replace(stepz=7)
    with pytest.raises(ConfigError) as error:
        from_dict({"qqqqqq": 1})
    assert all(name in str(error.value) for name in FIELDS), "nothing is near: all are named"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["steps=5", "loss=equation_1"], {"steps": 5, "loss": "equation_1"}),
        (["learning_rate=1e-3", "warmup=0"], {"learning_rate": 0.001, "warmup": 0.0}),
        (["query_tokens=4,32"], {"query_tokens": (4, 32)}),
        (["query_tokens=[4, 32]"], {"query_tokens": (4, 32)}),
        (["normalise=False", "symmetric=true"], {"normalise": False, "symmetric": True}),
        (["query_tokens=4,32", "query_tokens=null"], {"query_tokens": None}),
        (["query_tokens=None"], {"query_tokens": None}),
        (["query_crop=.1,.5", "warmup=.2"], {"query_crop": (0.1, 0.5), "warmup": 0.2}),
        (["start=bert-base-uncased"], {"start": "bert-base-uncased"}),
        (["steps = 5"], {"steps": 5}),
        (["start=wiki", "start="], {"start": ""}),
    ],
)
def test_settings_of_a_command_line(words: list[str], expected: dict) -> None:
    assert with_settings(TrainConfig(), words) == TrainConfig(**expected)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("steps", "'steps': write a setting as name=value"),
        ("learning-rate=1", "did you mean learning_rate"),
        ("steps=a lot", "steps = 'a lot': must be of type int"),
        ("steps=", "must be of type int"),
        ("temperature=NaN", "temperature = nan"),
    ],
)
def test_a_bad_word_of_a_command_line_is_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        with_settings(TrainConfig(), [word])
    assert message in str(error.value)


def test_how_to_start_needs_a_start() -> None:
    with pytest.raises(
        ConfigError, match=r"start_share = 0.65, start_whiten = 0.5 without a start"
    ):
        preset("adapt").replace(start="")
    back = ["start=", "start_share=0.5", "start_whiten=0"]
    assert with_settings(preset("adapt"), back).start == ""


def test_a_preset_that_changes_its_kind_says_what_to_set_back() -> None:
    with pytest.raises(ConfigError) as error:
        preset("paper").replace(encoder="bag")
    settings = str(error.value).split("; set ")[1].split(", or ")[0].split()
    assert settings == ["layers=4", "heads=8", "weight_decay=0.0"]
    assert with_settings(preset("paper"), ["encoder=bag", *settings]).encoder == "bag"


def test_presets_are_found_by_name() -> None:
    assert {"demo", "laptop"} <= set(PRESETS)
    assert all(preset(name) is PRESETS[name] for name in PRESETS)
    with pytest.raises(ConfigError, match="no preset 'huge'; choose one of demo, laptop"):
        preset("huge")


def test_the_description_shows_every_setting_with_its_meaning() -> None:
    lines = describe(TrainConfig(steps=123)).splitlines()
    assert [line.split()[0] for line in lines] == FIELDS
    assert any(line.startswith("steps ") and " 123 " in line for line in lines)
    for item, line in zip(dataclasses.fields(TrainConfig), lines, strict=True):
        assert item.metadata["about"]
        assert line.endswith(item.metadata["about"])
