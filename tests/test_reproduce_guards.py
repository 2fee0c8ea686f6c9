"""Guards in the paper's tables: the paper's teachers keep back copies alone, ours have the defaults."""

import pytest

from social_learning.privacy.wording import NEAR
from social_learning.reproduce import Request
from social_learning.reproduce.plan import experiment_for


@pytest.mark.parametrize("other_teachers", [False, True])
def test_the_papers_arms_have_the_papers_guards_and_ours_the_defaults(other_teachers: bool) -> None:
    asked = Request(("table1", "table10"), model="fake:mixer", teacher_model="fake:copycat")
    for arm in experiment_for(asked, "sms_spam", other_teachers).resolved_arms():
        paper = arm.name.endswith("-paper")
        guards = (arm.teachers.no_copies, arm.teachers.min_distance, arm.teachers.no_shared_numbers)
        assert guards == ((True, 0.0, False) if paper else (True, NEAR, "auto"))


def test_guards_that_are_asked_for_hold_for_every_arm() -> None:
    asked = Request(("table1",), model="fake:mixer", overrides=("teachers.min_distance=0.4",))
    arms = experiment_for(asked, "sms_spam").resolved_arms()
    assert {arm.teachers.min_distance for arm in arms} == {0.4}
    assert {arm.teachers.no_shared_numbers for arm in arms} == {"auto", False}
