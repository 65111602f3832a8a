"""Options that were given and would count for nothing: said, instead of passed over."""

from argparse import Namespace

from contriever_lite.errors import ConfigError


def refuse(arguments: Namespace, reason: str, *names: str) -> None:
    """Raise ConfigError if one of these options was given: for this reason it has no use."""
    values = {name: getattr(arguments, name.strip("-").replace("-", "_")) for name in names}
    given = [name for name, value in values.items() if value not in (None, False, [])]
    if given:
        raise ConfigError(f"{reason}: leave {', '.join(given)} out")
