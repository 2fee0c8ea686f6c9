"""Models behind an OpenAI-compatible endpoint. Only `client.py` and `model.py` need the extra `endpoint`."""
