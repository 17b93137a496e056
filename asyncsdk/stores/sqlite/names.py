"""The form of the names that the spool gives to its files: `host-pid-random.db`, with twelve hexadecimal digits."""

import re

DATABASE = ".db"
_STEM = re.compile(r"[A-Za-z0-9_.]{1,64}-[0-9]{1,20}-[0-9a-f]{12}")


def is_spool_name(name: str, suffix: str = DATABASE) -> bool:
    """Return whether a file name has the spool's form.

    Args:
        name: Name of the file, without its folder.
        suffix: Its ending: that of a database, or of a companion.
    """
    return name.endswith(suffix) and _STEM.fullmatch(name.removesuffix(suffix)) is not None
