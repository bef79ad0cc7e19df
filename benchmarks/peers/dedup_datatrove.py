"""datatrove's MinHash pipeline (signature, buckets, cluster, filter) over one Parquet file; runs in datatrove's environment.

    python dedup_datatrove.py FILES.parquet OUT [--words]

25 buckets of 10 hashes over 5-grams, 64-bit xxhash (its default), one task after another in this process. The tokeniser is its
default for English (spaCy); with --words it is a regular expression for runs of letters, digits and `_`, the cheapest there is.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.word_tokenizers import WordTokenizer

WORD = re.compile(r"\w+")


class Words(WordTokenizer):
    """Runs of word characters."""

    def word_tokenize(self, text: str) -> list[str]:
        """All that datatrove asks of it here."""
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        """Not used."""
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Not used."""
        return [(0, len(text))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("files", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--words", action="store_true")
    given = arguments.parse_args()
    config = MinhashConfig(n_grams=5, num_buckets=25, hashes_per_bucket=10)
    out = str(given.out)

    def reader() -> ParquetReader:
        return ParquetReader(str(given.files.parent), glob_pattern=given.files.name, text_key="text", id_key="id")

    tokenizer = Words() if given.words else "eng_Latn"
    stages = [
        (1, [reader(), MinhashDedupSignature(f"{out}/signatures", config=config, language=tokenizer)]),
        (25, [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)]),
        (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)]),
        (1, [reader(), MinhashDedupFilter(f"{out}/remove"), ParquetWriter(f"{out}/kept")]),
    ]
    for number, (tasks, pipeline) in enumerate(stages):
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=f"{out}/logs/{number}").run()


if __name__ == "__main__":
    main()
