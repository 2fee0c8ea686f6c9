"""The ClientApp: a courier to the teacher's local socket."""

from social_learning.flower.client import app

__all__ = ["app"]
