"""How long to wait before the broker is tried again: an endless iterator of seconds. It never sleeps.

Decorrelated jitter: each delay is drawn between the shortest one and three times the one before. So the nodes of a
cluster, which all lose the broker in the same instant, do not all come back in the same instant.

Take a new iterator when the connection breaks; go on with the old one when a connection broke as soon as it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final

# Of the system, so that the children of a fork do not all draw the same, and nobody else's numbers are used up.
_chance = SystemRandom().random

# The first retry comes after 15 to 45 ms: most breaks are one cut connection, or a server that restarts at once, and a
# node hears nothing until it is back. Not sooner: a server that refuses everybody is not to be asked without a pause.
SHORTEST_DELAY: Final = 0.015

# A node has to be subscribed again within one second of the broker's return, in 99 of 100 cases. It does not know when
# that is; on average it has to wait out half a delay. Drawn evenly up to 0.8 s, what is left of a delay when the broker
# returns is over 0.72 s in one case of a hundred, which leaves a quarter of a second to connect and subscribe. A broker
# that is away costs each node 2.5 attempts a second, which a broker nearby does not feel.
LONGEST_DELAY: Final = 0.8

GROWTH: Final = 3.0


def delays(
    shortest: float = SHORTEST_DELAY, longest: float = LONGEST_DELAY, random: Callable[[], float] = _chance
) -> Iterator[float]:
    """Seconds to wait before the first retry, the second, and so on without end, each within the two bounds.

    ``random`` gives numbers from 0 to below 1.
    """
    delay = shortest
    while True:
        delay = shortest + random() * (min(longest, delay * GROWTH) - shortest)
        yield delay
