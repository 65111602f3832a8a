"""The command line: `contriever-lite COMMAND --help` says what each part takes."""

import sys
import warnings
from collections.abc import Sequence

from contriever_lite.errors import UserError, next_step
from contriever_lite.parser import parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Status 0 only for success; an error that a user can mend goes to standard
    error in one or two lines, without a traceback unless --debug."""
    arguments = parser().parse_args(words)
    warnings.showwarning = _show_warning
    try:
        arguments.function(arguments)
    except (UserError, OSError) as error:
        if arguments.debug:
            raise
        print(f"contriever-lite: {error}{next_step(error)}", file=sys.stderr)
        return getattr(error, "status", 1)
    except KeyboardInterrupt:
        print("contriever-lite: stopped", file=sys.stderr)
        return 130
    return 0


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"contriever-lite: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
