"""How long a wrong token takes, by how much of it is right: `python -m tests.bench.refusal`."""

import gc
import random
import string
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median

from app.auth import TokenAccess
from app.errors import Unauthorized
from tests.credentials import credential

SAMPLES = 10_000  # of each kind
LETTERS = string.ascii_letters + string.digits + "-_"


def nanoseconds(access: TokenAccess, bearer: bytes) -> int:
    """How long this one takes to be refused."""
    start = time.perf_counter_ns()
    try:
        access.grant(bearer, "read")
    except Unauthorized:
        return time.perf_counter_ns() - start
    raise AssertionError("a wrong token was let in")


def guesses(right: str, shared: int, chance: random.Random) -> list[bytes]:
    """Wrong tokens, of which the first characters are right."""
    texts = (right[:shared] + "".join(chance.choices(LETTERS, k=len(right) - shared)) for _ in range(2 * SAMPLES))
    return [f"Bearer {text}".encode() for text in texts if text != right][:SAMPLES]


def measured(chance: random.Random) -> dict[int, list[int]]:
    """Times in ns, in order, by how many characters the token shares with a right one; the kinds take turns."""
    right = credential()
    access = TokenAccess([right.token, *(credential().token for _ in range(9))])
    kinds = (0, 10, 20, 30, 40, len(right.secret) - 1)
    # Made before: what is done just before a measurement shows in it.
    bearers = {shared: guesses(right.secret, shared, chance) for shared in kinds}
    times: dict[int, list[int]] = {shared: [] for shared in kinds}
    for n in range(SAMPLES):
        for shared in chance.sample(kinds, len(kinds)):
            times[shared].append(nanoseconds(access, bearers[shared][n]))
    return {shared: sorted(found) for shared, found in times.items()}


def longer(some: Sequence[int], others: Sequence[int]) -> float:
    """How often one of `some` takes longer than one of `others`: 0.5 where nothing tells them apart."""
    below = sum(bisect_left(others, one) + bisect_right(others, one) for one in some)
    return below / (2 * len(some) * len(others))


def main() -> None:
    """Measure, and print a line for each kind."""
    gc.disable()
    times = measured(random.Random(7))
    for shared, found in times.items():
        spread = f"{found[len(found) // 20]} to {found[-len(found) // 20]}"
        odds = longer(found, times[0])
        print(f"{shared:3} characters right: {median(found):.0f} ns ({spread}), longer than none: {odds:.3f}")


if __name__ == "__main__":
    main()
