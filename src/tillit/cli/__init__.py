"""The command line: `tillit <verb>`, or `tillit <room> <verb>`.

In:    arguments.
Out:   results on stdout, talk on stderr, stable exit codes.
Never: a personal value in an error; a stack trace for something we can name.
"""

import sys

from tillit.errors import TillitError


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit."""
    from tillit.cli.words import app  # `tillit.cli.processes` is started without it

    told = _spread_lists(list(sys.argv[1:] if arguments is None else arguments))
    try:
        app(told)
    except TillitError as error:
        if "--json" in told:
            import msgspec

            print(msgspec.json.encode(error.as_document()).decode(), file=sys.stderr)
        else:
            print(f"tillit: {error.message}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _spread_lists(told: list[str]) -> list[str]:
    """Let list options be written once with several values.

    >>> _spread_lists(["--scope", "a", "b", "--json"])
    ['--scope', 'a', '--scope', 'b', '--json']
    """
    spread: list[str] = []
    option = ""
    for word in told:
        if word.startswith("-"):
            option = word if word in {"--scope", "--origin"} else ""
            spread.append(word)
        elif option and spread[-1] != option:
            spread += [option, word]
        else:
            spread.append(word)
    return spread


__all__ = ["main"]
