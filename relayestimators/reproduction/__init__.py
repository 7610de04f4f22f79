"""The paper reproduced, with statistics over seeds, and some steps beyond it.

Floor 7: joblib, scipy, scikit-learn and the floors below; matplotlib for figures. `_plan` says
which nets, `_measure` what of each, `_run` runs them and writes one file; `_statistics` compares,
`_page` and `_figures` read nothing but that file.
"""

from ._page import write_findings
from ._run import reproduce

__all__ = ["reproduce", "write_findings"]
