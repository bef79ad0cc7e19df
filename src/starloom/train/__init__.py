"""Training: token shards in, a model directory out. Knows nothing of where documents come from or how completions are served."""
