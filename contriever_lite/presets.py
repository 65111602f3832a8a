"""Named settings of whole runs.

The values were chosen on development queries only (the dev half of wikipedia-vital, the training
claims of SciFact, the training questions of FeedbackQA); no test query had a say in any of them.
"""

from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError

_LAPTOP = TrainConfig(
    vocab_size=16_000,
    window=512,
    query_tokens=(5, 24),
    query_views=6,
    key_crop=(0.5, 1.0),
    query_delete=0.3,
    key_delete=0.2,
    temperature=0.07,
    symmetric=True,
    batch_size=512,
    steps=420,
    learning_rate=1e-2,
)
PRESETS = {
    "demo": _LAPTOP.replace(once=True),  # short documents: repetition misleads
    "laptop": _LAPTOP,
    "adapt": _LAPTOP.replace(
        start="wiki", dimension=1024, stop_words="english", learning_rate=2e-3, steps=300, epochs=20
    ),
    "wiki": _LAPTOP.replace(vocab_size=28_000, window=256, steps=6000),
}


def preset(name: str) -> TrainConfig:
    """A named preset; an unknown name is a ConfigError that lists them."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
