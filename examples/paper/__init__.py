"""The claims of the paper, tested on networks trained with many seeds, and some steps beyond it.

`plan` defines which networks are trained, `measure` what is measured in each of them, and `run`
runs them and writes one file of results. `statistics` compares networks; `page` and `figures` read
only that file.
"""

from .page import write_findings
from .run import reproduce

__all__ = ["reproduce", "write_findings"]
