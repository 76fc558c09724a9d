"""Nets of old papers, with the layers that only they use."""
