"""The app as it is bundled: two names, and no data."""
