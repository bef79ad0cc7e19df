"""How well completions fit: examples from held-out files, scores, comparisons and their report.

Systems are callables from prefix and suffix to text, so that nothing here knows what a model is.
"""

from starloom.evaluate.infilling import Example, examples
from starloom.evaluate.scores import Answer, Generator, Outcome, outcomes
from starloom.evaluate.summary import Comparison, Summary, compare, summarise
from starloom.evaluate.windows import windows

__all__ = [
    "Answer",
    "Comparison",
    "Example",
    "Generator",
    "Outcome",
    "Summary",
    "compare",
    "examples",
    "outcomes",
    "summarise",
    "windows",
]
