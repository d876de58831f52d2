"""The driver for threads and greenlets: a lock around the core, tasks for handlers, sockets that never make it wait."""
