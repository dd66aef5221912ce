"""The families of resources: what is special about each of them, on top of what is the same for all."""
