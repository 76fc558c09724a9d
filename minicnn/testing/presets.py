"""Groups of checks: of gradients, of what any layer must satisfy, and of what this package asks for."""

from collections.abc import Collection

GRADIENTS = ("shapes", "linearity", "gradients", "ties", "kinks")
MATHEMATICS = (
    *GRADIENTS,
    "determinism",
    "borrowed",
    "accumulation",
    "aliasing",
    "dtypes",
    "float32",
    "statistics",
    "modes",
    "examples",
    "finite",
    "steps",
    "batches",
    "memory",
    "geometry",
    "padding",
    "reference",
)
CONTRACT = (
    "build",
    "initialization",
    "cache",
    "replicas",
    "promises",
    "needs_dx",
    "weights",
    "pickling",
    "repr",
)
# gradients: a backward that fits its forward. mathematics: those, and all that is wrong in any framework.
# contract: what a Sequential, a Trainer and files of this package rely on.
PRESETS: dict[str, tuple[str, ...]] = {
    "gradients": GRADIENTS,
    "mathematics": MATHEMATICS,
    "contract": CONTRACT,
}


def named_checks(names: str | Collection[str], checks: Collection[str]) -> set[str]:
    """Return the checks that are meant: those of a preset for its name, else those of these names.

    Raises
    ------
    ValueError
        If a name is that of neither a check nor, given alone, a preset.
    """
    if isinstance(names, str):
        names = PRESETS.get(names, (names,))
    for name in names:
        if name not in checks:
            raise ValueError(
                f"check names must be among {', '.join(checks)}, or one of the presets "
                f"{', '.join(map(repr, PRESETS))}, got {name!r}"
            )
    return set(names)
