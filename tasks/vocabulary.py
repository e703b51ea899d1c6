"""Train a SentencePiece vocabulary from any text files.

    python tasks/vocabulary.py OUT.model FILES_OR_FOLDERS... [vocab_size=8000] [character_coverage=1.0]

The same texts in the same order give the same file. Of folders all *.txt files are taken.
"""

import difflib
import logging
import sys
from pathlib import Path

from mixer_tf.data.vocabulary import train_vocabulary

OPTIONS = {"vocab_size": int, "character_coverage": float}


def main(arguments: list[str]) -> None:
    """Train what the command line says."""
    options = [argument for argument in arguments if argument.partition("=")[0] in OPTIONS]
    path, *files = [argument for argument in arguments if argument not in options] or [""]
    for argument in files:
        _refuse_unknown_key(argument)
    if not files:
        raise ValueError(f"text files or folders must be named after the vocabulary's file; given: {path or 'neither'}")
    tokenizer = train_vocabulary(files, path, **dict(map(_option, options)))
    print(f"{path} holds {tokenizer.vocab_size} pieces; use it with vocabulary={path}")


def _option(argument: str):
    key, _, value = argument.partition("=")
    try:
        return key, OPTIONS[key](value)
    except ValueError as error:
        raise ValueError(f"{key} must be a number; given: {value!r}") from error


def _refuse_unknown_key(argument: str) -> None:
    """What looks like `key=value` is a file only if there is one."""
    key, equals, _ = argument.partition("=")
    if equals and key.isidentifier() and not Path(argument).exists():
        nearest = difflib.get_close_matches(key, OPTIONS, cutoff=0.4) or OPTIONS
        raise ValueError(f"tasks/vocabulary.py has no key {key!r}; nearest: {', '.join(nearest)}")


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("mixer_tf").setLevel(logging.INFO)
    if len(sys.argv) < 2 or {"-h", "--help"} & set(sys.argv):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
