"""The asyncio driver: the server, any ASGI server, and uvicorn's fast path."""
