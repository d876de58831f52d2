"""Benchmarks: roomcast beside other Socket.IO servers, as ratios. ``make bench``, or ``python -m bench --help``."""
