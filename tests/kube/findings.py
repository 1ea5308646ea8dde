"""Findings: what a check has against a manifest, and the exceptions that were made, each with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("exceptions.yaml")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Finding:
    """`object` is like Deployment/collector, `says` a sentence without a value that changes."""

    check: str
    object: str
    says: str

    def __str__(self) -> str:
        return f"{self.check}: {self.object}: {self.says}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemption:
    """A finding that is right and stays; all but `check` and `because` are patterns of a shell."""

    check: str
    object: str
    says: str
    because: str
    where: str = "*"

    def covers(self, finding: Finding, case: str) -> bool:
        """Whether it was made for this finding of a case."""
        return (
            self.check == finding.check
            and fnmatchcase(finding.object, self.object)
            and fnmatchcase(finding.says, self.says)
            and fnmatchcase(case, self.where)
        )


def exemptions() -> list[Exemption]:
    """Read the file. Raises TypeError where an entry has no reason or a word too many."""
    return [Exemption(**entry) for entry in yaml.safe_load(FILE.read_text())]


def expect_none(case: str, findings: Iterable[Finding]) -> None:
    """Raise AssertionError with a line for each that no exemption covers."""
    made = exemptions()
    left = {finding for finding in findings if not any(each.covers(finding, case) for each in made)}
    if left:
        raise AssertionError("\n".join(str(finding) for finding in sorted(left)))
