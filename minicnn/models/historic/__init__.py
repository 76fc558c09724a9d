"""Models of historic papers, with the layers that only they use."""
