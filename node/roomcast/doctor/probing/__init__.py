"""How the observations are made: requests, sessions and WebSockets of our own, and a place on the broker."""
