"""Settings: fields of a record that know their bounds, and errors that name what is wrong."""

import json
import math
from ast import literal_eval
from contextlib import suppress
from dataclasses import Field, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from contriever_lite.errors import ConfigError

_BOUNDS = {"low": "at least", "above": "more than", "high": "at most", "below": "less than"}
ANEW = "start anew with another --out"


def setting(default: Any, about: str, **rules: Any) -> Any:
    """A field with a line about it and its rules.

    low, above, high, below: bounds. choices: all values. ordered: of a pair, the smaller number
    comes first. needs: {other field: its values with which this one may differ from its default}.
    """
    return field(default=default, metadata={"about": about, **rules})


def read_value(text: str) -> Any:
    """A setting's value as written on a command line: of JSON or Python (`null`, `True`, `.5`,
    `4,32` for a pair), or a bare word."""
    for read, form in (json.loads, text), (json.loads, text.lower()), (literal_eval, text):
        with suppress(ValueError, SyntaxError):
            return read(form)
    return text


def check_settings(record: Any) -> None:
    """Check every field of a frozen dataclass against its type and bounds; whole numbers become
    floats and lists tuples where the type says so. Raises ConfigError naming field, value, rule."""
    kinds = get_type_hints(type(record))
    for item in fields(record):
        value = _coerce(item.name, kinds[item.name], getattr(record, item.name))
        object.__setattr__(record, item.name, value)
        _check(item, value)
    _check_needs(record)


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


def _check(item: Field, value: Any) -> None:
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
    if rule.get("ordered") and value is not None and value[0] > value[1]:
        raise ConfigError(f"{item.name} = {value!r}: the smaller number comes first")


def _check_needs(record: Any) -> None:
    """Raise for the first field that another one makes useless, and name the way back of all that
    this other one does so to."""
    useless = [
        (item, other, allowed)
        for item in fields(record)
        for other, allowed in item.metadata.get("needs", {}).items()
        if getattr(record, item.name) != item.default and getattr(record, other) not in allowed
    ]
    if useless:
        item, other, allowed = useless[0]
        same = (each for each, name, _ in useless if name == other)
        usual = " ".join(f"{each.name}={str(each.default).lower()}" for each in same)
        raise ConfigError(
            f"{item.name} = {getattr(record, item.name)!r} with {other} = "
            f"{getattr(record, other)!r}, which has no use for it; set {usual}, or "
            f"{other}={' or '.join(map(str, allowed))}"
        )


def refuse_differences(
    old: dict[str, Any], new: dict[str, Any], place: Path, otherwise: str = ANEW
) -> None:
    """Raise ConfigError if two sets of settings differ, naming each with both values. otherwise:
    what one can do who wants the new ones."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if names:
        pairs = "; ".join(f"{n} = {old.get(n)} there, {new.get(n)} now" for n in names)
        raise ConfigError(
            f"{place} was made with other settings: {pairs}. Go on with the same settings, or "
            f"{otherwise}"
        )
