"""``python -m roomcast_brokers.backends.zmq URL``: a forwarder, until SIGTERM or SIGINT comes.

Writes the URL for clients to standard output once it is there. Ends with 1 and a line on standard error if it cannot
be.
"""

from __future__ import annotations

import sys

from roomcast_brokers.backends.zmq.forwarder import serve
from roomcast_brokers.errors import BrokerError


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m roomcast_brokers.backends.zmq URL")
    try:
        serve(arguments[0], _tell)
    except BrokerError as error:
        sys.exit(str(error))


def _tell(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
