"""Tests that need flwr."""
