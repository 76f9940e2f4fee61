"""The command line: each command parses, makes one library call, and prints."""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit code 0 ok, 1 for an error that is said in one line, 2 for wrong usage, 130 for Ctrl-C.

    `--debug` anywhere shows the traceback.
    """
    try:
        from model_lego.cli.commands import run  # everything is imported in here, so that Ctrl-C is always one line

        run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        sys.exit(130)
