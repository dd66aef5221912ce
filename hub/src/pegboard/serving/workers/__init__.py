"""Workers: several processes that serve one port together, and hand each other what only one of them can answer."""
