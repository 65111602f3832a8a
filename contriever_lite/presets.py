"""Named settings of whole runs.

The values were chosen on development queries only (the dev half of wikipedia-vital, the training
claims of SciFact, the training questions of FeedbackQA); no test query had a say in any of them.
Those for a GPU follow the paper.
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
# The paper's recipe (section 4 and A.1), and the released code's where the paper is silent: BERT
# base, two crops of 5 to 50 %, deletion, MoCo, dot product, AdamW, a linear rate.
_PAPER = TrainConfig(
    encoder="transformer",
    start="bert-base-uncased",
    dimension=768,
    layers=12,
    heads=12,
    normalise=False,
    vocab_size=30_522,
    objective="moco",
    queue_size=131_072,
    momentum=0.9995,
    mixture="batch",
    batch_size=2048,
    steps=500_000,
    learning_rate=5e-5,
    rate="linear",
    warmup=0.04,
    weight_decay=0.01,
)
PRESETS = {
    "demo": _LAPTOP.replace(once=True),  # short documents: repetition misleads
    "laptop": _LAPTOP,
    "adapt": _LAPTOP.replace(
        start="wiki",
        start_whiten=0.5,
        start_share=0.65,
        dimension=1024,
        stop_words="english",
        symmetric=False,  # as in the paper; from nothing the two are level
        query_delete=0.1,
        temperature=0.06,
        learning_rate=1.2e-3,
        steps=300,
        epochs=40,
    ),
    "wiki": _LAPTOP.replace(vocab_size=28_000, window=256, steps=6000),
    "paper": _PAPER,
    "colab-t4": _PAPER.replace(
        queue_size=16_384, momentum=0.999, batch_size=128, steps=6000, precision="auto", clip=1.0
    ),
    "one-gpu": _PAPER.replace(
        start="wiki",
        dimension=512,  # BERT small (Turc et al. 2019), on the words of the bag that ships
        layers=4,
        heads=8,
        normalise=True,  # from random layers the plain product learns next to nothing (chapter 08)
        queue_size=32_768,
        momentum=0.999,
        batch_size=2048,
        steps=8000,
        learning_rate=3e-4,
        precision="auto",
        clip=1.0,
    ),
    "cpu-transformer": _PAPER.replace(  # about three minutes of one core (chapter 08)
        start="wiki",
        dimension=128,
        layers=2,
        heads=4,
        dropout=0.0,
        normalise=True,  # the plain dot product needs a longer run: chapter 08
        objective="in_batch",
        query_tokens=(5, 24),
        key_crop=(0.1, 0.5),
        batch_size=128,
        steps=300,
        learning_rate=2e-3,
        rate="cosine",
        warmup=0.1,
        clip=1.0,
    ),
}


def preset(name: str) -> TrainConfig:
    """A named preset; an unknown name is a ConfigError that lists them."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
