"""The engine: a process that holds the model for all who have its base and store, and the client that talks to it."""
