"""``roomcast doctor URL``: looks at a deployment from outside and says in plain words what is wrong with it.

``target``, ``options``, ``timing``
    Where, what and for how long.
``answers``, ``packets``
    What a server may answer, and the client's side of the two protocols.
``judging``
    What a set of observations means, and the sentence that is said: one module for each question.
``findings``, ``wording``, ``report``
    From judgements to lines, JSON and an exit code.
``probing``
    How the observations are made: the only part that waits and opens sockets.
``examination``, ``command``
    The order of it all, and the command line.

All but the last two lines wait for nothing, read no clock and open no socket. Nothing that is printed holds a sid, a
password, a key or what a client says to be let in.
"""
