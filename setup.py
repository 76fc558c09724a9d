"""The long description: the first part of README.md without its pictures. All else is in setup.cfg."""

import re
from pathlib import Path

from setuptools import setup

readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
first_part, _, _ = readme.partition("<!-- end of the package's description: setup.py cuts here -->")
setup(long_description=re.sub(r"^!\[.*\]\(.*\)\n+", "", first_part, flags=re.MULTILINE))
