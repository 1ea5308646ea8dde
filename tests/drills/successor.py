"""Successor: the next version of the code, made of this one, with a revision of the schema that it needs and uses.

As a change that keeps to "expand first" has it: a column more, which may be empty, and which only the new code
fills. The old code is admitted still.
"""

import re
import shutil
from pathlib import Path

from tests.process import ROOT

COLUMN = "written_by"
MARK = "successor"  # in that column of whatever it has written
REVISION = """\"\"\"Who has written an event.\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "{after:04}"
down_revision = "{before:04}"


def upgrade() -> None:
    \"\"\"Expand: a column that the code before knows nothing of.\"\"\"
    op.add_column("events", sa.Column("{column}", sa.Text))
    op.execute("UPDATE schema_version SET revision = {after}")
"""
# What is changed in which file: each has to be found there.
EDITS = (
    ("about.py", r"^VERSION = (.*)$", r'VERSION = \1 + "+next"'),
    ("store/tables.py", r'^    Column\("data", DATA\),$', rf'\g<0>\n    Column("{COLUMN}", Text),'),
    (
        "store/keep.py",
        r"(INSERT INTO events \(.*subject, data)(\)\n  SELECT .*subject, data)$",
        rf"\1, {COLUMN}\2, '{MARK}'",
    ),
)


def make(folder: Path) -> Path:
    """Make it there, to be run as `python -m app` from the folder that this gives. LookupError where the code has
    no such place any more.
    """
    place = folder / "successor"
    code = shutil.copytree(ROOT / "app", place / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in EDITS:
        _edit(code / name, before, after)
    store = code / "store" / "__init__.py"
    (revision,) = map(int, re.findall(r"^CODE = (\d+)$", store.read_text(), re.MULTILINE))
    _edit(store, r"^CODE = .*$", f"CODE = {revision + 1}")
    text = REVISION.format(before=revision, after=revision + 1, column=COLUMN)
    (code / "migrations" / "versions" / f"{revision + 1:04}_{COLUMN}.py").write_text(text)
    return place


def _edit(file: Path, before: str, after: str) -> None:
    text, times = re.subn(before, after, file.read_text(), flags=re.MULTILINE)
    if not times:
        raise LookupError(f"{file.name} has nothing like {before!r}")
    file.write_text(text)
