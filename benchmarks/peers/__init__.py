"""Peers: small scripts that run in an environment of their own, and the one that makes that environment."""
