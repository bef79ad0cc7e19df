"""The 38 special tokens of StarCoder 2, in id order.

One list, because the id is the place in it: the vocabularies that we train put these at ids 0-37, as the published
one does (specification §2.2). Which token means what in a prompt is the business of `layouts`.
"""

from __future__ import annotations

from typing import Final

END_OF_TEXT: Final = "<|endoftext|>"
FIM_PREFIX: Final = "<fim_prefix>"
FIM_MIDDLE: Final = "<fim_middle>"
FIM_SUFFIX: Final = "<fim_suffix>"
FIM_PAD: Final = "<fim_pad>"
REPO_NAME: Final = "<repo_name>"
FILE_SEP: Final = "<file_sep>"

PLACEHOLDERS: Final = ("<NAME>", "<EMAIL>", "<KEY>", "<PASSWORD>")
"""What redaction puts in the place of personal data and secrets: the only ones that may stand within a file."""

SPECIAL_TOKENS: Final[tuple[str, ...]] = (
    END_OF_TEXT,
    FIM_PREFIX,
    FIM_MIDDLE,
    FIM_SUFFIX,
    FIM_PAD,
    REPO_NAME,
    FILE_SEP,
    "<issue_start>",
    "<issue_comment>",
    "<issue_closed>",
    "<jupyter_start>",
    "<jupyter_text>",
    "<jupyter_code>",
    "<jupyter_output>",
    "<jupyter_script>",
    "<empty_output>",
    "<code_to_intermediate>",
    "<intermediate_to_code>",
    "<pr>",
    "<pr_status>",
    "<pr_is_merged>",
    "<pr_base>",
    "<pr_file>",
    "<pr_base_code>",
    "<pr_diff>",
    "<pr_diff_hunk>",
    "<pr_comment>",
    "<pr_event_id>",
    "<pr_review>",
    "<pr_review_state>",
    "<pr_review_comment>",
    "<pr_in_reply_to_review_id>",
    "<pr_in_reply_to_comment_id>",
    "<pr_diff_hunk_comment_line>",
    *PLACEHOLDERS,
)
