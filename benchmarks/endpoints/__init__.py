"""Endpoints on loopback: a real llama-server, servers that only pretend, and what is measured and tested against them."""
