"""Make the picture of this chapter: draw the letters, train the net of nets.py, and keep what it confuses.

python examples/your_own_net/pictures.py [--out DIR]
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(argv=None):
    """Run the chapter's commands in a scratch folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    net = f"{HERE / 'nets.py'}:gated"
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        subprocess.run([sys.executable, HERE / "letters.py", "letters"], check=True)
        command = [sys.executable, "-m", "minicnn", "train", "--dataset", "letters", "--model", net]
        subprocess.run([*command, "--out", "run"], check=True)
        shutil.copy("run/confusion.png", folder)
    print(f"written to {folder}: confusion.png")


if __name__ == "__main__":
    main()
