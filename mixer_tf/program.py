"""What the programs in `tasks/` share: the command line of a recipe, and errors of one line."""

import dataclasses
import logging
import sys
from collections.abc import Callable

from mixer_tf.recipe import SomeRecipe, load


def run(main: Callable[[SomeRecipe], None], recipe_type: type[SomeRecipe], description: str | None) -> None:
    """Run `main` with the recipe that the command line names: `RECIPE.py [key=value ...] [--help]`.

    What the user can mend (the package's own one-sentence errors, files that cannot be read or written) ends
    the program with exit code 2 and that sentence; anything else is a defect and keeps its traceback.
    """
    logger = logging.getLogger("mixer_tf")  # its news, but not TensorFlow's
    logger.handlers = [logging.StreamHandler(sys.stdout)]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # other packages install handlers of their own above it
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    arguments = [argument for argument in sys.argv[1:] if argument not in ("-h", "--help")]
    wants_help = len(arguments) < len(sys.argv) - 1
    try:
        if not arguments:
            sys.stdout.write(f"{description}\n")
            sys.exit(0 if wants_help else 2)
        recipe = load(arguments[0], recipe_type, arguments[1:])
        if wants_help:
            sys.stdout.write(_help(recipe, description))
        else:
            main(recipe)
    except (ValueError, OSError, ImportError) as error:
        if "\n" in str(error):
            raise
        sys.exit(_fail(str(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


def _help(recipe, description: str | None) -> str:
    """The program's description and every key with its value in this recipe."""
    lines = [f"  {field.name}={getattr(recipe, field.name)!r}" for field in dataclasses.fields(recipe)]
    return "\n".join([f"{description}", "Keys and their values in this recipe:", "", *lines, ""])
