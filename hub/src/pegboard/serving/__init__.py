"""Serving: the hub over HTTP (SSE and Streamable HTTP) and over standard input and output."""
