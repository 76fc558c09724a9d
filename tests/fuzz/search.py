"""Search for bytes that break a reader, led by the branches that it takes: `python tests/fuzz/search.py png`.

Needs atheris: `pip install -e ".[fuzz]"`. Ends with an error, and the bytes in `crash-...`, if it finds any.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main():
    import atheris

    with atheris.instrument_imports(include=["minicnn", "gzip", "json", "PIL"]):
        from fuzz.formats import FORMATS, outcome, seeds

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    form = FORMATS[args.format]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        path, corpus = Path(folder) / form.filename, Path(folder) / "corpus"
        corpus.mkdir()
        for number, content in enumerate(seeds(args.format)):
            (corpus / str(number)).write_bytes(content)

        def test_one(content):
            path.write_bytes(content)
            outcome(form, path)

        def mutate(content, size, seed):
            change = lambda content: atheris.Mutate(content, size)  # noqa: E731
            return form.within(content, change) if form.within and seed % 2 else change(content)

        options = [f"-max_total_time={round(60 * args.minutes)}", "-max_len=8192", "-rss_limit_mb=1000"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], test_one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
