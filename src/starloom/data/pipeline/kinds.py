"""Which filters are not for which kinds of records: the table of what was done to each source of StarCoder 2 (paper, table 3).

All others apply to all kinds. Opt-out and redaction do, though the table has no opt-out for documentation and questions: what
people do not want used is not used. Names of users in threads are replaced where threads are rendered (`data.sources`).
"""

from __future__ import annotations

NOT_DEDUPLICATED = frozenset({"question"})
NOT_SCANNED = frozenset({"documentation", "question"})
"""Not looked through for malware."""
NOT_DECONTAMINATED = frozenset({"documentation"})

SPEAK_FOR_THEMSELVES = frozenset({"file", "notebook", "notebook script", "documentation", "intermediate code"})
"""Records made of one file, whose text may state its licence. In threads and commits people may write about any licence."""
