"""Engine.IO v4 without I/O: who may come in, sessions and their transports, heartbeats, what waits to be sent.

Nothing here waits, reads a clock or knows a socket: a driver feeds it requests, messages and the time.
"""
