"""`minicnn grade`: test a learner's textbook functions against `minicnn.functional`."""

from minicnn.testing.grade.grading import Grade, grade, grade_command

__all__ = ["Grade", "grade", "grade_command"]
