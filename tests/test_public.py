"""The public names, pinned; and that importing the package needs none of the extras."""

import subprocess
import sys

import social_learning


def test_public_names() -> None:
    assert social_learning.__all__ == [
        "ArmResult",
        "ChatTurn",
        "Completion",
        "Example",
        "Experiment",
        "LanguageModel",
        "Lesson",
        "Reply",
        "Request",
        "Result",
        "Sampling",
        "Score",
        "Silo",
        "SocialLearningError",
        "Student",
        "Task",
        "Teacher",
        "UserError",
        "load_experiment",
        "load_model",
        "run",
    ]
    assert all(hasattr(social_learning, name) for name in social_learning.__all__)


def test_importing_needs_no_extra() -> None:
    extras = ("torch", "transformers", "datasets", "pyarrow", "scipy", "gguf")
    code = f"import sys, social_learning, social_learning.cli; print([m for m in {extras!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
