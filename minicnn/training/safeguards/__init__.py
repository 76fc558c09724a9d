"""What a fit refuses or explains: a model in use, unfit labels and callbacks, the first NaN."""
