"""The tables of the experiment file, as frozen, typed values; `config.py` puts them together."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from social_learning.lesson import AnswerMode
from social_learning.models.endpoint.settings import Endpoint, Prices
from social_learning.privacy.wording import NEAR

DEFAULT_MODEL = "smollm2-135m-instruct"

Share = Annotated[float, Field(ge=0, lt=1)]


class Table(BaseModel):
    """A table: frozen; an unknown key is an error, and so is what is no finite number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Table):
    """`[data]`: where rows come from. Paths are relative to the experiment file; built-in tasks know their own files.

    `train` and `test` are files or Hugging Face ids; without `test`, test rows are taken out of `train`. `columns`
    maps a field of the task (or `answer`) to a column, `label_names` a value of the answer column to a label.
    `test_rows` limits the test set; `development` tests on so many training rows in its place, which no silo gets. `root` is
    the folder that built-in tasks find their files in (default: `SOCIAL_LEARNING_DATA`).
    """

    train: str | None = None
    test: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    columns: dict[str, str] = Field(default_factory=dict)
    label_names: dict[str, str] = Field(default_factory=dict)
    test_rows: int | None = Field(default=None, ge=1)
    development: int | None = Field(default=None, ge=1)
    root: str | None = None


class ModelTable(Table):
    """What loads a model: its name, number format, device, and memory for a batch; see `load_model`."""

    model: str = DEFAULT_MODEL
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    memory: int | str = "auto"

    def options(self) -> dict[str, int | str]:
        """Return what `load_model` takes besides the name."""
        return {"dtype": self.dtype, "device": self.device, "memory": self.memory}


class PricesTable(Table):
    """Prices of a million tokens, in any currency: tokens in, tokens out."""

    input: float = Field(default=0.0, ge=0)
    output: float = Field(default=0.0, ge=0)


class EndpointTable(Table):
    """`[models.NAME]`: a model behind an OpenAI-compatible endpoint; see `Endpoint` for what its keys mean."""

    # Somebody may have written a key where its variable's name belongs.
    model_config = ConfigDict(hide_input_in_errors=True)

    model: str
    base_url: str
    key_env: str = ""
    key_header: str = "Authorization"
    headers: dict[str, str] = Field(default_factory=dict)
    form: Literal["auto", "completion", "chat"] = "auto"
    scoring: Literal["auto", "none", "vllm", "sglang", "echo", "forced"] = "auto"
    concurrency: int = Field(default=32, ge=1, le=1024)
    context_length: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=120.0, gt=0)
    deadline: float = Field(default=900.0, gt=0)
    prices: PricesTable | None = None
    body: dict[str, Any] = Field(default_factory=dict)

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint under the name of its table. Raises ConfigError where a value cannot be used."""
        prices = Prices(self.prices.input, self.prices.output) if self.prices else None
        plain = self.model_dump(exclude={"prices", "headers"})
        return Endpoint(name=name, headers=tuple(self.headers.items()), prices=prices, **plain)


class BudgetTable(Table):
    """`[budget]`: what a run may spend at endpoints in all, however often it is stopped and goes on.

    `when_spent`: `stop` ends the run there, to go on with a larger budget; `finish` ends the cell that is being tested with what
    was answered, and counts its other rows as over budget. Such a cell is done again by a run that goes on.
    """

    max_cost: float | None = Field(default=None, gt=0)
    max_tokens: int | None = Field(default=None, ge=1)
    max_calls: int | None = Field(default=None, ge=1)
    when_spent: Literal["stop", "finish"] = "stop"


class Teachers(ModelTable):
    """`[teachers]`: how many, how the data is split among them, their model, and their guards.

    `split` is `uniform`, or `dirichlet` with skewed labels (`alpha` small: very unlike teachers). `held_out` is the
    share of each silo that only judges. `no_copies` drops verbatim copies; `min_distance` above 0 drops what is closer
    than that to private text, by letters or by words; `no_shared_numbers` and `no_shared_names` drop what holds a number
    (with links and e-mail addresses; `auto`: a telling one) or a name of the silo.
    """

    count: int = Field(default=8, ge=1, le=10_000)
    split: Literal["uniform", "dirichlet"] = "uniform"
    alpha: float = Field(default=1.0, gt=0)
    held_out: Share = 0.25
    no_copies: bool = True
    min_distance: Share = NEAR
    no_shared_numbers: bool | Literal["auto"] = "auto"
    no_shared_names: bool = False


class StudentTable(ModelTable):
    """`[student]`: its model, and how it answers; see `Student`."""

    answer_by: AnswerMode = "auto"
    calibrate: bool = True


class GenerationTable(Table):
    """`[generation]`: how teachers write examples and how the student picks.

    `recipe` is `default` or `paper`; every other key overrides one part of it. `shots` private examples are shown,
    `samples` continuations drawn per teacher and round, the `keep` likeliest sent. `way`, `self_check`, `balanced`, `complete`
    and `cloze` are described in the docs of the experiment file. Of `lessons` whole lessons the one is taken that teachers
    grade best by `questions` held-out examples each; none has more than `share` equal parts of one. `vote_by` says how teachers
    judge candidates and lessons. `cohort` is how many teachers are asked at a time (method `generated`); without it, all.
    """

    recipe: Literal["default", "paper"] = "default"
    shots: int = Field(default=8, ge=1)
    samples: int | None = Field(default=None, ge=1)
    keep: int = Field(default=4, ge=1)
    temperature: float = Field(default=0.8, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    way: Literal["plain", "label-first"] | None = None
    self_check: bool | None = None
    balanced: bool | None = None
    complete: bool | None = None
    cloze: bool | None = None
    lessons: int | None = Field(default=None, ge=1, le=1024)
    questions: int = Field(default=8, ge=1)
    share: float = Field(default=1.0, ge=1)
    vote_by: Literal["likelihood", "answers"] = "likelihood"
    cohort: int | None = Field(default=None, ge=1)


class InstructionTable(Table):
    """`[instruction]`: how many private examples the one teacher sees, and how many drafts it samples. `text` takes the place
    of the task's hand-written instruction in arms of method `manual`.
    """

    shots: int = Field(default=8, ge=1)
    samples: int = Field(default=4, ge=1)
    text: str = ""


class Privacy(Table):
    """`[privacy]`: what may be written where.

    `record_originals` writes the private examples of the `original` arm into the run folder; without it they are left
    out there. `silos` is the folder in which each teacher keeps its private call cache and its owner's report (default: in the
    user's cache folder). `detector` finds names, numbers, e-mail addresses and links: `own` by their form, or `presidio`
    (an extra).
    """

    record_originals: bool = False
    silos: str | None = None
    detector: Literal["own", "presidio"] = "own"


class Remote(Table):
    """`[remote]`: teachers on their own, in processes that `social-learning teacher serve` started; silos are theirs, not
    this file's.

    `teachers` are their names (default: `teacher-1`, `teacher-2` and so on, as many as `teachers.count`). `sockets` is where
    each listens on this machine, with `{name}` in place of its name; over Flower it has no use. `nodes` ties a name to the
    id of a SuperNode; `wait` is how many seconds the others have to show up. A round goes on with `min_teachers` (default:
    all) when `timeout` seconds have passed.
    """

    teachers: tuple[str, ...] = ()
    sockets: str = "{name}/teacher.sock"
    nodes: dict[str, int] = Field(default_factory=dict)
    min_teachers: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=600.0, gt=0)
    wait: float = Field(default=120.0, ge=0)


class Canary(Table):
    """`[canary]`: canaries of your own task for an audit: an example of it as text, with `{code}` or `{name}` in place of the
    secret.
    """

    codes: str = ""
    names: str = ""

    @property
    def templates(self) -> dict[Literal["codes", "names"], str]:
        """The templates by kind of canary; empty where there is none."""
        return {"codes": self.codes, "names": self.names}
