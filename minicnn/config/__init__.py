"""A layer as its class and constructor arguments, in types that JSON has, and back."""
