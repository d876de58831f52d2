"""``roomcast up``: several nodes of one application on one machine, started, watched, restarted and drained.

``plans``
    Which nodes there are to be, and the command that makes one of them.
``fleet``
    What becomes of them: who is started when, who is given up, how it all ends. Decides and does nothing.
``readings``, ``status``, ``lines``, ``screen``
    From what nodes say about themselves to what stands on the screen.
``ports``, ``processes``, ``probing``, ``embedded``
    What needs the operating system: free ports, child processes, HTTP, the embedded broker.
``supervisor``, ``command``
    The loop that carries out what is decided, and the command that puts everything together.
``leash``
    The other end: what a node does when whoever started it is gone.

The first two lines wait for nothing, read no clock and open no socket.
"""
