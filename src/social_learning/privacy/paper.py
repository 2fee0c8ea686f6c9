"""The paper's own figures on privacy, to stand beside ours: Tables 3, 4 and 6 of arXiv 2312.11441 (PaLM 2-S)."""

REFERENCES = 999
"""The paper's ranks are among so many comparison canaries; others cannot be compared with them."""

MEAN_RANK = {
    ("lambada", "codes"): 435,
    ("gsm8k", "codes"): 467,
    ("lambada", "names"): 463,
    ("gsm8k", "names"): 459,
}
"""Table 3: mean rank among 1,000 over 100 trials, by task and kind of canary; 499.5 for chance."""

TRIALS = 100
"""How many trials Tables 3 and 4 are of."""

FIRSTS = {("lambada", "codes"): 8, ("gsm8k", "codes"): 3, ("lambada", "names"): 7, ("gsm8k", "names"): 4}
"""Table 4: how many of 100 trials had rank 0."""

_SHOTS = (1, 2, 4, 8, 16)
_DISTANCES = {
    "lambada": (0.78, 0.76, 0.77, 0.76, 0.77),
    "boolq": (0.85, 0.84, 0.83, 0.83, 0.83),
    "gsm8k": (0.79, 0.82, 0.80, 0.81, 0.81),
    "sms_spam": (0.47, 0.63, 0.58, 0.56, 0.60),
    "sms_spam_classes": (0.47, 0.46, 0.43, 0.43, 0.47),
    "random_insertion": (0.58, 0.56, 0.61, 0.61, 0.59),
}
DISTANCE = {(task, shots): value for task, row in _DISTANCES.items() for shots, value in zip(_SHOTS, row, strict=True)}
"""Table 6: mean normalised distance of generated examples, by task and number of shots."""
