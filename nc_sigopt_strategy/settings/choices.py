"""What settings can be chosen from, by the words that users write, and what holds by default."""

from __future__ import annotations

DEFAULT_EXPERIMENT_NAME = "nc-tune"
DEFAULT_PROJECT_ID = "nc-tune"
REQUEST_TIMEOUT_SECONDS = 15.0
CONSTRAINT, PARETO = GOALS = ("constraint", "pareto")
LOCAL, SERVER = SUGGESTIONS = ("local", "server")
# What the options of an op are taken from.
PRESETS = ("dtype", "int8", "full")
# Calibrate once and fit weights and biases to the data; once, with INC's weights; so, with the
# digits that INC loses on TensorFlow; in each trial, as INC does.
FITTED, EXACT, AS_PRINTED, STOCK = CALIBRATIONS = ("fitted", "exact", "as_printed", "stock")
# Whether what Neural Compressor makes of a TensorFlow graph is rewritten to run faster.
FINISHED, UNFINISHED = FINISHINGS = ("on", "off")
# Of quantized activations in ONNX Runtime: U8S8, the faster one on x86, and S8S8.
ACTIVATION_TYPES = ("uint8", "int8")
# A copy of the registry's names: importing the samplers would import Optuna, which takes its time.
SAMPLERS = ("quantization", "tpe", "gp", "random", "grid")
DEFAULT_SAMPLER = SAMPLERS[0]
# How long a suggestion belongs to a worker that does not renew it.
LEASE_SECONDS = 90.0
MAX_WORKER_NAME = 64
# What databases and frameworks count with, and what numpy takes for a seed.
MAX_WHOLE, MAX_SEED = 2**31 - 1, 2**32 - 1
# Ids are whole numbers in SigOpt, and 64 bits are what a database has for one.
MAX_ID = 2**63 - 1
# With what probability the returned model keeps the bound on other data, by default: as likely as
# not, so that no model wins by the luck of its images.
EVEN_ODDS = 0.5
# Whether single ops are looked at before the sampler is asked; or for how many seconds.
AUTO, OFF = "auto", "off"
# Suggestions in a row that nothing is expected of, after which a run ends.
DEFAULT_PATIENCE = 10
