"""The report: one HTML file that loads nothing, with the timeline, for light and dark screens."""

from html import escape

from app.probe.history import History
from app.probe.report import HEADLINES, page
from app.probe.timeline import timeline
from app.probe.verdict import Verdict

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --dim: #5d636b; --paper: #fff; --line: #d9dce0;
  --good: #2f7d4f; --bad: #c8342b; --slow: #6b7bb8; --warn: #d9902f; --fault: #d9902f38; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6e9; --dim: #9aa1aa; --paper: #16181b; --line: #34383d;
  --good: #4fae78; --bad: #ef6a60; --slow: #8fa0e0; --warn: #e0a54c; --fault: #e0a54c38; } }
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; color: var(--text); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h1.clean { color: var(--good); } h1.broken { color: var(--bad); }
h1.untested { color: var(--warn); }
p { margin: .2rem 0 1.2rem; color: var(--dim); }
pre { font: 13px/1.45 ui-monospace, monospace; border-top: 1px solid var(--line); padding-top: 1rem;
  overflow-x: auto; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 10px system-ui, sans-serif; fill: var(--dim); }
.grid, .tick { stroke: var(--line); stroke-width: 1; }
.ack, .ready { fill: var(--good); } .error { fill: var(--bad); } .slow { fill: var(--slow); }
.unready { fill: var(--warn); } .away { fill: var(--bad); } .idle { fill: var(--line); }
.fault { fill: var(--fault); }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .6rem 0 1.4rem;
  font-size: 13px; color: var(--dim); }
li span { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
"""
LEGEND = {
    "--good": "acknowledged; ready",
    "--bad": "not acknowledged; no answer from /readyz",
    "--slow": "the slowest of them, from when it was due",
    "--warn": "not ready",
    "--fault": "a fault lasts",
}


def html(verdict: Verdict, history: History) -> str:
    """All of it."""
    run = verdict.run
    title = escape(f"{HEADLINES[verdict.verdict]} ({run['id']})")
    legend = "".join(
        f'<li><span style="background: var({colour})"></span>{name}</li>' for colour, name in LEGEND.items()
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
<h1 class="{verdict.verdict}">{escape(HEADLINES[verdict.verdict])}</h1>
<p>{escape(f"{verdict.requests.acknowledged:,} requests acknowledged, run {run['id']}")}</p>
{timeline(history, verdict.faults)}
<ul>{legend}</ul>
<pre>{escape(page(verdict))}</pre>
</html>
"""
