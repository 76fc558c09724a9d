"""`minicnn grade`: test a learner's textbook functions against `minicnn.functional`."""

from minicnn.testing.grade.grading import grade, grade_all
from minicnn.testing.grade.report import Grade
from minicnn.testing.grade.verdict import Verdict

__all__ = ["Grade", "Verdict", "grade", "grade_all"]
