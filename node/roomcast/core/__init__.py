"""The node without I/O: sockets, rooms, handlers, acknowledgements, counters."""
