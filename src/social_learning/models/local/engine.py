"""The engine: forward passes over planned batches. Token ids go in, log-probabilities and samples come out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from social_learning.models.base import Sampling
from social_learning.models.local.attention import KeyValues, Prefix, PrefixBuilder
from social_learning.models.local.plan import MIN_SHARED, Group, Tokens, batches, group_by_prefix
from social_learning.models.local.sampling import choose, uniforms
from social_learning.models.local.tokens import ScoringTokens

BATCH_TOKENS = 4096
"""How many new tokens go through the model at once, padding included."""

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
    uniform: Tensor

    def select(self, keep: list[int]) -> None:
        """Go on with the given rows only."""
        rows = torch.tensor(keep, device=self.hidden.device)
        self.drafts = [self.drafts[row] for row in keep]
        self.state.select(rows)
        self.hidden, self.places, self.uniform = self.hidden[rows], self.places[rows], self.uniform[rows]


class Engine:
    """Runs one causal language model of transformers with shared-prefix attention."""

    def __init__(self, model: torch.nn.Module, batch_tokens: int = BATCH_TOKENS) -> None:
        self._body = model.get_submodule(model.base_model_prefix)  # type: ignore[arg-type]
        self._head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype
        self._batch_tokens = batch_tokens

    @torch.inference_mode()
    def score(self, sequences: Sequence[ScoringTokens]) -> list[tuple[list[float], bool]]:
        """Return, per sequence, the log-probabilities of its tokens from `start` on, and whether each was the most likely."""
        results: list[tuple[list[float], bool]] = [([], True)] * len(sequences)
        ids = [sequence.ids for sequence in sequences]
        groups = group_by_prefix(ids, [sequence.start - 1 for sequence in sequences])
        for group in groups:
            prefix = self._prefix(ids[group.members[0]][: group.shared])
            for members in self._batches([len(ids[m]) - 1 - group.shared for m in group.members], group):
                for member, scored in zip(
                    members, self._score_rows(prefix, [sequences[m] for m in members]), strict=True
                ):
                    results[member] = scored
        return results

    def _score_rows(self, prefix: Prefix | None, rows: Sequence[ScoringTokens]) -> list[tuple[list[float], bool]]:
        shared = prefix.length if prefix else 0
        hidden, _ = self._forward_rows(prefix, [row.ids[shared:-1] for row in rows])
        read = [(r, t) for r, row in enumerate(rows) for t in range(row.start, len(row.ids))]
        row_index = torch.tensor([r for r, _ in read], device=self.device)
        before = torch.tensor([t - 1 - shared for _, t in read], device=self.device)
        targets = torch.tensor([rows[r].ids[t] for r, t in read], device=self.device)
        logprobs: list[float] = []
        greedy: list[bool] = []
        for first in range(0, len(read), LOGIT_ROWS):
            part = slice(first, first + LOGIT_ROWS)
            logits = self._head(hidden[row_index[part], before[part]]).float()
            right = logits.gather(1, targets[part, None]).squeeze(1)
            logprobs.extend((right - torch.logsumexp(logits, dim=-1)).tolist())
            greedy.extend((logits.argmax(dim=-1) == targets[part]).tolist())
        results, taken = [], 0
        for row in rows:
            end = taken + len(row.ids) - row.start
            results.append((logprobs[taken:end], all(greedy[taken:end])))
            taken = end
        return results

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Tokens], sampling: Sampling, samples: int, ended: Callable[[Draft], bool]
    ) -> list[list[Draft]]:
        """Return `samples` continuations of each prompt. `ended` tells of a draft whether it is finished."""
        results = [[Draft() for _ in range(samples)] for _ in prompts]
        draws = torch.stack([torch.from_numpy(uniforms(sampling, sample)) for sample in range(samples)])
        for group in self._generation_groups(prompts, samples):
            prefix = self._prefix(prompts[group.members[0]][: group.shared])
            costs = [samples * (len(prompts[m]) - group.shared + sampling.max_tokens) for m in group.members]
            for members in self._batches(costs, group):
                parts = [prompts[m][group.shared :] for m in members]
                hidden, state = self._forward_rows(prefix, parts, sampling.max_tokens)
                lengths = torch.tensor([len(part) for part in parts], device=self.device)
                every = torch.arange(len(parts), device=self.device)
                rows = Rows([], state, hidden[every, lengths - 1], lengths, draws[:1].expand(len(parts), -1))
                rows.drafts = [Draft()] * len(parts)
                rows.select([row for row in range(len(parts)) for _ in range(samples)])
                rows.drafts = [draft for m in members for draft in results[m]]
                rows.uniform = draws.repeat(len(parts), 1).to(self.device)
                self._decode(rows, sampling, ended)
        return results

    def _generation_groups(self, prompts: Sequence[Tokens], samples: int) -> list[Group]:
        """Several samples share their whole prompt; single samples share what their prompts have in common."""
        if samples == 1:
            return group_by_prefix(prompts, [len(prompt) - 1 for prompt in prompts])
        return [
            Group(len(prompt) - 1 if len(prompt) > MIN_SHARED else 0, (number,)) for number, prompt in enumerate(prompts)
        ]

    def _decode(self, rows: Rows, sampling: Sampling, ended: Callable[[Draft], bool]) -> None:
        shared = rows.state.prefix.length if rows.state.prefix else 0
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
            if len(going) <= 0.8 * len(rows.drafts):
                tokens = tokens[torch.tensor(going, device=self.device)]
                rows.select(going)
            slots = rows.places[:, None]
            width = int(rows.places.max()) + 1
            visible = torch.arange(width, device=self.device) <= slots[..., None]
            rows.state.expect(slots, visible, self.dtype)
            rows.hidden = self._forward(tokens[:, None], slots + shared, rows.state)[:, 0]
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
        self, prefix: Prefix | None, rows: Sequence[Tokens], extra_room: int = 0
    ) -> tuple[Tensor, KeyValues]:
        """Compute rows that continue a prefix. Returns hidden states (rows, longest, size) and what the rows attend to."""
        width = max(len(row) for row in rows)
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self.device)
        slots = torch.arange(width, device=self.device).expand(len(rows), width)
        # Padding stands at the right, where no real token looks, so a plain causal mask serves all rows.
        visible = (slots[0][:, None] >= slots[0][None, :]).expand(len(rows), width, width)
        state = KeyValues(prefix, width + extra_room)
        state.expect(slots, visible, self.dtype)
        return self._forward(ids, slots + (prefix.length if prefix else 0), state), state

    def _forward(self, ids: Tensor, positions: Tensor, state: KeyValues | PrefixBuilder) -> Tensor:
        output = self._body(input_ids=ids, position_ids=positions, use_cache=False, key_values=state)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def _batches(self, costs: Sequence[int], group: Group) -> list[list[int]]:
        """Split a group's members into batches by the tokens each one costs."""
        return [[group.members[i] for i in batch] for batch in batches(costs, self._batch_tokens)]
