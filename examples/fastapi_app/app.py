"""FastAPI and roomcast in one application: an HTTP request changes something, and every open page sees it.

``roomcast run examples.fastapi_app.app:app`` serves roomcast with FastAPI behind it: what is not Socket.IO goes on to
FastAPI, with its start-up and shut-down code. See ``mounted.py`` for the other way round.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field, StringConstraints

import roomcast

MAX_ORDERS = 100  # open at once

Dish = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class NewOrder(BaseModel):
    dish: Dish
    table: Annotated[int, Field(ge=1, le=50)]


class Order(NewOrder):
    number: int


orders: dict[int, Order] = {}
sio = roomcast.AsyncServer()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Start with an empty kitchen; tell roomcast when the application ends."""
    orders.clear()
    yield
    await sio.shutdown()


api = FastAPI(title="Kitchen", lifespan=lifespan)


@api.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("index.html"))


@api.post("/orders", status_code=201)
async def add_order(new: NewOrder) -> Order:
    """Take an order, and show it on every screen in the kitchen."""
    if len(orders) >= MAX_ORDERS:
        raise HTTPException(503, "The kitchen has its hands full.")
    order = Order(number=max(orders, default=0) + 1, dish=new.dish, table=new.table)
    orders[order.number] = order
    await sio.emit("ordered", order.model_dump())
    return order


@sio.event
async def connect(sid: str, environ: Mapping[str, Any]) -> None:
    """A screen arrives, or returns: it gets the whole list, so it cannot have missed anything."""
    await sio.emit("orders", [order.model_dump() for order in orders.values()], to=sid)


@sio.event
async def ready(sid: str, number: object = None) -> bool:
    """A cook has finished an order. The answer tells whether it was still open."""
    done = orders.pop(number, None) if isinstance(number, int) else None
    if done:
        await sio.emit("done", done.number)
    return done is not None


app = roomcast.ASGIApp(sio, other_asgi_app=api)
