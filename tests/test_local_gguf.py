"""GGUF files as models: the weights inside are those the file was written from, and a bad file is one clear line."""

from pathlib import Path
from typing import Any

import gguf
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from social_learning.errors import ModelError
from social_learning.models.local.loading import file_digest
from social_learning.models.registry import load_model
from tests.processes import at_once
from tests.test_local_model import save_tiny

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers": "blk",
}
"""What transformers calls a part of Qwen 2, and what GGUF calls it."""


def save_gguf(folder: Path, file: Path) -> None:
    """Write the tiny Qwen 2 in `folder` as a GGUF file."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    config = model.config
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    vocabulary = tokenizer.get_vocab()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(vocabulary, key=lambda token: vocabulary[token]))
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, tensor in model.state_dict().items():
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    save_tiny("qwen2", tmp_path / "folder")
    file = tmp_path / "tiny.gguf"
    save_gguf(tmp_path / "folder", file)
    pairs = [("Text: win a prize", " now"), ("Text: lunch", " at noon, as always")]
    for _ in ("unpacked", "from the cache"):
        model = load_model(str(file), dtype="float32", device="cpu")
        plain = load_model(str(tmp_path / "folder"), dtype="float32", device="cpu")
        assert [s.logprob for s in model.score(pairs)] == pytest.approx(
            [s.logprob for s in plain.score(pairs)], abs=1e-3
        )
        assert model.identity == f"{file} {file_digest(file)[:16]} float32"
    assert len(list((tmp_path / "cache" / "social-learning" / "models").iterdir())) == 1


def test_processes_that_unpack_a_gguf_file_at_once_find_it_whole_and_leave_one_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    save_tiny("qwen2", tmp_path / "folder")
    file = tmp_path / "tiny.gguf"
    save_gguf(tmp_path / "folder", file)
    models = tmp_path / "cache" / "social-learning" / "models"
    folder = models / f"tiny-{file_digest(file)[:16]}"
    for left in (folder, models / f"building-{folder.name}"):  # by processes that were killed
        left.mkdir(parents=True)
        (left / "config.json").write_text("{")
    program = """
        import sys
        from social_learning.models.registry import load_model
        model = load_model(sys.argv[1], dtype="float32", device="cpu")
        assert model.score([("Text: lunch", " at noon")])[0].tokens > 1
    """
    at_once(program, [(file,)] * 3)
    assert [path.name for path in models.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("content", "told"), [("junk", "not a GGUF file"), ("", "is the file whole"), ("cut", "is the file whole")]
)
def test_a_bad_gguf_file_is_explained(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "bad.gguf"
    file.write_text(content)
    if content == "cut":
        (tmp_path / "folder").mkdir()
        save_tiny("qwen2", tmp_path / "folder")
        save_gguf(tmp_path / "folder", file)
        file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(ModelError, match=f"cannot load model .*bad.gguf.*{told}"):
        load_model(str(file))
    assert not list((tmp_path / "cache" / "social-learning" / "models").iterdir())


def test_a_gguf_file_that_is_not_there_is_explained() -> None:
    with pytest.raises(ModelError, match="a GGUF file that exists"):
        load_model("nowhere/tiny.gguf")
