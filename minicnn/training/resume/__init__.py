"""Save and restore the full state of a fit, so that an interrupted fit ends bit-identical.

Everything random is either recomputed from seed, epoch and step (the order, the augmentation), or comes from
a generator that continues (Dropout's, one for each replica of the model). The generators are saved, with the
weights, the optimizer's state, the sums of the epoch that runs, and the callbacks' state.
"""
