"""The pages: one to be told things, and one request that tells everybody something."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from examples.django_app.live import MAX_TEXT, sio


def office(request: HttpRequest) -> HttpResponse:
    return render(request, "office.html", {"longest": MAX_TEXT})


def announce(request: HttpRequest) -> HttpResponse:
    """A view emits as a handler does."""
    text = request.POST.get("text", "")
    if not 1 <= len(text) <= MAX_TEXT:
        return HttpResponse(f"1 to {MAX_TEXT} characters", status=400)
    sio.emit("told", {"by": request.user.get_username(), "text": text})
    return HttpResponse(status=204)
