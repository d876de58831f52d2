"""Write to all clients of a cluster from a process that serves none.

The emitter itself arrives with the cluster release, together with the first broker that reaches beyond one process.
Until then this package holds its version and its errors, and nothing that could be taken for more.
"""

from __future__ import annotations

from roomcast_emitter.errors import EmitterError

__all__ = ["EmitterError", "__version__"]

__version__ = "0.1.0"
