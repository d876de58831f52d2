"""Which view answers where. Django's own sign-in is at /login/ and /logout/."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.decorators.http import require_POST

from examples.django_app.views import announce, office

urlpatterns = [
    path("", login_required(office), name="office"),
    path("announce/", login_required(require_POST(announce)), name="announce"),
    path("login/", LoginView.as_view(template_name="login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
