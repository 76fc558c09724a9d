"""Trains a pickled model as one of several ranks; the first leaves weights, losses and steps in its place.

mpiexec -n 2 python tests/training/fit_in_ranks.py JOB
"""

import pickle
import sys
from pathlib import Path

from mpi4py import MPI

from minicnn import Trainer

if __name__ == "__main__":
    path, comm = Path(sys.argv[1]), MPI.COMM_WORLD
    model, optimizer, loss, fits = pickle.loads(path.read_bytes())
    trainer = Trainer(model, optimizer, loss, comm=comm)
    losses = [trainer.fit(*given, verbose=0, **more).history["loss"][0] for given, more in fits]
    if comm.rank == 0:
        path.write_bytes(pickle.dumps((model.get_weights(), losses, optimizer.steps)))
