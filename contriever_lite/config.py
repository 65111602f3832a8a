"""Every setting of a training run, in one frozen record.

Each field says its unit, the paper's value where it has one, and the source; presets.py names
whole settings.
"""

import dataclasses
import difflib
import json
from dataclasses import dataclass, fields
from typing import Any

from contriever_lite.errors import ConfigError
from contriever_lite.settings import check_settings, read_value, setting

PAIRS = ("crops", "inverse_cloze")
LOSSES = ("info_nce", "equation_1", "decoupled", "sigmoid")
OBJECTIVES = ("in_batch", "queue", "moco", "mlm")
ENCODERS = ("bag", "transformer")
MIXTURES = ("example", "batch", "share", "size")
PRECISIONS = ("float32", "bf16", "fp16", "auto")
RATES = ("cosine", "linear")
SCHEDULES = ("constant", "cosine")
QUEUED = ("queue", "moco")
BAG, TRANSFORMER = {"encoder": ("bag",)}, {"encoder": ("transformer",)}
QUEUES = {"objective": QUEUED}
QUEUE, MOCO, MLM = ({"objective": (name,)} for name in ("queue", "moco", "mlm"))
CLOZE, SIGMOID = {"pair": ("inverse_cloze",)}, {"loss": ("sigmoid",)}
TWO_WAYS = {"objective": ("in_batch",), "loss": ("info_nce",)}


@dataclass(frozen=True)
class TrainConfig:
    """What a run does; `describe(config)` prints it as a table.

    Raises ConfigError for a value of another type or outside its bounds, naming all three.
    """

    seed: int = setting(0, "seed of every random stream", low=0)
    # tokens and views
    vocab_size: int = setting(30_000, "word pieces to learn, where no start or prepared corpus "
                              "brings them; paper 30,522: BERT's (A.1)", low=100)  # fmt: skip
    window: int = setting(256, "tokens a document is cut to; paper 256 (A.1)", low=1)
    straddle: bool = setting(False, "windows may hold the end of one document and the start of the "
                             "next; reference yes")  # fmt: skip
    mixture: str = setting("example", "several corpora: equal chance an example, whole batches in "
                           "turn, equal share of each batch, by size; paper batch, reference "
                           "example", choices=MIXTURES)  # fmt: skip
    pair: str = setting("crops", "or inverse_cloze; paper crops (table 7)", choices=PAIRS)
    span_kept: float = setting(0.1, "probability; Lee et al. .1", low=0, high=1, needs=CLOZE)
    query_crop: tuple[float, float] = setting(
        (0.05, 0.5), "query view: share of window; paper .05, .5 (A.1)", ordered=True, low=0, high=1
    )
    query_tokens: tuple[int, int] | None = setting(
        None, "query view in tokens, instead of query_crop; paper: not used", ordered=True, low=1
    )
    query_views: int = setting(1, "query views of each document, a step; paper 1", low=1)
    key_crop: tuple[float, float] = setting(
        (0.05, 0.5), "key view: share of window; paper .05, .5 (A.1)", ordered=True, low=0, high=1
    )
    query_delete: float = setting(0.1, "probability, a token; paper .1 (A.1)", low=0, below=1)
    key_delete: float = setting(0.1, "probability, a token; paper .1 (A.1)", low=0, below=1)
    query_mask: float = setting(0.0, "probability, a token; paper 0", low=0, below=1)
    key_mask: float = setting(0.0, "probability, a token; paper 0", low=0, below=1)
    query_replace: float = setting(0.0, "probability, a token; paper 0", low=0, below=1)
    key_replace: float = setting(0.0, "probability, a token; paper 0", low=0, below=1)
    whole_words: bool = setting(False, "delete, mask, replace whole words; paper: word pieces")
    once: bool = setting(False, "the bag counts each word of a text once; paper: no bag", needs=BAG)
    title_pairs: float = setting(
        0.0, "fraction of batches pairing titles with bodies; paper 0", low=0, high=1
    )
    # encoder
    encoder: str = setting("bag", "paper transformer: BERT base (A.1)", choices=ENCODERS)
    start: str = setting("", "model to start from: wiki, or a folder; paper BERT (A.1)")
    start_share: float = setting(
        0.5, "a start's, of squared length, beside fresh numbers", above=0, below=1, needs=BAG
    )
    start_whiten: float = setting(
        0.0, "evens out a start's axes: 0 not at all, 1 wholly", low=0, high=1, needs=BAG
    )
    stop_words: str = setting("", "language whose stop words start mute; paper none", needs=BAG)
    dimension: int = setting(512, "numbers in a vector; paper 768 (BERT base)", low=1)
    layers: int = setting(4, "the transformer's; paper 12 (BERT base)", low=1, needs=TRANSFORMER)
    heads: int = setting(8, "of attention, a layer; paper 12 (BERT)", low=1, needs=TRANSFORMER)
    dropout: float = setting(0.1, "in training; reference .1", low=0, below=1, needs=TRANSFORMER)
    specials: bool = setting(True, "reads [CLS] text [SEP]; reference yes", needs=TRANSFORMER)
    compile: bool = setting(False, "torch.compile the transformer; reference no", needs=TRANSFORMER)
    normalise: bool = setting(True, "vectors of length 1; paper no: plain dot product (3)")
    idf_weights: bool = setting(True, "start the bag's weights at idf instead of 1")
    # loss
    loss: str = setting("info_nce", "equation_1 is the paper's as printed", choices=LOSSES)
    temperature: float = setting(0.05, "tau; paper .05 (A.1)", above=0)
    learn_temperature: bool = setting(False, "tau (and sigmoid's bias) learnt; paper no")
    bias: float = setting(-10.0, "of the sigmoid loss, at first", needs=SIGMOID)
    symmetric: bool = setting(
        False, "also find queries from keys; reference code no", needs=TWO_WAYS
    )
    skip_same_text: bool = setting(False, "equal texts are no negatives; reference code no")
    # negatives
    objective: str = setting(
        "in_batch", "where negatives come from; paper moco", choices=OBJECTIVES
    )
    queue_size: int = setting(4096, "keys; paper 131,072 (A.1)", low=1)
    momentum: float = setting(0.9995, "of the slow encoder; paper .9995 (A.1)", low=0, high=1)
    momentum_schedule: str = setting(
        "constant", "cosine grows to 1; paper constant", choices=SCHEDULES, needs=MOCO
    )
    batch_negatives: bool = setting(
        False, "the batch's other keys too; reference code no", needs=QUEUES
    )
    key_gradient: bool = setting(False, "through the batch's keys too; paper no", needs=QUEUE)
    key_dropout: bool = setting(True, "on where keys are encoded; reference yes", needs=QUEUES)
    queue_noise: bool = setting(
        False, "the queue starts full of noise; reference yes", needs=QUEUES
    )
    ship_slow: bool = setting(False, "the slow encoder is the result; reference no", needs=MOCO)
    micro_batch: int | None = setting(None, "rows a forward, gradients cached; paper no", low=1)
    # optimisation
    batch_size: int = setting(1024, "pairs a step; paper 2,048 (A.1)", low=2)
    steps: int = setting(1000, "updates; paper 500,000 (A.1)", low=0)
    epochs: float | None = setting(None, "stop after so many passes, if sooner; paper no", above=0)
    learning_rate: float = setting(5e-3, "peak; paper 5e-5, for BERT (A.1)", above=0)
    rate: str = setting("cosine", "how it falls after the warm-up; reference linear", choices=RATES)
    warmup: float = setting(0.1, "fraction of the steps; reference .04", low=0, high=1)
    betas: tuple[float, float] = setting((0.9, 0.98), "Adam's; reference .9, .98", low=0, below=1)
    weight_decay: float = setting(
        0.0, "AdamW's, of the transformer; reference .01", low=0, needs=TRANSFORMER
    )
    clip: float | None = setting(None, "largest norm of the gradient; reference none", above=0)
    precision: str = setting(
        "float32", "auto: bf16 or fp16 as the GPU allows; reference float32", choices=PRECISIONS
    )
    masked: float = setting(0.15, "share of tokens to guess; BERT .15", above=0, below=1, needs=MLM)

    def __post_init__(self) -> None:
        check_settings(self)
        self._check_together()

    def _check_together(self) -> None:
        if not self.start and (self.start_share != 0.5 or self.start_whiten):
            raise ConfigError(
                f"start_share = {self.start_share}, start_whiten = {self.start_whiten} without a "
                "start: set start=wiki, or start_share=0.5 start_whiten=0"
            )
        if self.objective == "mlm" and (self.encoder == "bag" or self.micro_batch):
            raise ConfigError(
                f"objective = 'mlm' with encoder = {self.encoder!r}, micro_batch = "
                f"{self.micro_batch}: it trains a transformer, and needs no large batch; set "
                "encoder=transformer micro_batch=null"
            )
        if self.pair == "inverse_cloze" and self.query_views > 1:
            raise ConfigError(
                f"query_views = {self.query_views} with pair = 'inverse_cloze': a key lacks one "
                "query's span; set query_views=1"
            )
        if self.key_gradient and not self.key_dropout:
            raise ConfigError(
                "key_gradient = True with key_dropout = False: keys that learn are encoded with "
                "the queries, dropout on; set key_dropout=true"
            )

    def replace(self, **changes: Any) -> "TrainConfig":
        """A copy with some settings changed; an unknown name is a ConfigError."""
        return from_dict({**dataclasses.asdict(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` turns them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def from_dict(values: dict[str, Any]) -> TrainConfig:
    """A config from names and values, as read from JSON; unknown names are refused."""
    known = [item.name for item in fields(TrainConfig)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known) or known
            raise ConfigError(f"there is no setting {name!r}; did you mean {', '.join(near)}?")
    return TrainConfig(**values)


def with_settings(config: TrainConfig, settings: list[str]) -> TrainConfig:
    """Apply `name=value` words of a command line. Values are JSON (`[4, 32]`, `null`, `true`,
    `1e-3`); a bare word is a string and `4,32` is a pair."""
    changes = {}
    for word in settings:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r}: write a setting as name=value, as in steps=500")
        changes[name.strip()] = read_value(text.strip())
    return config.replace(**changes)


def describe(config: TrainConfig) -> str:
    """One line a setting: name, value, unit, the paper's value and where it stands."""
    return "\n".join(
        f"{item.name:<14} {getattr(config, item.name)!s:<14} {item.metadata['about']}"
        for item in fields(config)
    )
