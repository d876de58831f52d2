"""What moves bytes between the nodes and emitters of a cluster: the contract, and the back ends behind URLs."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
