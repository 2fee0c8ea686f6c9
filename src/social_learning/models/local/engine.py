"""The engine: forward passes over planned batches. Token ids go in, log-probabilities and samples come out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.models.local.attention import KeyValues, Prefix, PrefixBuilder
from social_learning.models.local.memory import halving
from social_learning.models.local.plan import MIN_SHARED, Group, Packed, Tokens, batches, group_by_prefix, pack
from social_learning.models.local.sampling import choose, uniforms
from social_learning.models.local.tokens import ScoringTokens

SCORE_TOKENS = 4096
"""How many new tokens are scored at once, padding included."""

ROW_TOKENS = 256
"""How many tokens are packed into one row: within a row, attention costs grow with the square of its length."""

GENERATE_TOKENS = 16384
"""For how many tokens, not counting shared prefixes, keys and values are held at once while decoding."""

DROP_BELOW = 0.8
"""Ended rows leave a batch when no more than this share of it still goes on."""

LOGIT_ROWS = 512
"""For how many positions logits over the whole vocabulary are held at once."""


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
class Rows:
    """Rows that are being decoded: their drafts, what they attend to, and where each one's next token goes."""

    drafts: list[Draft]
    state: KeyValues
    hidden: Tensor
    places: Tensor
    offsets: Tensor
    uniform: Tensor

    def select(self, keep: Sequence[int]) -> None:
        """Go on with the given rows only."""
        rows = torch.tensor(keep, device=self.hidden.device)
        self.drafts = [self.drafts[row] for row in keep]
        self.state.select(keep)
        self.hidden, self.places, self.uniform = self.hidden[rows], self.places[rows], self.uniform[rows]
        self.offsets = self.offsets[rows]


@dataclass(frozen=True, slots=True)
class _Read:
    """Where a sequence's hidden states are: those of its first `shared` tokens at the front, the others at `first` + `path`."""

    sequence: ScoringTokens
    shared: int
    first: int
    path: tuple[int, ...]

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield, for each scored token, the state that predicts it, and the token."""
        for t in range(self.sequence.start, len(self.sequence.ids)):
            before = t - 1
            state = before if before < self.shared else self.first + self.path[before - self.shared]
            yield state, self.sequence.ids[t]


class Engine:
    """Runs one causal language model of transformers with shared-prefix attention."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._body = model.get_submodule(model.base_model_prefix)  # type: ignore[arg-type]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.progress: Progress = _tell_nobody
        self._size: int = model.get_input_embeddings().weight.shape[1]  # type: ignore[operator]

    @torch.inference_mode()
    def score(self, sequences: Sequence[ScoringTokens]) -> list[Scored]:
        """Return, per sequence, the log-probabilities of its tokens from `start` on, and whether each was likeliest.

        What sequences have in common at their beginning is computed once; what follows is packed into rows as tries.
        """
        fed = [sequence.ids[:-1] for sequence in sequences]
        results: dict[int, Scored] = {}
        for group in group_by_prefix(fed, [len(tokens) for tokens in fed]):
            results.update(self._score_group(sequences, fed, group))
        return [results[number] for number in range(len(sequences))]

    def _score_group(
        self, sequences: Sequence[ScoringTokens], fed: Sequence[Tokens], group: Group
    ) -> dict[int, Scored]:
        """Score the sequences of a group, by their numbers."""
        prefix, start = self._prefix(fed[group.members[0]][: group.shared])
        packed = pack([fed[member][group.shared :] for member in group.members], ROW_TOKENS)
        in_row: dict[int, list[int]] = {}
        for place, (row, _) in enumerate(packed.where):
            in_row.setdefault(row, []).append(place)
        whole = [group.members[place] for place in in_row.get(-1, [])]
        inside = self._read(start, [_Read(sequences[member], group.shared, 0, ()) for member in whole])
        results = dict(zip(whole, inside, strict=True))

        def score_rows(rows: Sequence[int]) -> None:
            hidden, width = self._forward_packed(prefix, packed, rows)
            wanted = [(place, number * width) for number, row in enumerate(rows) for place in in_row[row]]
            reads = [
                _Read(sequences[group.members[place]], group.shared, group.shared + first, packed.where[place][1])
                for place, first in wanted
            ]
            scored = self._read(torch.cat([start, hidden]), reads)
            results.update(zip((group.members[place] for place, _ in wanted), scored, strict=True))

        planned = batches([len(row) for row in packed.rows], SCORE_TOKENS)
        for done, batch in enumerate(planned):
            self.progress("scoring", done, len(planned))
            halving(score_rows, batch)
        return results

    def _read(self, states: Tensor, reads: Sequence[_Read]) -> list[Scored]:
        """Score sequences from hidden states."""
        places = [place for read in reads for place in read.places()]
        logprobs: list[float] = []
        greedy: list[bool] = []
        for first in range(0, len(places), LOGIT_ROWS):
            index, targets = torch.tensor(places[first : first + LOGIT_ROWS], device=self.device).unbind(1)
            logits = self._head(states[index]).float()
            right = logits.gather(1, targets[:, None]).squeeze(1)
            logprobs.extend((right - torch.logsumexp(logits, dim=-1)).tolist())
            greedy.extend((logits.argmax(dim=-1) == targets).tolist())
        results, taken = [], 0
        for read in reads:
            end = taken + len(read.sequence.ids) - read.sequence.start
            results.append((logprobs[taken:end], all(greedy[taken:end])))
            taken = end
        return results

    def _forward_packed(self, prefix: Prefix | None, packed: Packed, rows: Sequence[int]) -> tuple[Tensor, int]:
        """Compute packed rows that continue a prefix. Returns hidden states (rows x width, size) and the width."""
        if not rows:
            return torch.empty(0, self._size, dtype=self.dtype, device=self.device), 0
        width = max(len(packed.rows[row]) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        depth = np.zeros((len(rows), width), dtype=np.int64)
        # A token sees itself and what its parent sees; padding sees itself alone, and nobody sees it.
        visible = np.zeros((len(rows), width, width), dtype=bool)
        visible[:, np.arange(width), np.arange(width)] = True
        for place, row in enumerate(rows):
            ids[place, : len(packed.rows[row])] = packed.rows[row]
            for node, parent in enumerate(packed.parents[row]):
                if parent >= 0:
                    visible[place, node] |= visible[place, parent]
                    depth[place, node] = depth[place, parent] + 1
        state = KeyValues([prefix], [0] * len(rows), width)
        slots = torch.arange(width, device=self.device).expand(len(rows), width)
        state.expect(slots, torch.from_numpy(visible).to(self.device), self.dtype)
        positions = torch.from_numpy(depth).to(self.device) + (prefix.length if prefix else 0)
        hidden = self._forward(torch.from_numpy(ids).to(self.device), positions, state)
        return hidden.reshape(-1, hidden.shape[-1]), width

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
        results: list[list[Draft]] = [[] for _ in prompts]
        groups = self._generation_groups(prompts, samples)
        where = {member: number for number, group in enumerate(groups) for member in group.members}
        costs = [samples * (len(p) - groups[where[m]].shared + sampling.max_tokens) for m, p in enumerate(prompts)]
        prefixes: dict[int, Prefix | None] = {}

        def write(batch: Sequence[int]) -> None:
            members = sorted(batch, key=lambda member: (where[member], member))
            for number in sorted({where[member] for member in members} - prefixes.keys()):
                prefixes[number], _ = self._prefix(prompts[groups[number].members[0]][: groups[number].shared])
            kept = sorted({where[member] for member in members})
            owners = [kept.index(where[member]) for member in members]
            own = [prompts[member][groups[where[member]].shared :] for member in members]
            hidden, state = self._forward_rows([prefixes[n] for n in kept], owners, own, sampling.max_tokens)
            lengths = torch.tensor([len(part) for part in own], device=self.device)
            last = hidden[torch.arange(len(own), device=self.device), lengths - 1]
            offsets = torch.tensor(state.offsets(), device=self.device)
            rows = Rows([Draft()] * len(own), state, last, lengths, offsets, uniform=lengths[:, None])
            rows.select([row for row in range(len(own)) for _ in range(samples)])
            for member in members:
                results[member] = [Draft() for _ in range(samples)]
            rows.drafts = [draft for member in members for draft in results[member]]
            draws = [uniforms(seeds[m], sample, sampling.max_tokens) for m in members for sample in range(samples)]
            rows.uniform = torch.from_numpy(np.stack(draws)).to(self.device)
            self._decode(rows, sampling, ended)

        for batch in batches(costs, GENERATE_TOKENS):
            halving(write, batch)
        return results

    def _generation_groups(self, prompts: Sequence[Tokens], samples: int) -> list[Group]:
        """Prompts share what they have in common; a prompt alone shares all of itself among its several samples."""
        groups = group_by_prefix(prompts, [len(prompt) - 1 for prompt in prompts])
        if samples == 1:
            return groups
        alone = [member for group in groups if not group.shared for member in group.members]
        shared = [group for group in groups if group.shared]
        return shared + [Group(len(prompts[m]) - 1 if len(prompts[m]) > MIN_SHARED else 0, (m,)) for m in alone]

    def _decode(self, rows: Rows, sampling: Sampling, ended: Callable[[Draft], bool]) -> None:
        for step in range(sampling.max_tokens):
            self.progress("generating", step, sampling.max_tokens)
            tokens, logprobs = choose(self._head(rows.hidden), sampling, rows.uniform[:, step])
            for draft, token, logprob in zip(rows.drafts, tokens.tolist(), logprobs.tolist(), strict=True):
                if not draft.stopped:
                    draft.tokens.append(token)
                    draft.logprobs.append(logprob)
                    draft.stopped = ended(draft)
            going = [row for row, draft in enumerate(rows.drafts) if not draft.stopped]
            if not going or step + 1 == sampling.max_tokens:
                return
            # Dropping rows copies what the others attend to: worth it only when enough have ended.
            if len(going) <= DROP_BELOW * len(rows.drafts):
                tokens = tokens[torch.tensor(going, device=self.device)]
                rows.select(going)
            slots = rows.places[:, None]
            width = int(rows.places.max()) + 1
            visible = torch.arange(width, device=self.device) <= slots[..., None]
            rows.state.expect(slots, visible, self.dtype)
            rows.hidden = self._forward(tokens[:, None], slots + rows.offsets[:, None], rows.state)[:, 0]
            rows.places = rows.places + 1

    def _prefix(self, tokens: Tokens) -> tuple[Prefix | None, Tensor]:
        """Compute a common beginning. Returns what others attend to (None for an empty one) and its hidden states."""
        if not tokens:
            return None, torch.empty(0, self._size, dtype=self.dtype, device=self.device)
        builder = PrefixBuilder(len(tokens))
        ids = torch.tensor([tokens], device=self.device)
        hidden = self._forward(ids, torch.arange(len(tokens), device=self.device)[None], builder)
        return builder.made, hidden[0]

    def _forward_rows(
        self, prefixes: Sequence[Prefix | None], owners: Sequence[int], rows: Sequence[Tokens], extra_room: int = 0
    ) -> tuple[Tensor, KeyValues]:
        """Compute rows that continue prefixes. Returns hidden states (rows, longest, size) and what the rows attend to."""
        width = max(len(row) for row in rows)
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self.device)
        slots = torch.arange(width, device=self.device).expand(len(rows), width)
        # Padding stands at the right, where no real token looks, so a plain causal mask serves all rows.
        visible = (slots[0][:, None] >= slots[0][None, :]).expand(len(rows), width, width)
        state = KeyValues(prefixes, owners, width + extra_room)
        state.expect(slots, visible, self.dtype)
        offsets = torch.tensor(state.offsets(), device=self.device)
        return self._forward(ids, slots + offsets[:, None], state), state

    def _forward(self, ids: Tensor, positions: Tensor, state: KeyValues | PrefixBuilder) -> Tensor:
        output = self._body(input_ids=ids, position_ids=positions, use_cache=False, key_values=state)
        hidden: Tensor = output.last_hidden_state
        return hidden
