"""Every setting of a training run, in one frozen record, and the named presets.

Each field says its unit, the paper's value where it has one, and the source. The presets' values
were chosen on development queries only (the dev half of wikipedia-vital, the training claims of
SciFact); no test query had a say in any of them.
"""

import dataclasses
import difflib
import json
import math
from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from contriever_lite.errors import ConfigError

LOSSES = ("info_nce", "equation_1")
_BOUNDS = {"low": "at least", "above": "more than", "high": "at most", "below": "less than"}


def _setting(default: Any, about: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"about": about, **bounds})


@dataclass(frozen=True)
class TrainConfig:
    """What a run does; `describe(config)` prints it as a table.

    Raises ConfigError for a value of another type or outside its bounds, naming all three.
    """

    seed: int = _setting(0, "seed of every random stream", low=0)
    # tokens and views
    vocab_size: int = _setting(30_000, "word pieces; paper 30,522: BERT's (A.1)", low=100)
    window: int = _setting(256, "tokens a document is cut to; paper 256 (A.1)", low=1)
    query_crop: tuple[float, float] = _setting(
        (0.05, 0.5), "query view: fraction of the window; paper .05 to .5 (A.1)", low=0, high=1
    )
    query_tokens: tuple[int, int] | None = _setting(
        None, "query view in tokens, instead of query_crop; paper: not used", low=1
    )
    query_views: int = _setting(1, "query views of each document, a step; paper 1", low=1)
    key_crop: tuple[float, float] = _setting(
        (0.05, 0.5), "key view: fraction of the window; paper .05 to .5 (A.1)", low=0, high=1
    )
    query_delete: float = _setting(0.1, "probability, a token; paper .1 (A.1)", low=0, below=1)
    key_delete: float = _setting(0.1, "probability, a token; paper .1 (A.1)", low=0, below=1)
    once: bool = _setting(False, "the bag counts each word of a text once; paper: no bag")
    title_pairs: float = _setting(
        0.0, "fraction of batches pairing titles with bodies; paper 0", low=0, high=1
    )
    # encoder
    dimension: int = _setting(512, "numbers in a vector; paper 768 (BERT base)", low=1)
    normalise: bool = _setting(True, "vectors of length 1; paper no: plain dot product (3)")
    idf_weights: bool = _setting(True, "start the bag's weights at idf instead of 1")
    # loss
    loss: str = _setting("info_nce", "or equation_1, the paper's as printed", choices=LOSSES)
    temperature: float = _setting(0.05, "tau; paper .05 (A.1)", above=0)
    symmetric: bool = _setting(False, "also find queries from keys; reference code no")
    # optimisation
    batch_size: int = _setting(1024, "pairs a step; paper 2,048 (A.1)", low=2)
    steps: int = _setting(1000, "updates; paper 500,000 (A.1)", low=0)
    learning_rate: float = _setting(5e-3, "peak; paper 5e-5, for BERT (A.1)", above=0)
    warmup: float = _setting(0.1, "fraction of the steps; reference .04", low=0, high=1)
    betas: tuple[float, float] = _setting((0.9, 0.98), "Adam's; reference .9, .98", low=0, below=1)

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for item in fields(self):
            value = _coerce(item.name, kinds[item.name], getattr(self, item.name))
            object.__setattr__(self, item.name, value)
            _check(item, value)

    def replace(self, **changes: Any) -> "TrainConfig":
        """A copy with some settings changed; an unknown name is a ConfigError."""
        return from_dict({**dataclasses.asdict(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` turns them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def _coerce(name: str, kind: Any, value: Any) -> Any:
    for option in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        parts = get_args(option)
        if get_origin(option) is tuple and isinstance(value, (list, tuple)):
            if len(value) == len(parts):
                return tuple(map(_coerce, [name] * len(parts), parts, value))
        elif option is float and type(value) is int:
            return float(value)
        elif type(value) is option or (option is NoneType and value is None):
            return value
    wanted = getattr(kind, "__name__", None) if get_origin(kind) is None else str(kind)
    raise ConfigError(f"{name} = {value!r}: must be of type {wanted}")


def _check(item: dataclasses.Field, value: Any) -> None:
    rule = item.metadata
    if value not in rule.get("choices", (value,)):
        raise ConfigError(f"{item.name} = {value!r}: choose one of {', '.join(rule['choices'])}")
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        raise ConfigError(f"{item.name} = {value!r}: must be finite")
    tests = {
        "low": lambda n, bound: n >= bound,
        "above": lambda n, bound: n > bound,
        "high": lambda n, bound: n <= bound,
        "below": lambda n, bound: n < bound,
    }
    given = {key: rule[key] for key in tests if key in rule and value is not None}
    if not all(tests[key](n, bound) for key, bound in given.items() for n in numbers):
        words = " and ".join(f"{_BOUNDS[key]} {bound}" for key, bound in given.items())
        raise ConfigError(f"{item.name} = {value!r}: must be {words}")
    if isinstance(value, tuple) and item.name != "betas" and value[0] > value[1]:
        raise ConfigError(f"{item.name} = {value!r}: the smaller number comes first")


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
        changes[name.strip()] = _value(text.strip())
    return config.replace(**changes)


def _value(text: str) -> Any:
    for attempt in (text, text.lower(), f"[{text}]"):
        try:
            return json.loads(attempt)
        except json.JSONDecodeError:
            continue
    return None if text == "None" else text


def preset(name: str) -> TrainConfig:
    """A named preset; an unknown name is a ConfigError that lists them."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def describe(config: TrainConfig) -> str:
    """One line a setting: name, value, unit, the paper's value and where it stands."""
    return "\n".join(
        f"{item.name:<14} {getattr(config, item.name)!s:<14} {item.metadata['about']}"
        for item in fields(config)
    )


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
}
