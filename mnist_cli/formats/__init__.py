"""Files and their contents: IDX, the store, the model file. Importing their names here imports nothing else."""

STORE_NAME = "store.h5"
MODEL_NAME = "model.h5"
HISTORY_NAME = "history.jsonl"
MAX_PIXELS = 1 << 16  # of one image
