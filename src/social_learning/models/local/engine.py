"""The engine: forward passes over planned batches. Token ids go in, log-probabilities and samples come out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.models.local.attention import KeyValues, Prefix, PrefixBuilder
from social_learning.models.local.plan import MIN_SHARED, Group, Tokens, absorb, batches, group_by_prefix
from social_learning.models.local.sampling import choose, uniforms
from social_learning.models.local.tokens import ScoringTokens

SCORE_TOKENS = 4096
"""How many new tokens are scored at once, padding included."""

GENERATE_TOKENS = 16384
"""For how many tokens, not counting shared prefixes, keys and values are held at once while decoding."""

DROP_BELOW = 0.8
"""Ended rows leave a batch when no more than this share of it still goes on."""

LOGIT_ROWS = 512
"""For how many positions logits over the whole vocabulary are held at once."""


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


class Engine:
    """Runs one causal language model of transformers with shared-prefix attention."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._body = model.get_submodule(model.base_model_prefix)  # type: ignore[arg-type]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype

    @torch.inference_mode()
    def score(self, sequences: Sequence[ScoringTokens]) -> list[tuple[list[float], bool]]:
        """Return, per sequence, the log-probabilities of its tokens from `start` on, and whether each was the most
        likely.
        """
        results: list[tuple[list[float], bool]] = [([], True)] * len(sequences)
        ids = [sequence.ids for sequence in sequences]
        for group in group_by_prefix(ids, [sequence.start - 1 for sequence in sequences]):
            prefix = self._prefix(ids[group.members[0]][: group.shared])
            fed = [ids[member][group.shared : -1] for member in group.members]
            guests: dict[int, list[int]] = {}
            for guest, host in absorb(fed).items():
                guests.setdefault(host, []).append(guest)
            hosts = list(guests)
            for batch in batches([len(fed[host]) for host in hosts], SCORE_TOKENS):
                rows = [fed[hosts[i]] for i in batch]
                hidden, _ = self._forward_rows([prefix], [0] * len(rows), rows)
                read = [(row, group.members[guest]) for row, i in enumerate(batch) for guest in guests[hosts[i]]]
                scored = self._read(hidden, [(row, sequences[member]) for row, member in read], group.shared)
                for (_, member), result in zip(read, scored, strict=True):
                    results[member] = result
        return results

    def _read(
        self, hidden: Tensor, wanted: Sequence[tuple[int, ScoringTokens]], shared: int
    ) -> list[tuple[list[float], bool]]:
        """Score each wanted sequence from the hidden states of its row, whose first token stands `shared` tokens into
        it.
        """
        places = [
            (row, t, sequence.ids[t]) for row, sequence in wanted for t in range(sequence.start, len(sequence.ids))
        ]
        rows, times, targets = torch.tensor(places, device=self.device).unbind(1)
        logprobs: list[float] = []
        greedy: list[bool] = []
        for first in range(0, len(places), LOGIT_ROWS):
            part = slice(first, first + LOGIT_ROWS)
            logits = self._head(hidden[rows[part], times[part] - 1 - shared]).float()
            right = logits.gather(1, targets[part, None]).squeeze(1)
            logprobs.extend((right - torch.logsumexp(logits, dim=-1)).tolist())
            greedy.extend((logits.argmax(dim=-1) == targets[part]).tolist())
        results, taken = [], 0
        for _, sequence in wanted:
            end = taken + len(sequence.ids) - sequence.start
            results.append((logprobs[taken:end], all(greedy[taken:end])))
            taken = end
        return results

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
        results = [[Draft() for _ in range(samples)] for _ in prompts]
        groups = self._generation_groups(prompts, samples)
        where = {member: number for number, group in enumerate(groups) for member in group.members}
        costs = [samples * (len(p) - groups[where[m]].shared + sampling.max_tokens) for m, p in enumerate(prompts)]
        prefixes: dict[int, Prefix | None] = {}
        for batch in batches(costs, GENERATE_TOKENS):
            members = sorted(batch, key=lambda member: (where[member], member))
            for number in sorted({where[member] for member in members} - prefixes.keys()):
                prefixes[number] = self._prefix(prompts[groups[number].members[0]][: groups[number].shared])
            kept = sorted({where[member] for member in members})
            owners = [kept.index(where[member]) for member in members]
            own = [prompts[member][groups[where[member]].shared :] for member in members]
            hidden, state = self._forward_rows([prefixes[n] for n in kept], owners, own, sampling.max_tokens)
            lengths = torch.tensor([len(part) for part in own], device=self.device)
            last = hidden[torch.arange(len(own), device=self.device), lengths - 1]
            offsets = torch.tensor(state.offsets(), device=self.device)
            rows = Rows([Draft()] * len(own), state, last, lengths, offsets, uniform=lengths[:, None])
            rows.select([row for row in range(len(own)) for _ in range(samples)])
            rows.drafts = [draft for member in members for draft in results[member]]
            draws = [uniforms(seeds[m], sample, sampling.max_tokens) for m in members for sample in range(samples)]
            rows.uniform = torch.from_numpy(np.stack(draws)).to(self.device)
            self._decode(rows, sampling, ended)
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

    def _prefix(self, tokens: Tokens) -> Prefix | None:
        """Compute the keys and values of a common prompt start; None for an empty one."""
        if not tokens:
            return None
        builder = PrefixBuilder(len(tokens))
        ids = torch.tensor([tokens], device=self.device)
        self._forward(ids, torch.arange(len(tokens), device=self.device)[None], builder)
        return builder.made

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
