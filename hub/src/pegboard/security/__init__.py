"""Security: what is written down about calls, and what must never be."""
