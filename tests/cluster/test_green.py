"""What is the same for greenlets of both libraries, in processes of their own: each patches all of its process.

That every other back end works there is shown by the rows of ALL_GREEN (conftest.py).
"""

from __future__ import annotations

import pytest

from tests.support.own_process import run_quietly

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
TWO_SERVERS = """
import asyncio, sys, roomcast
assert "gevent" not in sys.modules or "eventlet" not in sys.modules
known = lambda sio: sorted(node.tag for node in sio.cluster.nodes())
first, second = (roomcast.Server(broker="memory://green", cluster="x", tag=tag, drain_seconds=0) for tag in TAGS)
print(first.async_mode)
for sio in (first, second):
    sio.start()
while not known(first) == known(second) == TAGS:
    first.sleep(0.01)

async def of_the_application():
    await asyncio.sleep(0.01)
    return asyncio.get_running_loop()

assert asyncio.run(of_the_application()).is_closed()
for sio in (first, second):
    sio.shutdown()
print("good")
"""


def run(library: str, program: str) -> tuple[str, str]:
    """What it wrote, and what it wrote about its errors."""
    ended = run_quietly(f"{PATCHES[library]}\nTAGS = ['aaaa', 'bbbb']\n{program}")
    return ended.stdout, ended.stderr


@pytest.mark.parametrize("library", PATCHES)
def test_several_event_loops_share_a_thread_of_greenlets(library: str) -> None:
    """Two bridged brokers, and one that the application runs."""
    assert run(library, TWO_SERVERS) == (f"{library}\ngood\n", "")
