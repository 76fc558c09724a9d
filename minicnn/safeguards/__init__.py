"""What protects a model from silent mistakes: two threads at once, and inputs of another scale."""
