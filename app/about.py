"""Name and version of this build, from the installed package's metadata: pyproject.toml is their only home."""

from importlib.metadata import entry_points

# Found by what it installs, not by its name, which a fork may change.
_DISTRIBUTION = next(one.dist for one in entry_points(group="console_scripts") if one.value == "app.cli:main")
if _DISTRIBUTION is None:
    raise ImportError("the project is not installed: run `make run`, or `pip install --no-deps -e .`")

NAME = _DISTRIBUTION.name
VERSION = _DISTRIBUTION.version
