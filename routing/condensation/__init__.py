"""How a conversation that does not fit is shortened. Pure: no clock, no I/O, no Django; the shell is `routing.condensing`.

policy     what the `condensation` section makes of a window, and the receipt
overflow   which errors and plans mean "it does not fit"
layout     what of a conversation may go, and what belongs together
trimming   shorter texts
planner    the steps, in order, until the conversation fits
memory     conversations that were shortened before
"""

from routing.condensation.memory import ConversationMemory
from routing.condensation.overflow import TooLong, aim, overflow_by_keyword, too_long
from routing.condensation.planner import Condensed, condense, insert_note
from routing.condensation.policy import Receipt, merge_steps, switched_on

__all__ = [
    "Condensed",
    "ConversationMemory",
    "Receipt",
    "TooLong",
    "aim",
    "condense",
    "insert_note",
    "merge_steps",
    "overflow_by_keyword",
    "switched_on",
    "too_long",
]
