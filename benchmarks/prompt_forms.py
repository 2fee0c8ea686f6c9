"""Plain text to continue, or one chat turn? Measures both for each kind of prompt, on the bundled messages.

    .venv/bin/python benchmarks/prompt_forms.py

Test rows are not used: students answer the first training examples, and lessons come from the others. Writes
benchmarks/results/prompt_forms.json.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from social_learning import ChatTurn, Completion, Example, LanguageModel, Lesson, Sampling, Score, Student, load_model
from social_learning.config import parse_experiment
from social_learning.corpus import Corpus, load_corpus
from social_learning.evaluation import evaluate
from social_learning.files import write_file
from social_learning.models.base import Prompt
from social_learning.prompts.instruction import instruction_request
from social_learning.prompts.shots import label_first_prompt
from social_learning.provenance import versions

DEVELOPMENT = 100
LESSONS = 4
DRAFTS = 16


class AsChat:
    """A model that is told every plain prompt as a chat turn; answers then open without the blank."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.name, self.identity, self.context_length = model.name, f"{model.identity} chat", model.context_length

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` has."""
        return self._model.count_tokens(text)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        """Generate after chat turns."""
        return self._model.generate([_turn(prompt) for prompt in prompts], sampling, samples)

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        """Score after chat turns."""
        return self._model.score([(_turn(prompt), continuation.strip()) for prompt, continuation in pairs])


def _turn(prompt: Prompt) -> ChatTurn:
    return prompt if isinstance(prompt, ChatTurn) else ChatTurn(prompt)


def students(model: LanguageModel, corpus: Corpus) -> dict[str, float]:
    """Return the student's accuracy on development examples for each kind of lesson; with shots, the mean of four lessons."""
    development, teaching = corpus.train[:DEVELOPMENT], corpus.train[DEVELOPMENT:]
    shots = [teaching[16 * n : 16 * (n + 1)] for n in range(LESSONS)]
    lessons = {
        "answer, no lesson": [Lesson(task=corpus.task)],
        "answer, hand-written instruction": [Lesson(task=corpus.task, instruction=corpus.task.instruction)],
        "answer, 16 examples": [Lesson(task=corpus.task, examples=examples) for examples in shots],
    }
    return {
        kind: sum(evaluate(Student(model, lesson), corpus.task, development).accuracy for lesson in some) / len(some)
        for kind, some in lessons.items()
    }


def drafts(
    write: Callable[[Sequence[Example]], list[Completion]], good: Callable[[str], bool], corpus: Corpus
) -> float:
    """Return the share of good drafts among those written after four sets of eight private examples."""
    sets = [corpus.train[8 * n : 8 * (n + 1)] for n in range(4)]
    texts = [completion.text for shots in sets for completion in write(shots)]
    return sum(good(text) for text in texts) / len(texts)


def teachers(model: LanguageModel, corpus: Corpus) -> dict[str, float]:
    """Return the share of usable drafts: instructions that name both classes, examples that can be read."""
    task = corpus.task
    long = Sampling(temperature=0.7, top_p=0.95, max_tokens=128, seed=1)
    short = Sampling(temperature=0.8, top_p=0.95, max_tokens=task.max_example_tokens, stop=("\n",), seed=1)

    def names_both(text: str) -> bool:
        return "not spam" in text and "spam" in text.replace("not spam", "")

    return {
        "write an instruction": drafts(
            lambda shots: model.generate([instruction_request(task, shots)], long, DRAFTS)[0], names_both, corpus
        ),
        "write an example": drafts(
            lambda shots: model.generate([label_first_prompt(task, shots, "spam")], short, DRAFTS)[0],
            lambda text: task.parse_label_first(task.opening + text, "spam") is not None,
            corpus,
        ),
    }


def main() -> None:
    """Measure, print, write."""
    corpus = load_corpus(parse_experiment({"name": "forms", "task": "phone_messages"}))
    model = load_model("smollm2-135m-instruct")
    forms = {"plain": model, "chat": AsChat(model)}
    measured = {form: {**students(asked, corpus), **teachers(asked, corpus)} for form, asked in forms.items()}
    table = Table(title="Plain text or chat turn (share right, or share of usable drafts)")
    for column in ("prompt", "plain", "chat"):
        table.add_column(column)
    for kind in measured["plain"]:
        table.add_row(kind, f"{measured['plain'][kind]:.1%}", f"{measured['chat'][kind]:.1%}")
    Console().print(table)
    facts = {"model": model.identity, "versions": versions(), "shares": measured}
    write_file(Path(__file__).parent / "results" / "prompt_forms.json", json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
