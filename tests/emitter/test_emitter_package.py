from __future__ import annotations

import roomcast_emitter


def test_what_is_public_for_now() -> None:
    assert roomcast_emitter.__all__ == ["EmitterError", "__version__"]
    assert issubclass(roomcast_emitter.EmitterError, Exception)
    assert "cluster release" in (roomcast_emitter.__doc__ or "")
