"""A collector with a planted bug: `python -m tests.drills.planted BUG …`, else as `python -m app …`."""

import sys
from importlib import import_module

from app.cli import main
from tests.drills import planted

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in planted.BUGS:
        sys.exit(f"usage: python -m {planted.__name__} {{{','.join(planted.BUGS)}}} COMMAND [OPTIONS]")
    import_module(f"{planted.__name__}.{sys.argv[1]}").plant()
    main(sys.argv[2:])
