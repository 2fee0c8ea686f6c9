"""The ServerApp: the student."""

from social_learning.flower.server import app

__all__ = ["app"]
