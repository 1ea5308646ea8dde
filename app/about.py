"""Name and version of this build, read from the installed package, so that pyproject.toml is their only home."""

from importlib.metadata import metadata, packages_distributions

_DISTRIBUTION = packages_distributions()["app"][0]
_METADATA = metadata(_DISTRIBUTION)

NAME: str = _METADATA["Name"]
VERSION: str = _METADATA["Version"]
