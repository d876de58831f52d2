"""How often one address may begin a session: a token bucket for each of many addresses, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address
from typing import Final

from roomcast.engineio.bucket import Bucket

# Addresses remembered at once, some 3 MB of them. Beyond it the one seen longest ago is forgotten and begins anew:
# better than to refuse strangers. Who commands more addresses is stopped by what the whole node takes in a second.
MAX_ADDRESSES: Final = 10_000
# Longer than any address with its zone. What proxies forward can be any text, and shall not fill the table.
LONGEST_HOST: Final = 64
# Who has one IPv6 address has the 64 bits below it to choose from (RFC 6177).
INTERFACE_BITS: Final = 64


class AddressLimit:
    """Lets each address pass ``rate`` times a second, and as often at once after a quiet second; at least once.

    ``len()`` is the number of addresses remembered: those of which it matters when they come again.
    """

    __slots__ = ("_buckets", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str | int, Bucket] = OrderedDict()  # seen longest ago first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: tuple[str, int] | None, now: float) -> bool:
        """Let a client pass at this time (seconds, monotonic); False when its address comes too often.

        Who has no address passes: behind a Unix socket everybody would be one.
        """
        if client is None or not client[0]:
            return True
        self._forget(now)
        address = address_of(client[0])
        bucket = self._buckets.get(address)
        if bucket is None:
            if len(self._buckets) >= MAX_ADDRESSES:
                self._buckets.popitem(last=False)
            bucket = self._buckets[address] = Bucket(self._rate)
        else:
            self._buckets.move_to_end(address)
        return bucket.take(now)

    def _forget(self, now: float) -> None:
        """Drop those whose bucket is full again, as a new one is.

        They stand in the order of being seen: one that is not full may keep others behind it a little longer than they
        need, but no longer than a second (or 1/rate seconds).
        """
        buckets = self._buckets
        while buckets and buckets[oldest := next(iter(buckets))].full(now):
            del buckets[oldest]


def address_of(host: str) -> str | int:
    """What counts as one address: an IPv4 address, or the upper half of an IPv6 address as a number.

    On sockets for both, IPv4 clients have IPv6 addresses of their own kind, which are all in one /64: they count as
    what they are. What is no address counts as its first ``LONGEST_HOST`` characters.
    """
    host = host[:LONGEST_HOST]
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    return int(address) >> INTERFACE_BITS if address.ipv4_mapped is None else str(address.ipv4_mapped)
