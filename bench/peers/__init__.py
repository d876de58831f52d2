"""The same three-event application on other Socket.IO servers."""
