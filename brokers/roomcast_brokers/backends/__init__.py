"""One module per broker, reached only through :mod:`roomcast_brokers.registry`. They do not know each other."""
