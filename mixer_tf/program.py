"""What the programs in `tasks/` share: the command line of a recipe, and errors of one line."""

import dataclasses
import inspect
import logging
import re
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
    except Exception as error:
        if type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
            raise
        sys.exit(_fail("the model and its batch must fit into memory; given: more; lower batch_size or image_size"))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(sentence: str) -> int:
    if sentence.startswith("image_shape"):  # of a builder; the key of a recipe is another
        sentence = re.sub(r"\((\d+), (\d+), 3\)", r"\1x\2", sentence.replace("image_shape", "image_size"))
    sys.stderr.write(f"{sentence}\n")
    return 2


def _help(recipe, description: str | None) -> str:
    """The program's description and every key with its value in this recipe and its meaning."""
    lines = []
    for field in dataclasses.fields(recipe):
        lines += [f"  {field.name}={getattr(recipe, field.name)!r}", f"      {_meaning(type(recipe), field.name)}"]
    return "\n".join([f"{description}", "Keys, their values in this recipe, and what they mean:", "", *lines, ""])


def _meaning(recipe_type: type, key: str) -> str:
    """What the docstring of the recipe, or of the one that it extends, says of a key."""
    for kind in recipe_type.__mro__:
        if found := re.search(rf"^ *{key}: ((?:.|\n {{8,}})*)", inspect.getdoc(kind) or "", re.MULTILINE):
            return " ".join(found[1].split())
    return ""
