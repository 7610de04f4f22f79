"""The claims of the paper, tested on networks of many seeds, and some steps beyond it.

`plan` says which networks are trained, `measure` what is measured of each, and `run` runs them and
writes one file of results. `statistics` compares, and `page` and `figures` read only that file.
"""

from .page import write_findings
from .run import reproduce

__all__ = ["reproduce", "write_findings"]
