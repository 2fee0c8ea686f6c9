"""Teachers: `Teacher.answer` is the only door out of a silo.

The types guard the channel, not the content: a teacher's model can still write a private row into its reply. Catching
that is the guards' job, measuring it the audit's.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from social_learning.drafts import Draft, DraftPrompt, DraftWriter, in_turn
from social_learning.errors import DataError, ModelError
from social_learning.guards import Door, Guard, Origin, Private, default_guards
from social_learning.judge import Judge
from social_learning.messages import (
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestOriginals,
    RequestVote,
)
from social_learning.models.base import ChatTurn, LanguageModel, Sampling
from social_learning.privacy.detectors import Detector
from social_learning.prompts.instruction import instruction_request
from social_learning.prompts.shots import label_first_prompt, new_example_prompt
from social_learning.seeds import child_seed, generator
from social_learning.silo import Silo
from social_learning.task import Example

INSTRUCTION_TOKENS = 192
"""The longest instruction a teacher writes, in tokens."""


@dataclass(frozen=True, slots=True)
class Departure:
    """An item that left a silo, with what it is measured against: the private text its model was shown, and the silo.

    `message` is the line of the message log that it is in, `number` which item of this message it is; both count from 1, and
    are 0 as long as they are not known.
    """

    teacher: str
    item: Example | str = field(repr=False)
    origin: Origin = field(repr=False)
    message: int = 0
    number: int = 0


class Teacher:
    """A silo, a language model, and the guards between them and the world.

    `guards` are those of the settings' defaults where none are given; an empty sequence is none. `seed` fixes every choice the
    teacher makes: the same request gets the same reply. A teacher sends private examples
    word for word only if built with `allow_originals`, which exists for the baseline and the positive control.
    `departed` is told, on the silo's side, of every example and instruction that leaves, and what it came from. With
    `whole_grades` it grades by no fewer held-out examples than are asked for: a grade by one tells about that one.
    """

    def __init__(
        self,
        silo: Silo,
        model: LanguageModel,
        *,
        guards: Sequence[Guard] | None = None,
        seed: int = 0,
        allow_originals: bool = False,
        detector: Detector | None = None,
        departed: Callable[[Departure], None] | None = None,
        whole_grades: bool = False,
    ) -> None:
        self.name = silo.name
        self._silo = silo
        self._task = silo.task
        self._model = model
        self._guards = tuple(default_guards(silo.task) if guards is None else guards)
        self._seed = seed
        self._allow_originals = allow_originals
        self._private = Private(silo.task, silo.everything, detector)
        self._departed = departed
        self._whole_grades = whole_grades

    def __repr__(self) -> str:
        return f"Teacher({self.name!r}, {self._silo!r}, model {self._model.name!r})"

    def _leaves(self, item: Example | str, prompt: str) -> None:
        if self._departed:
            self._departed(Departure(self.name, item, Origin(self._private, prompt)))

    def answer(self, request: Request) -> Reply:
        """Answer a request from this silo.

        Raises DataError where the silo is too small for what is asked, and ModelError where originals are asked of a
        teacher that does not allow it.
        """
        if isinstance(request, RequestExamples):
            return self._answer_examples(request)
        if isinstance(request, RequestInstruction):
            return self._answer_instruction(request)
        if isinstance(request, RequestVote):
            return self._answer_vote(request)
        if isinstance(request, RequestGrades):
            return self._answer_grades(request)
        return self._answer_originals(request)

    # Examples

    def _answer_examples(self, request: RequestExamples) -> ReplyExamples:
        rng = generator(self._seed, request.kind, request.round)
        shots = self._pick(request.shots, rng, balanced=request.way == "label-first")
        writer = DraftWriter(request, self._task, self._model, self._silo.examples, shots)
        seed = child_seed(self._seed, request.kind, request.round, "sampling")
        door = Door(self._guards)
        mended: dict[str, Draft] = {}
        for draft in writer.write(self._prompts(request, shots, rng), seed):
            example = door.let_out_example(draft.example, Origin(self._private, draft.prompt))
            # Mending can make two drafts the same.
            if example is not None:
                mended.setdefault(self._task.render(example), replace(draft, example=example))
        drafts = list(mended.values())
        sent = writer.best(writer.self_checked(drafts) if request.self_check else drafts)
        for draft in sent:
            self._leaves(draft.example, draft.prompt)
        return ReplyExamples(
            teacher=self.name,
            round=request.round,
            guards=door.results(),
            examples=tuple(draft.example for draft in sent),
            discarded=dict(sorted((+writer.discarded).items())),
        )

    def _prompts(
        self, request: RequestExamples, shots: Sequence[Example], rng: np.random.Generator
    ) -> list[DraftPrompt]:
        """Label first there is a prompt for each label, with private examples of this label alone, as far as the silo has
        them: after examples of all labels a small model writes much the same for each.
        """
        if request.way == "plain":
            return [DraftPrompt(new_example_prompt(self._task, shots))]
        own = {label: self._pick(request.shots, rng, first=label)[::-1] for label in self._task.labels}
        return [DraftPrompt(label_first_prompt(self._task, shown, label), label) for label, shown in own.items()]

    def _pick(
        self, count: int, rng: np.random.Generator, balanced: bool = False, first: str | None = None
    ) -> list[Example]:
        """Pick private examples at random; `balanced`: labels as even as the silo allows, then in random order; `first`: those of
        this label before others.
        """
        available = self._silo.examples
        if count > len(available):
            raise DataError(
                f"silo {self.name!r} has {len(available)} examples to teach from, {count} were asked for: use fewer shots or "
                "teachers, or a smaller held-out part"
            )
        order = rng.permutation(len(available))
        if first is not None:
            order = np.array(sorted(order, key=lambda i: available[i].answer != first))
        if not balanced:
            return [available[i] for i in order[:count]]
        piles = [[i for i in order if available[i].answer == label] for label in self._task.labels]
        return [available[i] for i in rng.permutation(in_turn(piles)[:count])]

    def _answer_originals(self, request: RequestOriginals) -> ReplyExamples:
        if not self._allow_originals:
            raise ModelError(f"teacher {self.name!r} does not send private examples word for word")
        rng = generator(self._seed, request.kind, request.round)
        examples = self._pick(request.count, rng)
        for example in examples:
            self._leaves(example, self._task.render(example))
        return ReplyExamples(teacher=self.name, round=request.round, examples=tuple(examples))

    # Votes and grades

    @property
    def _judge(self) -> Judge:
        if not self._silo.held_out:
            raise DataError(f"silo {self.name!r} holds nothing out: judging needs a held_out share above 0")
        return Judge(self._task, self._model, self._silo.held_out)

    def _answer_vote(self, request: RequestVote) -> ReplyVote:
        """Vote for the candidate that the held-out examples speak for; see RequestVote."""
        marks = np.array(self._judge.marks(request.candidates, request.by))
        rng = generator(self._seed, request.kind, request.round)
        # Likelihoods are never equal but for equal texts; counts of right answers often are.
        best = int(np.argmax(marks) if request.by == "likelihood" else rng.choice(np.flatnonzero(marks == marks.max())))
        return ReplyVote(teacher=self.name, round=request.round, choice=best)

    def _answer_grades(self, request: RequestGrades) -> ReplyGrades:
        """Grade lessons by the held-out examples; see RequestGrades."""
        if self._whole_grades and len(self._silo.held_out) < request.questions:
            raise DataError(
                f"silo {self.name!r} holds out {len(self._silo.held_out)} examples, grades by {request.questions} were asked for: "
                "hold out more, or leave grades out of the policy"
            )
        lessons = [[request.candidates[place] for place in lesson] for lesson in request.lessons]
        grades = self._judge.grades(lessons, request.questions, request.by)
        return ReplyGrades(teacher=self.name, round=request.round, grades=tuple(round(grade, 4) for grade in grades))

    # Instructions

    def _answer_instruction(self, request: RequestInstruction) -> ReplyInstruction:
        rng = generator(self._seed, request.kind, request.round)
        shots = self._pick(request.shots, rng, balanced=bool(self._task.labels))
        prompt = instruction_request(self._task, shots)
        sampling = Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=INSTRUCTION_TOKENS,
            seed=child_seed(self._seed, request.kind, request.round, "sampling"),
        )
        drafts = self._model.generate([ChatTurn(prompt)], sampling, request.samples)[0]
        door = Door(self._guards)
        origin = Origin(self._private, prompt)
        discarded = Counter(
            "refused" if draft.finish == "refused" else "malformed" for draft in drafts if not draft.text.strip()
        )
        written = [draft for draft in drafts if draft.text.strip()]
        texts = ((draft.perplexity, door.let_out_text(draft.text.strip(), origin)) for draft in written)
        passed = sorted((perplexity, text) for perplexity, text in texts if text)
        if passed:
            self._leaves(passed[0][1], prompt)
        return ReplyInstruction(
            teacher=self.name,
            round=request.round,
            guards=door.results(),
            instruction=passed[0][1] if passed else None,
            discarded=dict(+discarded),
        )
