"""The only code that waits: one package for each way of waiting."""
