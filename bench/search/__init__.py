"""How well and how fast search finds tools: pegboard beside FastMCP's own BM25, on the same data in the same run."""
