"""The report: one HTML file with a timeline."""

from app.probe.history import History
from app.probe.verdict import Verdict


def html(verdict: Verdict, history: History) -> str:
    """All of it."""
    return f"<pre>{verdict} {history}</pre>"
