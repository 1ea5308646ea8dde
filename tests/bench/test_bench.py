"""The bench's own arithmetic and drawing, from a small measurement that is made up; nothing is run."""

import gzip
import json
from xml.etree import ElementTree

import pytest

from app.body import MAX_BODY
from app.errors import TooLarge
from app.events import MAX_EVENT_BYTES, Parser
from app.formats import read_json
from app.ingest import INLINE_BYTES
from tests.bench import bodies, hostile, neighbours, worst
from tests.bench.__main__ import PARTS, parsed
from tests.bench.chart import chart
from tests.bench.limits import pgbench_told
from tests.bench.report import report, short, table
from tests.bench.samples import Results, Sample, Value, middle, ratio, spread
from tests.bench.targets import TARGETS, Target
from tests.bench.wrk import told
from tests.readme import commands_for, make_words

MACHINE = {"cpu": "a CPU, 2 cores", "python": "3.11"}
WRK = """Running 1s test @ http://127.0.0.1:1/events
  2100 requests in 1.00s, 1.00MB read
{"requests":2100,"microseconds":1050000,"p50":1500,"p99":9000,"status":3,"socket":1}
"""
PGBENCH = """number of transactions actually processed: 1000
number of failed transactions: 2 (0.200%)
tps = 987.654321 (without initial connection time)
"""


@pytest.fixture
def results() -> Results:
    """Three rounds; the machine is half as fast in the second."""
    found = Results(missing={"go in memory": "go is not on PATH"})
    for speed in (1.0, 0.5, 1.1):
        add(found, "post", "collector", 5000 * speed, p50=10 / speed, p99=20 / speed)
        add(found, "post", "textbook", 100 * speed, p50=500 / speed, p99=900 / speed)
        add(found, "get", "collector", 700 * speed)
        add(found, "get", "no-op", 1000 * speed)
    return found


def add(
    results: Results,
    measure: str,
    contestant: str,
    rate: float | None,
    *,
    bad: int = 0,
    p50: float = 1.0,
    p99: float = 2.0,
) -> None:
    results.add(measure, contestant, Sample(rate=rate, p50=p50, p99=p99, bad=bad, others=0.02))


def target(what: str) -> Target:
    return next(one for one in TARGETS if one.what == what)


def test_a_ratio_is_the_median_of_the_ratios_within_rounds() -> None:
    assert ratio([10, 2, 30], [1, 1, 10]) == 3
    assert ratio([10, 2], [0, 1]) == 2
    assert ratio([], [1]) is None
    assert middle([]) is None


def test_what_slows_a_round_slows_both(results: Results) -> None:
    assert results.middle(Value("post", "collector")) == 5000
    assert results.ratio(Value("post", "collector"), Value("post", "textbook")) == pytest.approx(50)


def test_a_target_is_reached_from_its_must_on(results: Results) -> None:
    assert target("POST of one: rate ÷ textbook ORM").verdict(results) == "ok"
    assert target("POST of one: p99 ÷ textbook's p50").verdict(results) == "ok"
    assert target("GET recent: rate ÷ no-op").verdict(results) == "ok"
    assert target("POST of one: rate ÷ fastify + pg").verdict(results) == "not measured"


def test_less_is_better_where_the_aim_is_below_the_must() -> None:
    found = Results()
    for milliseconds in (700, 790, 900):
        add(found, "start", "collector", None, p50=milliseconds)
    start = target("start to the first 200")
    assert start.verdict(found) == "aim"
    add(found, "start", "collector", None, p50=2000)
    assert start.verdict(found) == "ok"


def test_one_answer_without_success_makes_a_figure_invalid(results: Results) -> None:
    add(results, "post", "textbook", 100, bad=1)
    assert target("POST of one: rate ÷ textbook ORM").verdict(results) == "invalid"
    assert "textbook (INVALID: 1 answers were no success)" in report(results, MACHINE)
    assert results.document()["post"]["textbook"]["valid"] is False


def test_every_aim_is_beyond_its_must() -> None:
    assert all(one.aim != one.must for one in TARGETS)
    assert len({one.what for one in TARGETS}) == len(TARGETS)


def test_the_report_tells_figures_targets_and_what_is_missing(results: Results) -> None:
    lines = [line.split() for line in report(results, MACHINE).splitlines()]
    assert next(line for line in lines if line[:1] == ["collector"])[:2] == ["collector", "5,000"]
    assert ["missing:", "go", "in", "memory:", "go", "is", "not", "on", "PATH"] in lines
    assert next(line for line in lines if "textbook ORM" in " ".join(line))[-2:] == ["50.0×", "ok"]


def test_the_report_says_when_the_machine_was_busy(results: Results) -> None:
    assert "provisional" not in report(results, MACHINE)
    for _ in range(20):
        results.add("get", "fastify", Sample(rate=1.0, others=0.5))
    assert "provisional" in report(results, MACHINE)


def test_columns_stand_in_line() -> None:
    rows = [("", "a"), ("name", "12,345"), ("x", "1")]
    assert list(table(rows)) == ["           a", "name  12,345", "x          1"]


@pytest.mark.parametrize(
    ("figure", "text"), [(12345.6, "12,346"), (45.67, "45.7"), (3.456, "3.46"), (0.0286, "0.029"), (None, "")]
)
def test_figures_have_the_digits_that_count(figure: float | None, text: str) -> None:
    assert short(figure) == text


def test_the_chart_is_svg_with_a_bar_for_each_that_was_measured(results: Results) -> None:
    drawn = ElementTree.fromstring(chart(results))
    bars = [bar for bar in drawn.iter() if bar.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["durable", "ours", "ours", "fleeting"]
    widths = [float(bar.get("width", "")) for bar in bars]
    assert widths[1] / widths[0] == pytest.approx(50, rel=0.05)
    assert widths[2] / widths[3] == pytest.approx(0.7, rel=0.01)


def test_the_chart_of_nothing_is_still_svg() -> None:
    ElementTree.fromstring(chart(Results()))


def test_results_can_be_written_as_json(results: Results) -> None:
    document = json.loads(json.dumps(results.document()))
    assert document["post"]["collector"]["median"]["rate"] == 5000
    assert len(document["post"]["collector"]["rounds"]) == 3


def test_wrk_tells_by_its_line_of_json() -> None:
    found = told(WRK)
    assert (found.requests, found.seconds, found.p50, found.p99, found.bad) == (2100, 1.05, 1.5, 9.0, 4)


def test_wrk_that_tells_nothing_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        told("", "unable to connect to 127.0.0.1:1")


def test_pgbench_tells_by_its_summary() -> None:
    found = pgbench_told(PGBENCH, "", database_seconds=0.1)
    assert (found.rate, found.bad) == (987.654321, 2)
    assert found.database_cpu == pytest.approx(100)


def test_an_event_is_as_long_as_the_targets_mean_and_a_batch_has_a_place_for_each_id() -> None:
    assert 150 <= len(bodies.single(ids=False)) <= 200
    assert bodies.single(ids=True).count(bodies.MARKER.encode()) == 1
    assert bodies.batch(ids=True).count(bodies.MARKER.encode()) == len(json.loads(bodies.batch(ids=False))) == 1000


def test_times_spread_from_the_middle_to_the_longest() -> None:
    found = spread([float(n) for n in range(200, 0, -1)])
    assert (found.p50, found.p99, found.most) == (100, 198, 200)
    assert spread([]) == Sample()


KINDS = {kind.name: kind for kind in hostile.kinds()}


@pytest.mark.parametrize("name", KINDS)
def test_hostile_bodies_are_at_the_limits_and_deserve_their_status(name: str) -> None:
    kind, body = KINDS[name], KINDS[name].make()
    if kind.encoding:
        assert len(gzip.decompress(body)) == MAX_BODY + 1
    elif len(body) > MAX_BODY:
        assert (kind.status, len(body)) == (413, MAX_BODY + 1)
    elif kind.status == 413:
        with pytest.raises(TooLarge):
            read_json(body, Parser(), bodies.BATCH)
    elif kind.legal:
        event = body if body.startswith(b"{") else body[1:].partition(b',{"source"')[0]
        assert read_json(event, Parser(), 1).single
        sizes = (INLINE_BYTES,) if event == body else (MAX_EVENT_BYTES, MAX_BODY - MAX_EVENT_BYTES)
        assert all(size - 100 < found for size, found in zip(sizes, (len(event), len(body)), strict=False))
    else:
        batch = read_json(body, Parser(), bodies.BATCH)
        assert batch.faults
        assert not batch.events


def test_neighbours_are_due_at_even_moments_over_all_connections() -> None:
    every = neighbours.lines(2.0, now=10.0)
    load = [line for line in every if line.sort != neighbours.PROBE]
    due = sorted(line.first + n * line.period for line in load for n in range(3))
    assert due == pytest.approx([due[0] + n / neighbours.RATE for n in range(len(due))])
    assert {line.sort for line in load} == {neighbours.POST, neighbours.GET}


def test_neighbours_tell_times_and_failures_by_sort() -> None:
    every = neighbours.lines(1.0, now=0.0)
    for line in every:
        line.times.extend([1.0, 2.0])
    every[0].bad = 1
    told_ = neighbours.told(every)
    assert (len(told_["post"]["times"]), told_["post"]["bad"], told_["post"]["kept"]) == (8, 1, 7)
    assert (len(told_["probe"]["times"]), told_["get"]["bad"], told_["get"]["kept"]) == (2, 0, 0)


def test_the_lag_is_the_longest_of_any_kind_round_by_round() -> None:
    found = Results()
    for lists, numbers in ((20.0, 300.0), (90.0, 10.0), (30.0, 40.0)):
        found.add("worst probe", "lists", Sample(most=lists))
        found.add("worst probe", "numbers", Sample(most=numbers))
    worst.summarise(found, "worst probe", ["lists", "numbers"])
    assert found.rounds(Value("worst probe", worst.ANY_LEGAL, "most")) == [300, 90, 40]
    assert target("worst legal JSON: event loop's lag").verdict(found) == "ok"


def test_neighbours_are_compared_by_their_slowest(results: Results) -> None:
    for p99 in (10.0, 30.0):
        name = worst.NOBODY if p99 == 10 else "legal: keys"
        results.add("worst post", name, Sample(p50=1.0, p99=p99, most=p99))
    lines = [line.split() for line in report(results, MACHINE).splitlines()]
    assert next(line for line in lines if line[:2] == ["legal:", "keys"])[-1] == "3.00×"


def test_the_readmes_command_is_understood() -> None:
    (command,) = commands_for(__file__)
    options = parsed(make_words(command)[1])
    assert options.short
    assert set(options.only) == set(PARTS)
