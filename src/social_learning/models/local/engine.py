"""The engine: forward passes over planned batches. Token ids go in, log-probabilities and samples come out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.models.local.attention import Attended, Packing, Prefix
from social_learning.models.local.decoding import DROP_BELOW, Cache
from social_learning.models.local.memory import halving, room
from social_learning.models.local.plan import MIN_SHARED, Group, Row, Tokens, batches, group_by_prefix, pack
from social_learning.models.local.sampling import choose, totals, uniforms
from social_learning.models.local.tokens import ScoringTokens

Progress = Callable[[str, int, int], None]
"""Told what is going on (`scoring`, `generating`), how much of it is done, and of how much."""


Scored = tuple[list[float], bool]
"""Log-probabilities of a sequence's scored tokens, and whether each was the likeliest."""


def _tell_nobody(what: str, done: int, total: int) -> None: ...


@dataclass(slots=True)
class Draft:
    """One sample under way: its tokens so far, their log-probabilities, and whether it ended by itself."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


@dataclass(slots=True)
class Drafts:
    """Rows that are being decoded: their drafts, what they attend to, and the state that predicts their next token.

    `hidden` is (rows, size), `uniform` (rows, steps).
    """

    drafts: list[Draft]
    cache: Cache
    hidden: Tensor
    uniform: Tensor

    def select(self, keep: Sequence[int]) -> None:
        """Go on with the given rows only."""
        rows = torch.tensor(keep, device=self.hidden.device)
        self.drafts = [self.drafts[row] for row in keep]
        self.cache.select(keep)
        self.hidden, self.uniform = self.hidden[rows], self.uniform[rows]


@dataclass(slots=True)
class _Prefixes:
    """The shared beginnings of groups, computed when first needed and forgotten when no later work needs them."""

    tokens: list[Tokens]
    made: dict[int, tuple[Prefix, Tensor]] = field(default_factory=dict)

    def get(self, group: int) -> Prefix | None:
        """Return what others attend to; None for an empty beginning."""
        return self.made[group][0] if self.tokens[group] else None

    def keep(self, groups: set[int]) -> list[int]:
        """Forget all but the given groups. Returns those of them that are still to be computed."""
        self.made = {group: made for group, made in self.made.items() if group in groups}
        return sorted(group for group in groups - self.made.keys() if self.tokens[group])


class Engine:
    """Runs one causal language model of transformers with shared-prefix attention, within `memory` bytes a batch."""

    def __init__(self, model: torch.nn.Module, memory: int) -> None:
        # nn.Module types what transformers adds to a model as Tensor or Module.
        self._body = model.get_submodule(model.base_model_prefix)  # type: ignore[arg-type]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.progress: Progress = _tell_nobody
        config: Any = model.config
        self._room = room(config.get_text_config(), self.dtype, memory, self.device.type)

    # Scoring

    @torch.inference_mode()
    def score(self, sequences: Sequence[ScoringTokens]) -> list[Scored]:
        """Return, per sequence, the log-probabilities of its tokens from `start` on, and whether each was likeliest.

        What sequences have in common at their beginning is computed once; what follows is packed into rows as tries.
        """
        fed = [sequence.ids[:-1] for sequence in sequences]
        groups = group_by_prefix(fed, [len(tokens) - 1 for tokens in fed])
        prefixes = _Prefixes([fed[group.members[0]][: group.shared] for group in groups])
        rows = [
            (number, row)
            for number, group in enumerate(groups)
            for row in pack({member: fed[member][group.shared :] for member in group.members})
        ]
        planned = batches([len(row.tokens) for _, row in rows], self._room.tokens)
        results: dict[int, Scored] = {}

        def work(batch: Sequence[int]) -> None:
            here = [rows[number] for number in batch]
            self._prepare(prefixes, {group for group, _ in here})
            results.update(self._score_rows(here, sequences, prefixes))

        for done, batch in enumerate(planned):
            self.progress("scoring", done, len(planned))
            halving(work, batch)
        return [results[number] for number in range(len(sequences))]

    def _score_rows(
        self, rows: Sequence[tuple[int, Row]], sequences: Sequence[ScoringTokens], prefixes: _Prefixes
    ) -> dict[int, Scored]:
        """Score the sequences of rows, each with its group, that go through the model together; by their numbers."""
        states, _ = self._forward_rows([row for _, row in rows], [prefixes.get(group) for group, _ in rows])
        shown = sorted({group for group, _ in rows if prefixes.tokens[group]})
        # All states in one line: the rows', then those of each beginning, where scored tokens may stand too.
        line = torch.cat([states, *(prefixes.made[group][1] for group in shown)])
        starts, end = {}, len(states)
        for group in shown:
            starts[group], end = end, end + len(prefixes.tokens[group])
        reads, first = {}, 0
        for group, row in rows:
            shared = len(prefixes.tokens[group])
            for number, path in row.paths.items():
                reads[number] = _Read(sequences[number], shared, starts.get(group, 0), first, path)
            first += len(row.tokens)
        return dict(zip(reads, self._read(line, list(reads.values())), strict=True))

    def _read(self, states: Tensor, reads: Sequence["_Read"]) -> list[Scored]:
        """Score sequences from hidden states; a state that several of them read gets its logits once."""
        places = np.array([place for read in reads for place in read.places()])
        distinct, inverse = np.unique(places[:, 0], return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        logprobs, greedy = np.zeros(len(places)), np.zeros(len(places), dtype=bool)
        for first in range(0, len(distinct), self._room.logits):
            last = min(first + self._room.logits, len(distinct))
            index = torch.from_numpy(distinct[first:last]).to(self.device)
            logits = self._head(states[index])
            most, total = totals(logits)
            here = order[slice(*np.searchsorted(inverse[order], (first, last)))]
            rows, targets = (torch.from_numpy(n).to(self.device) for n in (inverse[here] - first, places[here, 1]))
            scored = logits[rows, targets].float()
            logprobs[here] = (scored - total[rows]).cpu().numpy()
            greedy[here] = (scored == most[rows]).cpu().numpy()
        results, taken = [], 0
        for read in reads:
            end = taken + len(read.sequence.ids) - read.sequence.start
            results.append((logprobs[taken:end].tolist(), bool(greedy[taken:end].all())))
            taken = end
        return results

    # Generating

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Tokens],
        seeds: Sequence[int],
        sampling: Sampling,
        samples: int,
        ended: Callable[[Draft], bool],
    ) -> list[list[Draft]]:
        """Return `samples` continuations of each prompt, each prompt under its own seed (the one in `sampling` is not
        used).

        `ended` tells of a draft whether it is finished.
        """
        groups = _generation_groups(prompts, samples)
        prefixes = _Prefixes([prompts[group.members[0]][: group.shared] for group in groups])
        # Prompts of one group stand together, and of similar length too, because all of a batch have the same room.
        asked = [
            (number, member)
            for number, group in enumerate(groups)
            for member in sorted(group.members, key=lambda member: (-len(prompts[member]), member))
        ]
        own = {member: prompts[member][groups[number].shared :] for number, member in asked}
        costs = [
            samples * (len(own[member]) + sampling.max_tokens) + groups[number].shared // len(groups[number].members)
            for number, member in asked
        ]
        results: dict[int, list[Draft]] = {}

        def write(batch: Sequence[int]) -> None:
            here = [asked[number] for number in batch]
            self._prepare(prefixes, {group for group, _ in here})
            drafts = self._start(
                [prefixes.get(group) for group, _ in here], [own[m] for _, m in here], samples, sampling
            )
            # Only the last group can go on in the next batch; the others' beginnings live in the drafts' cache alone.
            prefixes.keep({here[-1][0]})
            draws = [uniforms(seeds[m], sample, sampling.max_tokens) for _, m in here for sample in range(samples)]
            drafts.uniform = torch.from_numpy(np.stack(draws)).to(self.device)
            for place, (_, member) in enumerate(here):
                results[member] = drafts.drafts[place * samples : (place + 1) * samples]
            self._decode(drafts, sampling, ended)

        for batch in batches(costs, self._room.kept):
            halving(write, batch)
        return [results[member] for member in range(len(prompts))]

    def _start(
        self, prefixes: Sequence[Prefix | None], own: Sequence[Tokens], samples: int, sampling: Sampling
    ) -> Drafts:
        """Compute what is each prompt's own, and lay out its keys and values for `samples` rows each."""
        lengths = torch.tensor([len(tokens) for tokens in own], device=self.device).repeat_interleave(samples)
        repeated = [prefix for prefix in prefixes for _ in range(samples)]
        cache = Cache(repeated, lengths, max(len(tokens) for tokens in own) + sampling.max_tokens)
        hidden: dict[int, Tensor] = {}
        rows = _rows_by_prefix(prefixes, own)
        for batch in batches([len(row.tokens) for row in rows], self._room.tokens):
            here = [rows[number] for number in batch]
            owners = [prefixes[next(iter(row.paths))] for row in here]
            states, packing = self._forward_rows(here, owners, keep=True)
            first = 0
            taken: dict[int, list[int]] = {}
            for row in here:
                taken |= {member: [first + place for place in path] for member, path in row.paths.items()}
                first += len(row.tokens)
            hidden |= {member: states[places[-1]] for member, places in taken.items()}
            width = max(len(places) for places in taken.values())
            padded = [places + [0] * (width - len(places)) for places in taken.values() for _ in range(samples)]
            to = [member * samples + sample for member in taken for sample in range(samples)]
            index = [torch.tensor(numbers, device=self.device) for numbers in (to, padded)]
            cache.fill(index[0], index[1], packing.keys, packing.values)
        last = torch.stack([hidden[member] for member in range(len(own))]).repeat_interleave(samples, dim=0)
        return Drafts([Draft() for _ in repeated], cache, last, last)

    def _decode(self, rows: Drafts, sampling: Sampling, ended: Callable[[Draft], bool]) -> None:
        for step in range(sampling.max_tokens):
            self.progress("generating", step, sampling.max_tokens)
            tokens, logprobs = self._choose(rows.hidden, sampling, rows.uniform[:, step])
            for draft, token, logprob in zip(rows.drafts, tokens.tolist(), logprobs.tolist(), strict=True):
                if not draft.stopped:
                    draft.tokens.append(token)
                    draft.logprobs.append(logprob)
                    draft.stopped = ended(draft)
            going = [row for row, draft in enumerate(rows.drafts) if not draft.stopped]
            if not going or step + 1 == sampling.max_tokens:
                return
            if len(going) <= DROP_BELOW * len(rows.drafts):
                tokens = tokens[torch.tensor(going, device=self.device)]
                rows.select(going)
            positions = rows.cache.expect(self.dtype)
            rows.hidden = self._forward(tokens, positions, rows.cache)

    def _choose(self, hidden: Tensor, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor]:
        chosen = []
        for first in range(0, len(hidden), self._room.logits):
            some = slice(first, first + self._room.logits)
            chosen.append(choose(self._head(hidden[some]), sampling, uniform[some]))
        return torch.cat([tokens for tokens, _ in chosen]), torch.cat([logprobs for _, logprobs in chosen])

    # Forward passes

    def _prepare(self, prefixes: _Prefixes, groups: set[int]) -> None:
        """Compute the beginnings of the groups that are still missing, and forget those of others."""
        missing = prefixes.keep(groups)
        for batch in batches([len(prefixes.tokens[group]) for group in missing], self._room.tokens):
            here = [missing[number] for number in batch]
            rows = [row for group in here for row in pack({group: prefixes.tokens[group]})]
            states, packing = self._forward_rows(rows, [None] * len(rows), keep=True)
            end = 0
            for group, row in zip(here, rows, strict=True):
                first, end = end, end + len(row.tokens)
                keys = [key[:, first:end].contiguous() for key in packing.keys]
                values = [value[:, first:end].contiguous() for value in packing.values]
                prefixes.made[group] = Prefix(len(row.tokens), keys, values), states[first:end]

    def _forward_rows(
        self, rows: Sequence[Row], prefixes: Sequence[Prefix | None], keep: bool = False
    ) -> tuple[Tensor, Packing]:
        """Compute rows that continue prefixes. Returns hidden states (tokens, size), one row after the other, and, where
        they are to be kept, the keys and values.
        """
        ids = [token for row in rows for token in row.tokens]
        packing = Packing(rows, prefixes, keep, self.device, self.dtype)
        return self._forward(torch.tensor(ids, device=self.device), packing.positions, packing), packing

    def _forward(self, ids: Tensor, positions: Tensor, attended: Attended) -> Tensor:
        output = self._body(input_ids=ids[None], position_ids=positions[None], use_cache=False, attended=attended)
        hidden: Tensor = output.last_hidden_state
        return hidden[0]


def _generation_groups(prompts: Sequence[Tokens], samples: int) -> list[Group]:
    """Prompts share what they have in common; a prompt alone shares all of itself among its several samples."""
    groups = group_by_prefix(prompts, [len(prompt) - 1 for prompt in prompts])
    if samples == 1:
        return groups
    alone = [member for group in groups if not group.shared for member in group.members]
    shared = [group for group in groups if group.shared]
    return shared + [Group(len(prompts[m]) - 1 if len(prompts[m]) > MIN_SHARED else 0, (m,)) for m in alone]


def _rows_by_prefix(prefixes: Sequence[Prefix | None], own: Sequence[Tokens]) -> list[Row]:
    """Lay out what is each prompt's own; only prompts that continue the same prefix share a row."""
    alike: dict[int, dict[int, Tokens]] = {}
    for member, (prefix, tokens) in enumerate(zip(prefixes, own, strict=True)):
        alike.setdefault(id(prefix), {})[member] = tokens
    return [row for members in alike.values() for row in pack(members)]


@dataclass(frozen=True, slots=True)
class _Read:
    """Where a sequence's states are: those of its first `shared` tokens from place `before` on, the others at `first` +
    `path`.
    """

    sequence: ScoringTokens
    shared: int
    before: int
    first: int
    path: Tokens

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield, for each scored token, the state that predicts it, and the token."""
        for t in range(self.sequence.start, len(self.sequence.ids)):
            last = t - 1
            state = self.before + last if last < self.shared else self.first + self.path[last - self.shared]
            yield state, self.sequence.ids[t]
