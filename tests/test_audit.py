"""Audits: what fakes that copy all and nothing come out as, resume, controls, and nothing private in what is shared."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from social_learning.audit import audit
from social_learning.audit_plan import Plan
from social_learning.config import Experiment, parse_experiment
from social_learning.corpus import load_corpus
from social_learning.errors import AuditError, ConfigError, DataError, ModelError, RunFolderError
from social_learning.experiment import run
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling, Score
from social_learning.models.fakes import CopycatModel, MixerModel
from social_learning.privacy.trials import Trial, summarise
from social_learning.progress import Unwatched
from social_learning.records import read_audit
from social_learning.report import numbers, show_audit
from social_learning.report.verdict import audit_verdict
from social_learning.seeds import child_seed

FAKE = {"model": "fake:copycat"}
UNGUARDED = {"no_copies": False, "min_distance": 0.0, "no_shared_numbers": False}
SMALL = Plan(trials=6, references=49)


def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "name": "audited",
        "task": "phone_messages",
        "shots": [2],
        "arms": ["zero-shot", "generated"],
        "repeats": 1,
        "data": {"test_rows": 10},
        "teachers": {**FAKE, **UNGUARDED, "count": 1},
        "student": FAKE,
        "generation": {"recipe": "paper", "shots": 4, "samples": 2, "keep": 2},
    }
    return parse_experiment({**settings, **changes})


class Reader:
    """A student and teacher in one: it copies what it was shown, a canary first, or it writes what it was never shown; and it finds
    likelier what stood before."""

    name = identity = "fake:reader"
    context_length = 10**6

    def __init__(self, copies: bool, noise: float = 1e-3) -> None:
        self.copies, self.noise, self.made, self.scored = copies, noise, 0, 0
        self.die_at: int | None = None

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self._call()
        self.made += len(prompts) * samples
        return [[self._write(str(prompt), sampling, n) for n in range(samples)] for prompt in prompts]

    def _write(self, prompt: str, sampling: Sampling, sample: int) -> Completion:
        blocks = prompt.split("\n\n")[:-1]
        secret = [block for block in blocks if "your secret code" in block]
        others = [block for block in blocks if block not in secret]
        chosen = secret[0] if secret and not sample else others[child_seed(sampling.seed, sample) % len(others)]
        if not self.copies:
            chosen = f'Text: weather report {child_seed(sampling.seed, sample)}\nClass ("spam" or "not spam"): not spam'
        return Completion(chosen.removeprefix("Text:"), (-1.0,), "stop", 9)

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self._call()
        self.scored += len(pairs)
        return [self._score(str(prompt), text) for prompt, text in pairs]

    def _score(self, prompt: str, text: str) -> Score:
        unlike = child_seed(1, prompt, text) / 2**63 * self.noise
        seen = text.strip() in prompt
        return Score((-1 if seen else -3) - unlike, 1, False, 9)

    def _call(self) -> None:
        if self.die_at is not None:
            self.die_at -= 1
            if self.die_at < 0:
                raise KeyboardInterrupt


def loads(model: LanguageModel) -> Any:
    return lambda name, **_: model


class Counted(Unwatched):
    """Remembers what it is told of the whole audit."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def cells(self, done: int, total: int) -> None:
        self.told.append((done, total))


def test_progress_counts_trials_of_all_arms_and_what_is_there_already_at_once(tmp_path: Path) -> None:
    first, again = Counted(), Counted()
    plan = Plan(trials=20, references=19)
    audit(experiment(), plan, tmp_path / "run", load=loads(Reader(copies=True)), watch=first)
    assert first.told == [(0, 30), (10, 30), (26, 30), (30, 30)]  # 10 of the control, then blocks of 16
    for number in (3, 17):
        (tmp_path / "run" / "audits" / "codes-20" / "generated" / f"{number:04d}.json").unlink()
    audit(experiment(), plan, tmp_path / "run", load=loads(Reader(copies=True)), watch=again)
    assert again.told == [(28, 30), (30, 30)]


def test_a_teacher_that_copies_everything_comes_out_at_rank_0(tmp_path: Path) -> None:
    # Silos cut to what a prompt holds: the canary is in every prompt.
    plan = Plan(trials=6, references=49, rows=4)
    result = audit(experiment(), plan, tmp_path / "run", load=loads(Reader(copies=True)))
    control, generated = result.arms
    assert (control.name, control.control, control.ranks, control.recognised) == ("verbatim", True, (0.0,) * 6, True)
    assert generated.ranks == (0.0,) * 6
    assert (generated.shown, generated.repeated, generated.firsts, generated.membership.auc) == (6, 6, 6, 1.0)
    assert generated.p_value < 1e-6


def test_a_teacher_that_copies_nothing_leaves_ranks_uniform(tmp_path: Path) -> None:
    plan = Plan(trials=60, references=49)
    result = audit(experiment(), plan, tmp_path / "run", load=loads(Reader(copies=False)))
    generated = result.arms[1]
    assert len(result.arms[0].ranks) == 10
    assert generated.p_value > 0.05
    assert abs(generated.mean_rank - 24.5) < 4 * 14.4 / 60**0.5  # four standard errors of uniform ranks
    assert generated.firsts <= 5
    assert generated.repeated == 0


@pytest.mark.parametrize("die_at", [1, 7, 12, 30, 50])
def test_an_audit_killed_between_trials_repeats_no_trial_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_at: int
) -> None:
    plan = Plan(trials=40, references=19)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "whole-cache"))
    whole = Reader(copies=True)
    expected = audit(experiment(), plan, tmp_path / "whole", load=loads(whole))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "killed-cache"))
    first, second = Reader(copies=True), Reader(copies=True)
    first.die_at = die_at
    with pytest.raises(KeyboardInterrupt):
        audit(experiment(), plan, tmp_path / "killed", load=loads(first))
    trials = list((tmp_path / "killed").glob("audits/*/*/*.json"))
    done = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in trials}
    result = audit(experiment(), plan, tmp_path / "killed", load=loads(second))

    assert result.arms == expected.arms
    assert all((path.read_bytes(), path.stat().st_mtime_ns) == then for path, then in done.items())
    assert first.made + second.made == whole.made
    assert first.scored + second.scored == whole.scored


def test_an_arms_control_is_its_own_whatever_else_is_audited(tmp_path: Path) -> None:
    class Deaf(Reader):
        identity = "fake:deaf"

        def _score(self, prompt: str, text: str) -> Score:
            return Score(-1 - child_seed(1, prompt, text) / 2**63, 1, False, 9)

    def load(name: str, **_: Any) -> LanguageModel:
        return Deaf(copies=True) if name == "fake:mixer" else Reader(copies=True)

    arms = {"zero-shot": {}, "heard": {"method": "generated"}}
    deaf = {"method": "generated", "student": {"model": "fake:mixer"}}
    settings = experiment(arms={**arms, "deaf": deaf})
    first = audit(settings, replace(SMALL, only=["heard"]), tmp_path / "run", load=load)
    with pytest.raises(AuditError, match="no power"):
        audit(settings, replace(SMALL, only=["deaf"]), tmp_path / "run", load=load)
    told = json.loads((tmp_path / "run" / "audits" / "codes-50" / "audit.json").read_text())
    assert [arm["name"] for arm in told["arms"]] == ["verbatim-2", "verbatim", "heard"]
    assert told["arms"][1:] == [json.loads(json.dumps(arm.to_table())) for arm in first.arms]


def test_an_audit_says_what_it_planted_and_does_not_go_on_with_something_else(tmp_path: Path) -> None:
    pattern = 'Text: our safe opens with {code}\nClass ("spam" or "not spam"): not spam'
    audit(experiment(canary={"codes": pattern}), SMALL, tmp_path / "run", load=loads(Reader(copies=True)))
    told = json.loads((tmp_path / "run" / "audits" / "codes-50" / "audit.json").read_text())
    assert told["planted"] == {"pattern": pattern}
    manifest = tmp_path / "run" / "run.json"
    manifest.write_text(manifest.read_text().replace("our safe", "the safe"))
    with pytest.raises(RunFolderError, match=r"other canaries codes-50|other settings"):
        audit(experiment(canary={"codes": pattern}), SMALL, tmp_path / "run", load=loads(Reader(copies=True)))


def test_the_papers_tables_stand_beside_an_audit_of_its_task_and_size(tmp_path: Path) -> None:
    plan = Plan(trials=6, references=49)
    audit(experiment(), plan, tmp_path / "run", load=loads(Reader(copies=True)))
    manifest = tmp_path / "run" / "run.json"
    manifest.write_text(manifest.read_text().replace('"task": "phone_messages"', '"task": "lambada"'))
    file = tmp_path / "run" / "audits" / "codes-50" / "audit.json"
    told = json.loads(file.read_text())

    def shown(references: int, trials: int) -> list[str]:
        arms = [{**arm, "references": references, "ranks": [arm["mean_rank"]] * trials} for arm in told["arms"]]
        file.write_text(json.dumps({**told, "references": references, "arms": arms}))
        out = io.StringIO()
        show_audit(tmp_path / "run", plan.name, Console(file=out, width=80))
        return next(line.split() for line in out.getvalue().splitlines() if line.startswith("generated"))

    assert shown(999, 100)[-2:] == ["435", "8"]
    assert shown(999, 90)[-1] == "435"
    assert "435" not in shown(49, 100)


@pytest.mark.parametrize(
    ("ranks", "repeated", "told"),
    [
        ([0.0] * 60, 0, "generated, 8 shots: gives planted codes away: mean rank 0.0 of 999"),
        ([0.0] * 60, 59, "In 59 of 60 trials the lesson itself holds the secret."),
        ([500.0] * 60, 0, "no sign that planted codes come out"),
        ([500.0] * 20, 0, "cannot tell with 20 trials"),
        # A secret in a lesson is told even where ranks show nothing.
        ([500.0] * 60, 1, "generated, 8 shots: in 1 of 60 trials the lesson itself holds the secret. Over all trials"),
        ([500.0] * 20, 2, "generated, 8 shots: in 2 of 20 trials the lesson itself holds the secret. Over all trials"),
    ],
)
def test_the_verdict_says_what_was_seen(ranks: list[float], repeated: int, told: str) -> None:
    trials = [Trial(n, rank, -1.0, (-1.0,) * 999, 1.0, 1.0, 0, repeated=n < repeated) for n, rank in enumerate(ranks)]
    arm = summarise("generated", "generated", 8, False, trials, seed=1)
    verdict = audit_verdict(arm, "codes").replace("\N{NO-BREAK SPACE}", " ")
    assert told in verdict
    assert ("no sign" in verdict) == ("no sign" in told)


def test_a_finished_audit_loads_no_model_and_more_trials_add_to_it(tmp_path: Path) -> None:
    first = audit(experiment(), SMALL, tmp_path / "run", load=loads(Reader(copies=True)))

    def no_model(name: str, **_: Any) -> LanguageModel:
        raise AssertionError(f"{name} was loaded")

    assert audit(experiment(), SMALL, tmp_path / "run", load=no_model).arms == first.arms
    more = audit(experiment(), Plan(trials=8, references=49), tmp_path / "run", load=loads(Reader(copies=True)))
    assert more.arms[1].ranks[:6] == first.arms[1].ranks
    assert more.arms[1].trials == 8


def test_without_power_the_audit_fails_and_says_so(tmp_path: Path) -> None:
    class Deaf(Reader):
        def _score(self, prompt: str, text: str) -> Score:
            return Score(-1 - child_seed(1, prompt, text) / 2**63, 1, False, 9)

    with pytest.raises(AuditError, match="the audit has no power"):
        audit(experiment(), SMALL, tmp_path / "run", load=loads(Deaf(copies=True)))
    told = json.loads((tmp_path / "run" / "audits" / "codes-50" / "audit.json").read_text())
    assert [arm["name"] for arm in told["arms"]] == ["verbatim"]  # nothing more was paid for
    assert "no power" in (tmp_path / "run" / "audit.html").read_text()


@pytest.mark.parametrize("score", [None, -1.0, float("nan")])
def test_a_model_that_cannot_score_is_refused_before_anything_is_paid_for(tmp_path: Path, score: float | None) -> None:
    class Mute(Reader):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            if score is None:
                raise ModelError("this server returns no log-probabilities")
            return [Score(score, 1, False, 9) for _ in pairs]

    model = Mute(copies=True)
    with pytest.raises(ModelError, match=r"'fake:reader'.* there can be no audit"):
        audit(experiment(), SMALL, tmp_path / "run", load=loads(model))
    assert model.made == 0
    assert not list((tmp_path / "run").rglob("0000.json"))


def test_trials_without_a_lesson_are_counted_apart(tmp_path: Path) -> None:
    class Sometimes(Reader):
        def _write(self, prompt: str, sampling: Sampling, sample: int) -> Completion:
            written = super()._write(prompt, sampling, sample)
            return written if "your secret code" in prompt else Completion("no example", (-1.0,), "stop", 9)

    result = audit(experiment(), Plan(20, 49, rows=20), tmp_path / "run", load=loads(Sometimes(copies=True)))
    generated = result.arms[1]
    assert generated.failed > 0
    assert generated.trials + generated.failed == 20
    rows = list(
        csv.DictReader((tmp_path / "run" / "audits" / "codes-50-rows20" / "trials.csv").read_text().splitlines())
    )
    failed = [row for row in rows if row["failed"]]
    assert len(failed) == generated.failed
    assert all(row["rank"] == "" for row in failed)

    class Never(Sometimes):
        def _write(self, prompt: str, sampling: Sampling, sample: int) -> Completion:
            return Completion("no example", (-1.0,), "stop", 9)

    with pytest.raises(AuditError, match="none of 20 trials ended with a lesson"):
        audit(experiment(), Plan(20, 49), tmp_path / "other", load=loads(Never(copies=True)))


@pytest.mark.parametrize(
    ("changes", "plan", "error", "told"),
    [
        ({"arms": ["zero-shot", "original"]}, SMALL, ConfigError, "nothing to audit"),
        ({}, Plan(2, 49, "names"), ConfigError, "--canaries codes"),
        ({}, Plan(2, 10_000), ConfigError, "references are too many"),
        ({}, Plan(2, 49, rows=3), DataError, "--rows leaves 3"),
        ({"canary": {"codes": "Text: no secret"}}, SMALL, ConfigError, r"has no \{code\}"),
        ({"arms": {"zero-shot": {}, "verbatim": {"method": "generated"}}}, SMALL, ConfigError, "rename that arm"),
        (
            {"arms": {"zero-shot": {}, "generated": {}, "verbatim-2": {"method": "manual"}}},
            SMALL,
            ConfigError,
            "rename",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_any_model_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    plan: Plan,
    error: type[Exception],
    told: str,
) -> None:
    monkeypatch.delenv("SOCIAL_LEARNING_DATA", raising=False)

    def no_model(name: str, **_: Any) -> LanguageModel:
        raise AssertionError(f"{name} was loaded")

    with pytest.raises(error, match=told):
        audit(experiment(**changes), plan, tmp_path / "run", load=no_model)
    assert not (tmp_path / "run").exists()


def test_votes_and_instructions_are_audited_too(tmp_path: Path) -> None:
    settings = experiment(
        arms=["zero-shot", "voted", "instruction"], shots=[2], teachers={"model": "fake:mixer", "count": 3}
    )
    result = audit(settings, Plan(3, 19), tmp_path / "run", load=loads(MixerModel("fake:mixer")))
    assert [(arm.name, arm.method, arm.shots, arm.trials) for arm in result.arms] == [
        ("verbatim", "original", 2, 3),
        ("voted", "voted", 2, 3),
        ("instruction", "instruction", 0, 3),
    ]
    assert result.arms[0].recognised


def test_guards_are_shown_beside_accuracy_and_rank(tmp_path: Path) -> None:
    guarded = {"method": "generated", "teachers": {"no_shared_numbers": True}}
    settings = experiment(arms={"zero-shot": {}, "generated": {}, "guarded": guarded})
    ran = run(settings, tmp_path / "run", load=loads(CopycatModel("fake:copycat")))
    plan = Plan(6, 49, rows=4)
    result = audit(settings, plan, tmp_path / "run", load=loads(Reader(copies=True)))
    assert result.arms[1].firsts == 6
    assert result.arms[2].repeated == 0
    assert result.arms[2].mean_rank > 5
    for report in ("report.html", "audit.html"):
        page = (tmp_path / "run" / report).read_text()
        assert "no_shared_numbers" in page
        assert "codes-50-rows4" in page
        assert "silos cut to\n4 examples" in page
    out = io.StringIO()
    show_audit(tmp_path / "run", plan.name, Console(file=out, width=80))
    table = out.getvalue().partition("guards")[2].partition("\n\n")[0].splitlines()
    assert max(map(len, out.getvalue().splitlines()[:-1])) <= 80
    for arm, guards in (("generated", "none"), ("guarded", "no_shared_numbers")):
        (line,) = [line.split() for line in table if line.startswith(f"{arm} ")]
        (audited,) = [found for found in result.arms if found.name == arm]
        (measured,) = [found for found in ran.arms if found.name == arm]
        assert line == [arm, guards, numbers.percent(measured.accuracy), f"{audited.mean_rank:.1f}"]
    assert "Accuracy is of whole silos, ranks are of silos cut to 4 examples." in " ".join(out.getvalue().split())


def test_a_damaged_trial_is_named(tmp_path: Path) -> None:
    audit(experiment(), SMALL, tmp_path / "run", load=loads(Reader(copies=True)))
    file = tmp_path / "run" / "audits" / "codes-50" / "generated" / "0003.json"
    file.write_text('{"number": 3}')
    with pytest.raises(RunFolderError, match=r"0003\.json is damaged"):
        audit(experiment(), SMALL, tmp_path / "run", load=loads(Reader(copies=True)))


@pytest.mark.usefixtures("open_umask")
def test_private_text_is_nowhere_in_what_is_shared_and_only_in_the_owners_folder(tmp_path: Path) -> None:
    settings = experiment(
        arms=["zero-shot", "original", "generated", "instruction"],
        teachers={"model": "fake:mixer", "count": 3},
        generation={"recipe": "paper", "shots": 4, "samples": 8, "keep": 2},
        privacy={"silos": str(tmp_path / "silos")},
    )
    load = loads(MixerModel("fake:mixer"))
    run(settings, tmp_path / "run", load=load)
    audit(settings, SMALL, tmp_path / "run", load=load)
    private = [example.fields["text"] for example in load_corpus(settings).train]
    shared = "\n".join(path.read_text() for path in (tmp_path / "run").rglob("*") if path.is_file())
    plain = shared.replace("&#39;", "'").replace("&amp;", "&").replace("\\u00a3", "£")
    assert not [text for text in private if text in plain]

    owners = sorted((tmp_path / "silos").glob("*/owner-*.html"))
    assert [path.parent.name for path in owners] == ["teacher-1", "teacher-2", "teacher-3"]
    told = "\n".join(path.read_text() for path in owners).replace("&#39;", "'").replace("&amp;", "&")
    assert any(text in told for text in private)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "silos").glob("*/*-*.*"))


def test_an_audit_of_fewer_trials_or_arms_takes_nothing_from_an_earlier_one(tmp_path: Path) -> None:
    arms: dict[str, Any] = {"zero-shot": {}, "generated": {}, "strict": {"method": "generated", "shots": [3]}}
    settings, folder = experiment(arms=arms), tmp_path / "run"
    load = loads(Reader(copies=True))
    audit(settings, Plan(trials=5, references=49), folder, load=load)
    before = (folder / "audits" / "codes-50" / "trials.csv").read_text()

    def trials() -> dict[str, int]:
        return {arm.name: arm.trials for arm in read_audit(folder / "audits" / "codes-50" / "audit.json")[1]}

    fewer = audit(settings, Plan(trials=2, references=49, only=("generated",)), folder, load=load)
    assert {arm.name: arm.trials for arm in fewer.arms} == {"verbatim": 5, "generated": 5}
    assert trials() == {"verbatim": 5, "generated": 5, "strict": 5}
    assert sorted((folder / "audits" / "codes-50" / "trials.csv").read_text()) == sorted(before)
    audit(settings, Plan(trials=7, references=49, only=("generated",)), folder, load=load)
    assert trials() == {"verbatim": 7, "generated": 7, "strict": 5}
